"""Values as JSON and as lines."""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mneme.cli import render
from mneme.core.lifecycle import State
from mneme.core.plain import plain

Pair = namedtuple("Pair", "left right")  # noqa: PYI024  (what rows of the store look like)
MOMENT = datetime(2026, 3, 20, 9, 30, tzinfo=timezone(timedelta(hours=1)))


@dataclass(frozen=True)
class Record:
    name: str
    parts: tuple[object, ...]


def test_plain_values_are_what_json_knows() -> None:
    record = Record("a", (MOMENT, State.FROZEN, Pair(1, None), {"k": {2.5}}, b"\xff"))
    assert plain(record) == {
        "name": "a",
        "parts": ["2026-03-20T08:30:00Z", "frozen", {"left": 1, "right": None}, {"k": [2.5]}, "ff"],
    }
    assert plain([Path("x"), date(2026, 3, 20)]) == ["x", "2026-03-20"]
    assert plain(Record) == repr(Record)


def test_json_keeps_other_scripts_and_escapes_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    render.print_json({"text": "京都 \x1b[2J"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": "京都 \x1b[2J"}
    assert "\x1b" not in out


def test_lines_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.say("a\x1b[2Jb\rc\td\n\u2028")
    assert capsys.readouterr().out == "a\ufffd[2Jb\ufffdc\td\n\ufffd\n"


def test_times_are_iso_in_utc() -> None:
    assert render.when(MOMENT) == "2026-03-20T08:30:00Z"
    assert render.when(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    assert render.when(None) == "undated"


def test_long_texts_are_shown_by_their_beginning() -> None:
    assert render.preview("a\n b") == "a b"
    assert render.preview("x" * 400) == "x" * 300 + "…"


def test_records_are_shown_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_record({"a": 1, "b": {"c": [1, 2]}, "d": [{"id": "x", "n": 1}], "e": {}, "f": []})
    assert capsys.readouterr().out.splitlines() == [
        "a: 1",
        "b:",
        "  c: 1, 2",
        "d: 1",
        "  id x, n 1",
        "e: {}",
        "f: ",
    ]
