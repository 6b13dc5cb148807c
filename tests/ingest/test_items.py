"""What leaves an importer is what a store takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.ingest.importers.items import (
    ImportItem,
    Skipped,
    checked,
    clean_metadata,
    clean_name,
    digest,
)


def item(**given_fields: object) -> ImportItem | Skipped:
    fields: dict[str, Any] = {"content": "hi", "where": "line 1", "idempotency_key": "k"}
    fields.update(given_fields)
    return checked(ImportItem(**fields))


def kept(**given_fields: object) -> ImportItem:
    found = item(**given_fields)
    assert isinstance(found, ImportItem)
    return found


def test_arguments_are_those_of_add() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    full = kept(session="s", role="tool", speaker="Ada", at=at, type="turn", metadata={"a": 1})
    assert full.arguments() == {
        "content": "hi", "session": "s", "role": "tool", "speaker": "Ada", "at": at, "type": "turn",
        "metadata": {"a": 1}, "origin": "tool", "idempotency_key": "k",
    }  # fmt: skip
    assert kept().arguments() == {"content": "hi", "role": "user", "idempotency_key": "k"}


@pytest.mark.parametrize("content", ["", " ", "\n\t", "\u2003"])
def test_an_item_without_text_is_skipped(content: str) -> None:
    assert item(content=content) == Skipped("line 1", "empty")


def test_refused_characters_are_replaced_and_counted() -> None:
    found = kept(content="a\x00b\ud800c\r\n", speaker="Z\ud83d", session="x\x00y")
    assert found.content == "a\ufffdb\ufffdc\r\n"
    assert found.metadata == {"replaced_characters": 2}
    assert found.speaker == "Z\ufffd"
    assert found.session == "x\ufffdy"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(" a \n b ", "a b"), ("", None), (None, None), (7, "7"), (True, None), (1.5, None), ([], None),
     ("\x07\u200b", None), (10**50, None), ("a\u202eb", "ab")],
)  # fmt: skip
def test_names_are_one_line(value: object, expected: str | None) -> None:
    assert clean_name(value) == expected


def test_long_names_stay_apart() -> None:
    one, two = clean_name("x" * 300 + "1"), clean_name("x" * 300 + "2")
    assert one
    assert two
    assert one != two
    assert len(one) == len(two) == 200


def test_metadata_keeps_what_json_can_hold() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"d": deep}
    found = clean_metadata(
        {"a": float("nan"), "b": [1, None, float("inf"), "x\x00"], "c": 10**40, "d": deep,
         "e\ud800": True, "f": object(), "g": 1.5}
    )  # fmt: skip
    assert found["b"] == [1, "x\ufffd"]
    assert {"e\ufffd": True, "g": 1.5}.items() <= found.items()
    assert not {"a", "c", "f"} & set(found)
    assert len(json.dumps(found)) < 200


@given(st.text(max_size=30), st.text(max_size=30))
def test_digests_tell_parts_apart(one: str, two: str) -> None:
    assert (digest(one, two) == digest(one + two, "")) == (two == "")


@given(content=st.text(max_size=50), name=st.text(max_size=300))
def test_whatever_comes_in_can_be_stored(content: str, name: str) -> None:
    found = item(content=content, session=name, speaker=name, metadata={name: content})
    if isinstance(found, ImportItem):
        json.dumps(found.arguments()["content"]).encode("utf-8")
        for text in (found.content, found.session or "", found.speaker or ""):
            text.encode("utf-8")
            assert "\x00" not in text
