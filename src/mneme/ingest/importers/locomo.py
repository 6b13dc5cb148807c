"""LoCoMo: conversations of two people in dated sessions (snap-research/locomo).

A turn takes the time of its session; the caption of a photo is part of what was said.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.ingest.importers.items import ImportItem, Progress, Skipped, checked, clean_name
from mneme.ingest.importers.moments import moment_of
from mneme.ingest.importers.records import records
from mneme.ingest.importers.sources import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = re.compile(r".+\.json")
SESSION = re.compile(r"session_(\d{1,6})")


class _Session(NamedTuple):
    sample: str
    name: str
    at: datetime | None


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The turns of all conversations, session by session.

    Raises:
        ImportRefusedError: The file cannot be read at all.
    """
    with opened(path, MEMBERS, progress) as sources:
        for source in sources:
            for record in records(source):
                if isinstance(record, Skipped):
                    yield record
                elif isinstance(record.value, dict):
                    yield from _sample(record.where, record.value, timezone)
                else:
                    yield Skipped(record.where, "not a conversation")


def _sample(where: str, value: dict[str, Any], timezone: tzinfo) -> Iterator[ImportItem | Skipped]:
    talk = value.get("conversation", value)
    found = map(SESSION.fullmatch, talk) if isinstance(talk, dict) else ()
    numbers = sorted((int(m[1]), m[0]) for m in found if m)
    if not numbers:
        yield Skipped(where, "not a conversation")
        return
    sample = clean_name(value.get("sample_id")) or where
    for _, name in numbers:
        at = moment_of(talk.get(f"{name}_date_time"), timezone)
        turns = talk[name]
        if not isinstance(turns, list):
            yield Skipped(f"{sample}, {name}", "not a list of turns")
            continue
        session = _Session(sample, name, at)
        for number, turn in enumerate(turns, 1):
            yield _turn(session, number, turn)


def _turn(session: _Session, number: int, turn: object) -> ImportItem | Skipped:
    where = f"{session.sample}, {session.name}, turn {number}"
    if not isinstance(turn, dict):
        return Skipped(where, "not a turn")
    text, caption = turn.get("text"), turn.get("blip_caption")
    content = text if isinstance(text, str) else ""
    if isinstance(caption, str) and caption:
        content = f"{content} [shares a photo: {caption}]".lstrip()
    name = clean_name(turn.get("dia_id")) or f"{session.name}:{number}"
    return checked(
        ImportItem(
            content=content,
            where=where,
            idempotency_key=f"locomo:{session.sample}:{name}",
            session=f"{session.sample}/{session.name}",
            speaker=clean_name(turn.get("speaker")),
            at=session.at,
            metadata={"dia_id": name},
        )
    )
