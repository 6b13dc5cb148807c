"""Messages as JSON Lines, or as a JSON array, with the usual names of their fields.

A line is a message (`{"role", "content", "name", "at", "session", ...}`), a text, or a whole
conversation (`{"messages": [...]}`). Messages without a session belong to one that is named
after the file.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from mneme.ingest.importers.items import (
    ROLES,
    ImportItem,
    Progress,
    Skipped,
    checked,
    clean_name,
    digest,
)
from mneme.ingest.importers.moments import moment_of
from mneme.ingest.importers.parts import missing, text_of
from mneme.ingest.importers.records import MAX_RECORD_BYTES, Record, parse, records
from mneme.ingest.importers.sources import Source, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = re.compile(r".+\.(?:jsonl|ndjson|json)")
CONTENT = ("content", "text", "message", "body", "value", "parts")
ROLE = ("role", "sender", "author", "from")
_NAME = ("name", "speaker", "author_name", "username", "user_name")
_AT = ("at", "timestamp", "created_at", "create_time", "datetime", "date", "time", "ts", "event_at")
_SESSION = ("session", "session_id", "conversation_id", "thread_id", "chat_id", "conversation",
            "thread", "id", "uuid")  # fmt: skip
_ID = ("idempotency_key", "id", "message_id", "uuid", "msg_id")
_LISTS = ("messages", "conversations", "turns")
_TYPES = frozenset({"turn", "document", "fact", "preference", "instruction", "event", "summary",
                    "profile", "note", "procedure", "lesson", "task", "table"})  # fmt: skip
_ORIGINS = frozenset({"user", "assistant", "tool", "document"})
_KNOWN = frozenset({*CONTENT, *ROLE, *_NAME, *_AT, *_SESSION, *_ID, "type", "origin", "metadata"})


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The messages of the file, in its order.

    Raises:
        ImportRefusedError: The file cannot be read at all.
    """
    reader = _Reader(clean_name(path.name.partition(".")[0]) or "import", timezone)
    with opened(path, MEMBERS, progress) as sources:
        for source in sources:
            for record in _values(source):
                yield from [record] if isinstance(record, Skipped) else reader.items(record)


def _values(source: Source) -> Iterator[Record | Skipped]:
    """One value for each line, or for each entry where the file is one JSON text."""
    head = source.peek().lstrip()
    if head[:1] == b"[" or re.match(rb"\{\s*\n", head):
        yield from records(source)
        return
    number = 0
    while line := source.readline(MAX_RECORD_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MAX_RECORD_BYTES:
            while line and not line.endswith(b"\n"):
                line = source.readline(MAX_RECORD_BYTES)
            yield Skipped(where, f"longer than {MAX_RECORD_BYTES // 2**20} MiB")
        elif bare := line.strip(b"\x1e \t\r\n,"):
            yield parse(where, bare)
    if source.problem:
        yield Skipped(f"line {number + 1}", source.problem)


def first_of(value: dict[str, Any], names: tuple[str, ...]) -> object:
    """The first of the fields that is there and not empty."""
    return next((value[n] for n in names if value.get(n) not in (None, "", [], {})), None)


class _Reader:
    """Gives messages their sessions and keys; `ordinals` counts the messages of each session."""

    def __init__(self, stem: str, timezone: tzinfo) -> None:
        self._stem, self._timezone = stem, timezone
        self._ordinals: Counter[str] = Counter()

    def items(self, record: Record) -> Iterator[ImportItem | Skipped]:
        """The messages of a line."""
        value = record.value
        if isinstance(value, str):
            value = {"content": value}
        if isinstance(value, list):
            yield from self._talk(record.where, {}, value)
            return
        if not isinstance(value, dict):
            yield Skipped(record.where, "not a message")
            return
        listed = next((value[n] for n in _LISTS if isinstance(value.get(n), list)), None)
        if listed is not None:
            yield from self._talk(record.where, value, listed)
        else:
            yield self._message(record.where, value, self._session(value, _SESSION[:-2]), None)

    def _talk(
        self, where: str, talk: dict[str, Any], listed: list[Any]
    ) -> Iterator[ImportItem | Skipped]:
        """A conversation that stands in one line."""
        session = self._session(talk, _SESSION) or f"{self._stem} {where}"
        at = moment_of(first_of(talk, _AT), self._timezone)
        for number, value in enumerate(listed, 1):
            said = {"content": value} if isinstance(value, str) else value
            place = f"{where}, message {number}"
            if isinstance(said, dict):
                yield self._message(place, said, session, at)
            else:
                yield Skipped(place, "not a message")

    def _session(self, value: dict[str, Any], names: tuple[str, ...]) -> str | None:
        return clean_name(first_of(value, names))

    def _message(
        self, where: str, value: dict[str, Any], session: str | None, talk_at: datetime | None
    ) -> ImportItem | Skipped:
        session = session or self._stem
        self._ordinals[session] += 1
        text, others = text_of(first_of(value, CONTENT))
        if not text:
            return Skipped(where, missing(others))
        said_at = first_of(value, _AT)
        at = moment_of(said_at, self._timezone) or talk_at
        role, speaker = _who(value)
        name = clean_name(first_of(value, _ID))
        ordinal = self._ordinals[session]
        kind, origin = value.get("type"), value.get("origin")
        return checked(
            ImportItem(
                content=text,
                where=where,
                idempotency_key=f"jsonl:{session}:{name or digest(ordinal, role, at, text)}",
                session=session,
                role=role,
                speaker=speaker,
                at=at,
                type=kind if isinstance(kind, str) and kind in _TYPES else None,
                metadata=_notes(value, others, None if at else said_at),
                origin=origin if isinstance(origin, str) and origin in _ORIGINS else None,
            )
        )


def _who(value: dict[str, Any]) -> tuple[str, str | None]:
    """Role and name of who said it; a role that is none is taken for a name."""
    said = first_of(value, ROLE)
    if isinstance(said, dict):  # {"author": {"role": "user", "name": "Ada"}}
        value = {**said, **{k: v for k, v in value.items() if k in _NAME}}
        said = first_of(said, ROLE)
    name = clean_name(first_of(value, _NAME))
    role = ROLES.get(said.lower()) if isinstance(said, str) else "user"
    return role or "user", name or (clean_name(said) if role is None else None)


def _notes(value: dict[str, Any], others: list[str], unread_time: object) -> dict[str, Any]:
    """The message's own metadata, and what else is worth keeping."""
    own = value.get("metadata")
    notes = dict(own) if isinstance(own, dict) else {}
    notes |= {
        k: v for k, v in value.items() if k not in _KNOWN and isinstance(v, str | int | float)
    }
    if others:
        notes["not_imported"] = sorted(set(others))
    if unread_time is not None:
        notes["unread_time"] = str(unread_time)[:100]
    return notes
