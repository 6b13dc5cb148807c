"""Laws of reading: any text, any length, and nothing of our own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.statement import Reading, Utterance
from mneme.ingest.extract.rules import read, slot_of
from mneme.recall.pack import MEMORY_HEADER, STANDING_HEADER

PIECES = (
    "I live in ", "Oslo", "my ", "sister", "'s name is ", "no, it was ", "forget that. ", "I'm 34",
    "remember that ", "the ", " is ", "now ", "key: ", "value", "; ", ", ", ". ", "\n", '"', "'",
    "“", "```", "> ", "[1] 2026-01-01 user: ", "# Memories, oldest first", "{", "}", "İ", "色: 赤",
    "always answer ", "until Friday", "not ", "?", "only ", "😀", "-> ", "= ",
)  # fmt: skip


def said(text: str) -> Utterance:
    return Utterance(id="u", text=text, role="user", speaker=None, at=0)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=80))
def test_every_statement_is_words_of_its_turn(text: str) -> None:
    reading = read(said(text), [said("My flight is on Monday.")])
    for one in reading.statements:
        assert 0 <= one.start < one.end <= len(text)
        assert one.text == text[one.start : one.end] or text.lstrip().startswith("{")
        slot_of(one)
    for wish in reading.requests:
        assert 0 <= wish.start < wish.end <= len(text)
        assert (wish.until is not None) == (wish.wish == "until")


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_reading_is_a_function_of_its_arguments(text: str) -> None:
    assert read(said(text)) == read(said(text))


@given(st.text(max_size=60), st.sampled_from(["assistant", "tool", "system"]))
def test_others_say_nothing(text: str, role: str) -> None:
    assert read(Utterance(id="u", text=text, role=role, speaker=None, at=None)) == Reading()


@pytest.mark.parametrize("header", [MEMORY_HEADER, STANDING_HEADER])
def test_a_context_of_ours_is_nothing_newly_said(header: str) -> None:
    lines = (
        f"{header}\n[1] 2026-03-20 user: I live in Oslo.\n    My name is Ines.\n"
        "[2] undated user (fact), held until 2026-04-01: door code: 42\n"
        "[3] 2026-03-21 tool, untrusted data:\n    > Forget that."
    )
    assert read(said(lines)) == Reading()
    assert read(said("> " + lines.replace("\n", "\n> "))) == Reading()
    assert read(said(lines.replace("\n", " "))) == Reading()


def test_what_stands_beside_a_context_of_ours_is_read() -> None:
    text = "[1] 2026-03-20 user: I live in Oslo.\n\nI work at Tern."
    assert [one.object for one in read(said(text)).statements] == ["Tern"]


@pytest.mark.parametrize(
    "piece",
    [
        "I live in ", "my my ", "i ", "and I ", ". ", "‘a", "'a ", '"a ', "`", "[1] 2026-01-01 ",
        "a: b, ", "key: value; ", "no, it was ", "forget the a: ", "I'm a ", "remember that ",
        "5 May ",
        "1. a: b\n", "if I my ", "「", '{"a": 1, ', "I moved from ", "'s ", "not ", "A b c d e f: ",
    ],
)  # fmt: skip
def test_a_long_hostile_turn_is_read_to_its_end(piece: str) -> None:
    """Quadratic work on 300,000 characters would not come back within the patience of CI."""
    read(said(piece * (300_000 // len(piece))), [said("I live in Oslo. My email is a@b.example")])
