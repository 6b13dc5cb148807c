"""What mem0's `get_all` gives, saved as JSON: a list, or `{"results": [...]}`.

Each memory is a fact with the time at which it was last written.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
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
from mneme.ingest.importers.records import records
from mneme.ingest.importers.sources import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = re.compile(r".+\.json")
_CONTENT = ("memory", "data", "text")
_OWN = ("user_id", "agent_id", "app_id", "run_id", "actor_id", "categories", "score_threshold")


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The memories of the file.

    Raises:
        ImportRefusedError: The file cannot be read at all.
    """
    with opened(path, MEMBERS, progress) as sources:
        for source in sources:
            for record in records(source):
                if isinstance(record, Skipped):
                    yield record
                else:
                    yield from _entries(record.where, record.value, timezone)


def _entries(where: str, value: object, timezone: tzinfo) -> Iterator[ImportItem | Skipped]:
    """One memory, or the whole answer where the list is not its first field."""
    if isinstance(value, dict) and isinstance(value.get("results"), list):
        for number, entry in enumerate(value["results"], 1):
            yield _memory(f"record {number}", entry, timezone)
        relations = value.get("relations")
        if isinstance(relations, list) and relations:
            yield Skipped("relations", "an edge of mem0's graph", len(relations))
        return
    yield _memory(where, value, timezone)


def _memory(where: str, value: object, timezone: tzinfo) -> ImportItem | Skipped:
    if not isinstance(value, dict):
        return Skipped(where, "not a memory")
    text = next((value[n] for n in _CONTENT if isinstance(value.get(n), str)), "")
    at = value.get("updated_at") or value.get("created_at")
    name = clean_name(value.get("id")) or digest(value.get("user_id"), text)
    return checked(
        ImportItem(
            content=text,
            where=where,
            idempotency_key=f"mem0:{name}",
            session=clean_name(value.get("run_id")) or "mem0",
            role=ROLES.get(str(value.get("role")).lower(), "user"),
            speaker=clean_name(value.get("actor_id")),
            at=moment_of(at, timezone),
            type="fact",
            metadata=_notes(value),
        )
    )


def _notes(value: dict[str, Any]) -> dict[str, Any]:
    own = value.get("metadata")
    notes = dict(own) if isinstance(own, dict) else {}
    return notes | {name: value[name] for name in _OWN if value.get(name)}
