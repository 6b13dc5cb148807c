"""A request is read without being rewritten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.server.proxy.talk import UnreadableError, read

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), max_size=2)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "tool", "developer"]),
        "content": texts | parts | st.none(),
    },
    optional={"tool_call_id": texts, "odd": values},
)
bodies = st.fixed_dictionaries(
    {"messages": st.lists(messages, max_size=5)},
    optional={"model": texts, "temperature": st.floats(0, 2), "unknown": values},
)


@given(body=bodies, indent=st.sampled_from([None, 0, 3]), ascii_=st.booleans())
def test_a_message_is_put_in_and_nothing_else_changes(
    body: dict[str, Any], indent: int | None, ascii_: bool
) -> None:
    raw = json.dumps(body, indent=indent, ensure_ascii=ascii_).encode()
    talk = read(raw)
    users = [n for n, each in enumerate(body["messages"]) if each["role"] == "user"]
    if not users:
        with pytest.raises(UnreadableError):
            talk.with_system("m")
        return
    changed = talk.with_system('"quoted" and é')
    inserted = '{"role": "system", "content": "\\"quoted\\" and é"}, '.encode()
    assert changed.count(inserted) == 1
    assert changed.replace(inserted, b"") == raw
    after = json.loads(changed)
    added = after["messages"].pop(users[-1])
    assert added == {"role": "system", "content": '"quoted" and é'}
    assert after == body


def test_numbers_keep_their_spelling_and_keys_their_order() -> None:
    raw = (
        b'{ "zeta":1e2, "messages" : [ {"content":"hi","role":"user"} ],"big":12345678901234567890,'
        b'"temperature":0.70, "a":{"x":1,"x":2} }'
    )
    changed = read(raw).with_system("m")
    assert changed.startswith(b'{ "zeta":1e2, "messages" : [ {"role": "system"')
    assert changed.endswith(
        b'{"content":"hi","role":"user"} ],"big":12345678901234567890,"temperature":0.70, '
        b'"a":{"x":1,"x":2} }'
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"messages": 1}',
        b'{"messages": ["hi"]}',
        b'{"messages": []} x',
        b'{"messages": [], "messages": []}',
        b'{"messages": [{"role": "user"}',
        b'{"messages": [], "n": ' + b"1" * 5000 + b"}",
        b'{"messages": [' + b"[" * 100_000 + b"]}",
        b'\xff{"messages": []}',
        b'\xef\xbb\xbf{"messages": []}',
    ],
)
def test_what_is_no_chat_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(raw)


def test_new_is_what_users_and_tools_said_since_the_last_reply() -> None:
    talk = read(
        json.dumps(
            {
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": "one"},
                    {"role": "assistant", "content": "two"},
                    {"role": "developer", "content": "no"},
                    {"role": "user", "content": [{"type": "text", "text": "three"}, {"type": "x"}]},
                    {"role": "tool", "content": "four", "tool_call_id": "c"},
                    {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
                ]
            }
        ).encode()
    )
    assert talk.new == (
        {"role": "user", "content": "three"},
        {"role": "tool", "content": "four"},
    )
    assert talk.question == ""
    assert talk.texts == {"Be kind.", "one", "two", "no", "three", "four"}
