"""Messages as JSON Lines, in the shapes that people have."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_the_plain_form(imported: Callable[..., Any]) -> None:
    found = imported(
        lines(
            {"role": "user", "content": "I moved to Oslo.", "name": "Ada", "at": "2026-03-20T10:00",
             "session": "s1"},
            {"role": "assistant", "content": "Nice!", "session": "s1"},
        ),
        "chat.jsonl",
    )  # fmt: skip
    first, second = found.items
    assert (first.content, first.role, first.speaker, first.session) == (
        "I moved to Oslo.", "user", "Ada", "s1",
    )  # fmt: skip
    assert first.at == datetime(2026, 3, 20, 10, tzinfo=UTC)
    assert (second.role, second.at, second.metadata) == ("assistant", None, {})
    assert found.skipped == []


@pytest.mark.parametrize(
    ("value", "role", "speaker", "content"),
    [
        ({"sender": "human", "text": "x"}, "user", None, "x"),
        ({"from": "gpt", "value": "x"}, "assistant", None, "x"),
        ({"author": "Bob", "message": "x"}, "user", "Bob", "x"),
        ({"author": {"role": "tool", "name": "search"}, "body": "x"}, "tool", "search", "x"),
        ({"author": {"name": "Bob"}, "content": "x"}, "user", "Bob", "x"),
        ({"role": "developer", "content": {"text": "x"}}, "system", None, "x"),
        ({"role": "USER", "speaker": "Ada", "content": [{"type": "text", "text": "x"}]}, "user",
         "Ada", "x"),
        ({"role": 7, "content": "x"}, "user", None, "x"),
        ({"role": None, "name": 5, "content": {"parts": ["x", "y"]}}, "user", "5", "x\n\ny"),
        ("x", "user", None, "x"),
    ],
)  # fmt: skip
def test_names_of_fields_are_tolerated(
    imported: Callable[..., Any], value: object, role: str, speaker: str | None, content: str
) -> None:
    (item,) = imported(lines(value), "chat.jsonl").items
    assert (item.role, item.speaker, item.content) == (role, speaker, content)


@pytest.mark.parametrize("name", ["at", "timestamp", "created_at", "create_time", "date", "ts"])
@pytest.mark.parametrize("value", [1_700_000_000, "2023-11-14T22:13:20Z", 1_700_000_000_000])
def test_names_and_forms_of_time(imported: Callable[..., Any], name: str, value: object) -> None:
    (item,) = imported(lines({"content": "x", name: value}), "chat.jsonl").items
    assert item.at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_time_that_cannot_be_read_is_kept_as_written(imported: Callable[..., Any]) -> None:
    (item,) = imported(lines({"content": "x", "at": "whenever"}), "chat.jsonl").items
    assert item.at is None
    assert item.metadata == {"unread_time": "whenever"}


def test_times_without_a_zone_are_in_the_zone_given(imported: Callable[..., Any]) -> None:
    data = lines({"content": "x", "at": "2024-01-01T12:00"})
    (item,) = imported(data, "chat.jsonl", timezone=timezone(timedelta(hours=3))).items
    assert item.at == datetime(2024, 1, 1, 9, tzinfo=UTC)


def test_tools_are_of_origin_tool(imported: Callable[..., Any]) -> None:
    found = imported(
        lines(
            {"role": "tool", "content": "x"},
            {"role": "function", "content": "y", "origin": "made up"},
            {"role": "user", "content": "z", "origin": "document", "type": "note"},
            {"role": "user", "content": "u", "type": "message", "origin": []},
        ),
        "chat.jsonl",
    )
    assert [(i.origin, i.type) for i in found.items] == [
        ("tool", None), ("tool", None), ("document", "note"), (None, None),
    ]  # fmt: skip


def test_metadata_and_unknown_fields_are_kept(imported: Callable[..., Any]) -> None:
    value = {"content": "x", "metadata": {"a": 1}, "mood": "good", "n": 2, "deep": {"left": "out"}}
    (item,) = imported(lines(value), "chat.jsonl").items
    assert item.metadata == {"a": 1, "mood": "good", "n": 2}


def test_conversations_in_one_line(imported: Callable[..., Any]) -> None:
    found = imported(
        lines(
            {"id": "c1", "created_at": "2024-05-01", "messages": [
                {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, 5]},
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            [{"role": "user", "content": "listed"}, "text"],
        ),
        "train.jsonl",
    )  # fmt: skip
    assert [(i.session, i.content) for i in found.items] == [
        ("c1", "hi"), ("c1", "hello"), ("train line 2", "q"), ("train line 2", "a"),
        ("train line 3", "listed"), ("train line 3", "text"),
    ]  # fmt: skip
    assert found.items[1].at == datetime(2024, 5, 1, tzinfo=UTC)
    assert found.reasons == {"not a message": 1}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_messages(imported: Callable[..., Any], indent: int | None) -> None:
    value = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert imported(json.dumps(value, indent=indent)).contents == ["a", "b"]


def test_an_object_over_several_lines(imported: Callable[..., Any]) -> None:
    value = {"session_id": "s", "messages": [{"role": "user", "content": "a"}]}
    found = imported(json.dumps(value, indent=2))
    assert [(i.session, i.content) for i in found.items] == [("s", "a")]


def test_bad_lines_do_not_stop_the_others(imported: Callable[..., Any]) -> None:
    data = (
        b'{"content": "one"}\r\n\r\n{broken\r\n{"content": ""}\n{"content": null}\n5\nnull\n'
        b'{"content": [{"type": "image_url", "image_url": "x"}]}\n{"role": "user"}\n'
        b'{"content": "tw\\ud800o\\u0000"}\n{"content": "caf\xe9"}\n' + b"[" * 90_000 + b"\n"
        b'{"content": NaN}\n{"content": "last"}'
    )
    found = imported(data, "chat.jsonl")
    assert found.contents == ["one", "tw\ufffdo\ufffd", "caf\ufffd", "last"]
    assert found.items[1].metadata == {"replaced_characters": 2}
    assert sum(found.reasons.values()) == 9
    assert found.reasons["empty"] == 4
    assert found.reasons["not a message"] == 2
    assert found.reasons["no text, only image_url"] == 1
    assert found.skipped[0].where == "line 3"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_other_encodings(imported: Callable[..., Any], encoding: str) -> None:
    data = (json.dumps({"content": "é 😀"}, ensure_ascii=False) + "\r\n").encode(encoding)
    assert imported(data, "chat.jsonl").contents == ["é 😀"]


def test_keys_follow_the_ids_of_messages(imported: Callable[..., Any]) -> None:
    one = imported(lines({"id": "m1", "session": "s", "content": "a"}), "a.jsonl").items[0]
    two = imported(lines({"id": "m1", "session": "s", "content": "a"}), "b.jsonl").items[0]
    assert one.idempotency_key == two.idempotency_key == "jsonl:s:m1"


def test_keys_without_ids_are_stable_when_the_file_grows(imported: Callable[..., Any]) -> None:
    messages = [{"role": "user", "content": text} for text in ("ok", "ok", "well", "ok")]
    short = imported(lines(*messages[:3]), "chat.jsonl").items
    grown = imported(lines(*messages), "chat.jsonl").items
    assert [i.idempotency_key for i in grown[:3]] == [i.idempotency_key for i in short]


def test_messages_without_a_session_belong_to_the_file(imported: Callable[..., Any]) -> None:
    found = imported(lines({"content": "a"}, {"content": "b", "thread_id": 7}), "my chat.jsonl")
    assert [i.session for i in found.items] == ["my chat", "7"]


def test_a_very_long_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    with path.open("wb") as file:
        file.write(b'{"content": "')
        for _ in range(65):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"content": "after"}\n')
    skipped, item = read(path)
    assert skipped.where == "line 1"
    assert getattr(item, "content", None) == "after"


def test_a_damaged_gzip_gives_what_was_whole(imported: Callable[..., Any]) -> None:
    draw = random.Random(1)
    data = lines(*({"content": f"{draw.random()}"} for _ in range(20_000)))
    found = imported(gzip.compress(data.encode())[:-20_000], "chat.jsonl.gz", format="jsonl")
    assert 1000 < len(found.items) < 20_000
    assert "damaged" in found.skipped[-1].why


def test_an_empty_array_holds_nothing(imported: Callable[..., Any]) -> None:
    assert imported("[]") == ([], [])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "name", "at", "session", "id", "messages", "metadata",
                         "text", "author", "type", "parts", "x"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(_JSON, max_size=4))
def test_any_json_gives_items_or_reasons(tmp_path: Path, values: list[Any]) -> None:
    path = tmp_path / "any.jsonl"
    path.write_text(lines(*values))
    for item in read(path, format="jsonl"):
        assert item.where


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=100))
def test_any_bytes_give_items_reasons_or_a_refusal(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(data)
    try:
        list(read(path))
    except ImportRefusedError as error:
        assert "any.jsonl" in str(error)  # noqa: PT017 - either outcome is right
