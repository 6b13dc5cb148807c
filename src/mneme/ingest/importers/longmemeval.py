"""LongMemEval: questions, each with its haystack of dated sessions (xiaowu0162/LongMemEval).

Several questions may hold the same session: it is read once.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.ingest.importers.items import ROLES, ImportItem, Progress, Skipped, checked, clean_name
from mneme.ingest.importers.moments import moment_of
from mneme.ingest.importers.parts import text_of
from mneme.ingest.importers.records import records
from mneme.ingest.importers.sources import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mneme.ingest.importers.records import Record

MEMBERS = re.compile(r".+\.json")


class _Session(NamedTuple):
    """A session of a haystack as the file has it."""

    name: str
    date: object
    turns: object


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The turns of every session of every question.

    Raises:
        ImportRefusedError: The file cannot be read at all.
    """
    known: set[str] = set()
    with opened(path, MEMBERS, progress) as sources:
        for source in sources:
            for record in records(source):
                yield from (
                    [record] if isinstance(record, Skipped) else _question(record, timezone, known)
                )


def _question(record: Record, timezone: tzinfo, known: set[str]) -> Iterator[ImportItem | Skipped]:
    value = record.value
    haystack = value.get("haystack_sessions") if isinstance(value, dict) else None
    if not isinstance(haystack, list):
        yield Skipped(record.where, "not a question with its sessions")
        return
    question = clean_name(value.get("question_id")) or record.where
    repeats = 0
    for session in _sessions(question, value, haystack):
        if session.name in known:
            repeats += 1
            continue
        known.add(session.name)
        yield from _turns(question, session, timezone)
    if repeats:
        yield Skipped(question, "a session that another question holds too", repeats)


def _sessions(question: str, value: dict[str, Any], haystack: list[Any]) -> Iterator[_Session]:
    names, dates = value.get("haystack_session_ids"), value.get("haystack_dates")
    for number, turns in enumerate(haystack):
        name = clean_name(_at(names, number)) or f"{question}/{number + 1}"
        yield _Session(name, _at(dates, number), turns)


def _at(values: object, number: int) -> object:
    return values[number] if isinstance(values, list) and number < len(values) else None


def _turns(question: str, session: _Session, timezone: tzinfo) -> Iterator[ImportItem | Skipped]:
    place = f"{question}, {session.name}"
    if not isinstance(session.turns, list):
        yield Skipped(place, "not a list of turns")
        return
    at = moment_of(session.date, timezone)
    for number, turn in enumerate(session.turns, 1):
        where = f"{place}, turn {number}"
        if not isinstance(turn, dict):
            yield Skipped(where, "not a turn")
            continue
        yield checked(
            ImportItem(
                content=text_of(turn.get("content"))[0],
                where=where,
                idempotency_key=f"longmemeval:{session.name}:{number}",
                session=session.name,
                role=ROLES.get(str(turn.get("role")).lower(), "user"),
                at=at,
            )
        )
