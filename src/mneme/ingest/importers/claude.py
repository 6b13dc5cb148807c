"""A Claude export: `conversations.json`, alone or in the zip.

Messages name their parent in newer exports: then the branch that ends in the last message is
imported. Text extracted from an attachment is a document; what a tool gave back is said by a tool.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.ingest.importers.items import ROLES, ImportItem, Progress, Skipped, checked, clean_name
from mneme.ingest.importers.moments import moment_of
from mneme.ingest.importers.parts import missing, text_of
from mneme.ingest.importers.records import records
from mneme.ingest.importers.sources import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mneme.ingest.importers.records import Record

MEMBERS = re.compile(r"conversations(?:[-_]\d+)?\.json")

_ROOT = "00000000-0000-4000-8000-000000000000"  # the parent of a conversation's first message


class _Said(NamedTuple):
    """A message and what its conversation gives it."""

    value: dict[str, Any]
    where: str
    session: str
    name: str
    at: datetime | None
    title: str | None

    def key(self, *more: object) -> str:
        return ":".join(["claude", self.session, self.name, *map(str, more)])


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The messages of all conversations, each conversation in its order.

    Raises:
        ImportRefusedError: The file cannot be read at all.
    """
    with opened(path, MEMBERS, progress) as sources:
        for source in sources:
            for record in records(source):
                if isinstance(record, Skipped):
                    yield record
                else:
                    yield from _conversation(record, timezone)


def _conversation(record: Record, timezone: tzinfo) -> Iterator[ImportItem | Skipped]:
    value = record.value
    listed = value.get("chat_messages") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        yield Skipped(record.where, "not a conversation")
        return
    title = clean_name(value.get("name"))
    session = clean_name(value.get("uuid")) or f"{record.where} {title or ''}".strip()
    place = f"{record.where} ({title or session})"
    at = moment_of(value.get("created_at"), timezone)
    kept = _branch(listed, value.get("current_leaf_message_uuid"))
    for number, said in enumerate(listed, 1):
        where = f"{place}, message {number}"
        if not isinstance(said, dict):
            yield Skipped(where, "not a message")
        elif number - 1 in kept:
            at = moment_of(said.get("created_at"), timezone) or at
            name = clean_name(said.get("uuid")) or str(number)
            yield from _message(_Said(said, where, session, name, at, title))
    left = sum(1 for n, said in enumerate(listed) if n not in kept and isinstance(said, dict))
    if left:
        yield Skipped(place, "on a branch that was left", left)


def _branch(listed: list[Any], last: object) -> set[int]:
    """The places of the messages on the branch of the last one."""
    places: dict[object, int] = {
        said["uuid"]: number
        for number, said in enumerate(listed)
        if isinstance(said, dict) and isinstance(said.get("uuid"), str)
    }
    place = places.get(last, len(listed) - 1) if isinstance(last, str) else len(listed) - 1
    kept: set[int] = set()
    while place >= 0 and place not in kept:
        kept.add(place)
        place = _parent(listed, place, places)
    return kept


def _parent(listed: list[Any], place: int, places: dict[object, int]) -> int:
    """The place of the message that this one names, else of the one above; -1 at the root."""
    said = listed[place]
    named = said.get("parent_message_uuid") if isinstance(said, dict) else None
    if named == _ROOT:
        return -1
    return places.get(named, place - 1) if isinstance(named, str) else place - 1


def _message(said: _Said) -> Iterator[ImportItem | Skipped]:
    yield from _attachments(said)
    role = ROLES.get(str(said.value.get("sender")).lower(), "user")
    blocks = said.value.get("content")
    text, others = text_of(blocks)
    yield from _tool_results(said, blocks)
    plain = said.value.get("text")
    text = text or (plain if isinstance(plain, str) else "")
    if not text.strip():
        if not said.value.get("attachments"):
            yield Skipped(said.where, missing(others))
        return
    files = [n for n in map(_file_name, _listed(said.value, "files")) if n]
    yield checked(
        ImportItem(
            content=text,
            where=said.where,
            idempotency_key=said.key(),
            session=said.session,
            role=role,
            at=said.at,
            metadata={"title": said.title, "files": files or None},
        )
    )


def _listed(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = value.get(name)
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _file_name(part: dict[str, Any]) -> str | None:
    return clean_name(part.get("file_name"))


def _attachments(said: _Said) -> Iterator[ImportItem | Skipped]:
    """Each attachment with text as a document."""
    for number, part in enumerate(_listed(said.value, "attachments"), 1):
        where = f"{said.where}, attachment {number}"
        text = part.get("extracted_content")
        if not isinstance(text, str) or not text.strip():
            yield Skipped(where, "an attachment without text")
            continue
        yield checked(
            ImportItem(
                content=text,
                where=where,
                idempotency_key=said.key("attachment", number),
                session=said.session,
                at=said.at,
                type="document",
                origin="document",
                metadata={"title": said.title, "file_name": _file_name(part)},
            )
        )


def _tool_results(said: _Said, blocks: object) -> Iterator[ImportItem | Skipped]:
    """What tools gave back inside the message."""
    for number, block in enumerate(blocks if isinstance(blocks, list) else [], 1):
        if not isinstance(block, dict) or block.get("type") != "tool_result":
            continue
        where = f"{said.where}, tool result {number}"
        text, others = text_of(block.get("content"))
        if not text:
            yield Skipped(where, missing(others))
            continue
        yield checked(
            ImportItem(
                content=text,
                where=where,
                idempotency_key=said.key("tool", number),
                session=said.session,
                role="tool",
                at=said.at,
                metadata={"title": said.title, "tool": block.get("name")},
            )
        )
