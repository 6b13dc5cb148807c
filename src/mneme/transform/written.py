"""Summaries that a caller wrote, and reads along the links of notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.errors import CubeNotFoundError, InvalidInputError
from mneme.core.provenance import SourceSpan
from mneme.govern.retention import is_hidden
from mneme.transform.ground import labels_of
from mneme.transform.notes import related
from mneme.transform.runs import Place
from mneme.transform.sessions import checked
from mneme.vault.codec import canonical_json, cube_of
from mneme.vault.draft import Draft
from mneme.vault.marks import DERIVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.cube import MemCube
    from mneme.core.rows import VersionRow
    from mneme.vault.vault import Vault


def keep_summary(vault: Vault, path: str, text: str, ids: Sequence[str]) -> MemCube:
    """Keep a summary of cubes that support it.

    Raises:
        CubeNotFoundError: One of the cubes is not there.
        GateFailedError: They do not say it, or say otherwise; nothing was kept.
    """
    if not ids:
        raise InvalidInputError("name the cubes that the summary is of")
    with vault.parts.store.write() as tx:
        rows = [vault.lives.readable(tx, path, cube_id) for cube_id in dict.fromkeys(ids)]
        bodies = [tx.cubes.body(row.key, row.text_version)[0] for row in rows]
        checked(text, bodies)
        namespace = tx.cubes.touch_namespace(path)
        draft = _draft(text, rows, bodies)
        row = vault.writer.insert(tx, path, namespace, [draft])[0]
    return cube_of(row, path, text)


def related_to(vault: Vault, path: str, cube_id: str) -> list[MemCube]:
    """The cubes that a note is linked with."""
    now = vault.parts.clock.now_us()
    with vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        if known is None:
            raise CubeNotFoundError(cube_id, path)
        row = vault.lives.readable(tx, path, cube_id)
        rows = [r for r in related(Place(tx, path, known), row) if not is_hidden(r, now)]
        return [
            cube_of(r, path, tx.cubes.body(r.key, r.text_version)[0], tx.ledger.uses(r.key))
            for r in rows
        ]


def _draft(text: str, rows: Sequence[VersionRow], bodies: Sequence[str]) -> Draft:
    sessions, speakers = {row.session for row in rows}, {row.speaker for row in rows}
    labels = {label for row in rows for label in labels_of(row)}
    return Draft(
        text=text,
        type="summary",
        session=sessions.pop() if len(sessions) == 1 else None,
        speaker=speakers.pop() if len(speakers) == 1 else None,
        labels=canonical_json(sorted(labels)) if labels else None,
        event_at=max((r.event_at for r in rows if r.event_at is not None), default=None),
        expires_at=min((r.expires_at for r in rows if r.expires_at is not None), default=None),
        origin=DERIVED,
        method="summarised",
        trust="untrusted" if any(row.trust == "untrusted" for row in rows) else "trusted",
        sources=tuple(
            SourceSpan(cube_id=row.id, version=row.version, start=0, end=len(body))
            for row, body in zip(rows, bodies, strict=True)
        ),
    )
