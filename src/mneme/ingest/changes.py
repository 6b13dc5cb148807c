"""Edits as the vault takes them, and what an edited document means for its sections."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mneme.core.errors import InvalidInputError
from mneme.core.lifecycle import HIDDEN, State
from mneme.core.moments import optional_us
from mneme.core.provenance import SourceSpan
from mneme.ingest import checks
from mneme.ingest.reader import section_draft
from mneme.ingest.segment import sections
from mneme.vault.codec import sources_json
from mneme.vault.draft import Draft
from mneme.vault.marks import MUTE
from mneme.vault.write import RULES, enqueue_reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.ingest.reader import Limits
    from mneme.ingest.segment import Section
    from mneme.vault.vault import Vault

_TIMES = ("valid_from", "valid_to", "expires_at")


def changes_of(given: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The fields that an `update` changes, checked; those that are None stay as they were."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in _TIMES:
            changes[name] = optional_us(value, limits.zone, name=name)
        elif name == "text":
            changes[name] = checks.text_of(value, name=name, max_bytes=limits.document_bytes)
        elif name == "metadata":
            changes[name] = checks.metadata_of(value, max_bytes=limits.metadata_bytes)
        elif name == "type":
            changes[name] = checks.type_of(value)
        elif name == "labels":
            changes[name] = checks.labels_of(value)
        elif name == "priority":
            changes[name] = checks.priority_of(value)
        else:
            changes[name] = int(checks.flag_of(value, name=name))
    if not changes:
        raise InvalidInputError("nothing to change: give text, metadata, type or another field")
    _check_validity(changes)
    return changes


def _check_validity(changes: dict[str, Any]) -> None:
    first, last = changes.get("valid_from"), changes.get("valid_to")
    if first is not None and last is not None and last <= first:
        raise InvalidInputError("valid_to must lie after valid_from")


def update(
    vault: Vault,
    path: str,
    cube_id: str,
    changes: dict[str, Any],
    expected: int | None,
    limits: Limits,
) -> tuple[VersionRow, str]:
    """Write the next version of a cube; a document's sections are cut anew in the same commit."""
    text = changes.get("text")
    if text is None:
        return vault.lives.update(path, cube_id, changes, expected_version=expected)
    row = vault.reader.header(path, cube_id)
    if not _is_whole_document(row):
        checks.text_of(text, name="text", max_bytes=limits.turn_bytes)
        return vault.lives.update(
            path, cube_id, changes, expected_version=expected,
            follow=lambda tx, ns, written: _read_again(vault, tx, path, ns, written),
        )  # fmt: skip
    parts = sections(text)
    changes["indexed"] = len(parts) < 2
    return vault.lives.update(
        path, cube_id, changes, expected_version=expected,
        follow=lambda tx, ns, written: _cut_again(vault, tx, path, ns, written, text),
    )  # fmt: skip


def rollback(vault: Vault, path: str, cube_id: str, to_version: int) -> tuple[VersionRow, str]:
    """Write an older version's payload again; a document's sections follow."""

    def follow(tx: Transaction, namespace: Namespace, row: VersionRow) -> None:
        if row.type == "table":
            tx.tables.roll_back(row.key, to_version, row.version)
        if _is_whole_document(row):
            text = tx.cubes.body(row.key, row.text_version)[0]
            _cut_again(vault, tx, path, namespace, row, text)
        else:
            _read_again(vault, tx, path, namespace, row)

    return vault.lives.rollback(path, cube_id, to_version, follow)


def _read_again(
    vault: Vault, tx: Transaction, path: str, namespace: Namespace, row: VersionRow
) -> None:
    """Have written memory read a turn whose text changed, unless it never read it."""
    if row.origin == "user" and row.key not in tx.written.marked(namespace.number, MUTE, 0):
        now = vault.parts.clock.now_us()
        tx.written.hear(namespace.number, [row.key], RULES, now)
        enqueue_reading(tx, path, now)


def _is_whole_document(row: VersionRow) -> bool:
    return row.type == "document" and row.method != "section"


def _cut_again(
    vault: Vault, tx: Transaction, path: str, namespace: Namespace, whole: VersionRow, text: str
) -> None:
    """Make the sections of a document say what its new text says; those unchanged stay."""
    found = sections(text)
    wanted = found if len(found) > 1 else []
    shelved = whole.state == State.ARCHIVED  # then its sections are, and stay so
    by_text: dict[str, list[VersionRow]] = {}
    for row in vault.lives.parts_of(tx, namespace, whole.key):
        if shelved or row.state != State.ARCHIVED:
            body = tx.cubes.body(row.key, row.text_version)[0]
            by_text.setdefault(body, []).append(row)
    left = []
    for part in wanted:
        same = by_text.get(text[part.start : part.end])
        if same:
            same.pop(0)
        else:
            left.append(part)
    free = (row for rows in by_text.values() for row in rows if row.state not in HIDDEN)
    spare = sorted(free, key=lambda row: row.key)
    for row, part in zip(spare, left, strict=False):
        _rewrite(vault, tx, path, namespace, row, _section(whole, text, part))
    drafts = [_section(whole, text, part) for part in left[len(spare) :]]
    new = vault.writer.insert(tx, path, namespace, drafts)
    for row in new if shelved else spare[len(left) :]:
        vault.lives.write(tx, path, namespace, row._replace(state=State.ARCHIVED), "archive")


def _rewrite(
    vault: Vault, tx: Transaction, path: str, namespace: Namespace, row: VersionRow, draft: Draft
) -> None:
    """Give a section another text."""
    row = row._replace(sources=sources_json(draft.sources), metadata=draft.metadata)
    said = (draft.text, vault.lives.entry_of(row, draft.text))
    vault.lives.write(tx, path, namespace, row, "update", said=said)


def _section(whole: VersionRow, text: str, part: Section) -> Draft:
    header = Draft(
        text=text, type=whole.type, session=whole.session, role=whole.role, speaker=whole.speaker,
        labels=whole.labels, event_at=whole.event_at, expires_at=whole.expires_at,
        priority=whole.priority, hold=bool(whole.hold), origin=whole.origin, trust=whole.trust,
    )  # fmt: skip
    span = SourceSpan(cube_id=whole.id, version=whole.version, start=part.start, end=part.end)
    return replace(section_draft(header, part), part_of=None, sources=(span,))
