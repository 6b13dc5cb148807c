"""What a cube keeps of a message gives the message back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError, UnknownArgumentError
from mneme.recall.working.message import decode, encode, parse

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
said = texts.filter(lambda text: bool(text.strip()))
names = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=12)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["user", "system", "assistant", "calls", "tool"]))
    if kind == "tool":
        return {"role": "tool", "tool_call_id": draw(names), "content": draw(st.text(max_size=9))}
    if kind != "calls":
        return {"role": kind, "content": draw(said)}
    ids = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    calls = [
        {"id": i, "type": "function",
         "function": {"name": draw(names), "arguments": draw(st.text())}}
        for i in ids
    ]  # fmt: skip
    return {"role": "assistant", "content": draw(st.none() | said), "tool_calls": calls}


@given(messages())
def test_a_message_comes_back_as_it_was(raw: dict[str, Any]) -> None:
    message = parse(raw)
    text, about = encode(message)
    assert text.strip()
    assert decode(message.role, message.name, text, about) == message
    assert message.to_chat() == raw


@given(messages(), st.text(min_size=1, max_size=30))
def test_an_edited_cube_shows_its_new_words(raw: dict[str, Any], text: str) -> None:
    message = parse(raw)
    _, about = encode(message)
    shown = decode(message.role, message.name, text, about)
    flat = (shown.content or "") + "".join(f"{c.name}({c.arguments})" for c in shown.calls)
    assert set(flat) - {"\n"} == set(text) - {"\n"} or message.role == "tool"


def calling(call: object) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [call]}


@pytest.mark.parametrize(
    "raw",
    [
        {"role": "robot", "content": "hello"},
        {"content": "hello"},
        {"role": "user", "content": ""},
        {"role": "user", "content": None},
        {"role": "user", "content": 7},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "user", "content": [7]},
        {"role": "user", "content": "x", "tool_call_id": "c1"},
        {"role": "user", "content": "x", "tool_calls": [{"id": "c1"}]},
        {"role": "user", "content": "x", "name": 7},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]},
        calling({"id": "c", "function": {"name": "f", "arguments": {}}}),
        calling({"id": "", "function": {"name": "f", "arguments": ""}}),
        7,
        None,
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(raw: object) -> None:
    with pytest.raises(InvalidInputError):
        parse(raw)


def test_a_field_that_would_be_lost_is_refused() -> None:
    with pytest.raises(UnknownArgumentError, match="content"):
        parse({"role": "user", "contents": "hello"})
    empty: dict[str, Any] = {
        "role": "assistant",
        "content": "hello",
        "refusal": None,
        "annotations": [],
    }
    assert parse(empty).content == "hello"


def test_parts_of_text_become_one() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert parse({"role": "user", "content": parts}).content == "one\ntwo"
