"""What carriers are to their sources: whether these may be read, and say what they said.

Within a transaction: rows in, rows out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mneme.core.errors import CubeNotFoundError, InvalidInputError, VersionConflictError
from mneme.core.lifecycle import SEARCHED, State
from mneme.core.provenance import SourceSpan
from mneme.govern.retention import is_hidden
from mneme.govern.trust import trust_of
from mneme.vault.codec import canonical_json, sources_json, sources_of
from mneme.vault.marks import DERIVED, ON_REQUEST
from mneme.vault.stale import said_in
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction


def readable(tx: Transaction, path: str, cube_id: str, now: int) -> VersionRow:
    """The current version of a cube that reads may show.

    Raises:
        CubeNotFoundError: There is none.
    """
    known = tx.cubes.namespace(path)
    row = tx.cubes.current(known.number, cube_id) if known else None
    if row is None or is_hidden(row, now):
        raise CubeNotFoundError(cube_id, path)
    return row


def source_of(tx: Transaction, path: str, cube_id: str, version: int, now: int) -> VersionRow:
    """A source as it is now, if its text is still that of the version that was read.

    Raises:
        CubeNotFoundError: It is not readable.
        InvalidInputError: It has no text.
        VersionConflictError: Its text was changed since.
    """
    row = readable(tx, path, cube_id, now)
    if row.kind != "plaintext":
        raise InvalidInputError(f"cube {cube_id!r} has no text that could be promoted")
    moved = row.type == "table" and row.version != version  # its rows are its text
    if moved or not says_same(tx, row, version):
        raise VersionConflictError(cube_id, version, row.version)
    return row


def described(
    tx: Transaction,
    row: VersionRow,
    sources: Sequence[VersionRow],
    read: Sequence[tuple[str, int]],
) -> VersionRow:
    """The header that follows from what a cube carries.

    Args:
        tx: Where texts are.
        row: The header before.
        sources: As they are now, at least one.
        read: Id and version of each, as it was read.
    """
    spans = [
        SourceSpan(
            cube_id=source.id,
            version=version,
            start=0,
            end=len(tx.cubes.body(source.key, source.text_version)[0]),
        )
        for source, (_, version) in zip(sources, read, strict=True)
    ]
    labels = sorted({label for source in sources for label in _labels(source)})
    return row._replace(
        type=sources[0].type,
        session=sources[0].session,
        labels=canonical_json(labels) if labels else None,
        trust=trust_of(DERIVED, [source.trust for source in sources]),
        sources=sources_json(spans),
    )


def is_true(tx: Transaction, ns: int, carrier: VersionRow, now: int) -> bool:
    """Whether all that a carrier carries may be said now, unasked."""
    return all(still_says(tx, ns, span, now) for span in sources_of(carrier))


def still_says(tx: Transaction, ns: int, span: SourceSpan, now: int) -> bool:
    """Whether what was read of a source may be said now, unasked."""
    row = tx.cubes.current(ns, span.cube_id)
    if row is None or not (may_be_said(row, now) and says_same(tx, row, span.version)):
        return False
    return not _is_retired(tx, ns, row, now)


def may_be_said(row: VersionRow, now: int) -> bool:
    """Whether a text is shown, in force, and given also where nobody asks for it."""
    begun = row.valid_from is None or row.valid_from <= now
    over = row.valid_to is not None and row.valid_to <= now
    shown = row.state in SEARCHED and not is_hidden(row, now)
    return shown and begun and not over and ON_REQUEST not in _labels(row)


def _is_retired(tx: Transaction, ns: int, row: VersionRow, now: int) -> bool:
    """Whether all that was extracted from a text holds no longer, as searches see it."""
    children = tx.cubes.current_of_keys(ns, tx.ledger.children(row.key, SOURCE))
    claims = [c for c in children if c.method == "extracted" and c.state != State.MERGED]
    return bool(claims) and all(_is_closed(claim, now) for claim in claims)


def _is_closed(row: VersionRow, now: int) -> bool:
    return is_hidden(row, now) or (row.valid_to is not None and row.valid_to <= now)


def _labels(row: VersionRow) -> list[str]:
    return list(json.loads(row.labels)) if row.labels else []


def source_ids(row: VersionRow) -> tuple[str, ...]:
    """The ids of what a cube carries, in the order of the prompt or of the ledger."""
    return tuple(cube_id for cube_id, *_ in json.loads(row.sources)) if row.sources else ()


def says_same(tx: Transaction, row: VersionRow, version: int) -> bool:
    """Whether a cube still says what one of its versions said."""
    found = tx.cubes.version_at(row.key, version)
    return found is not None and said_in(found[1]) == said_in(row)
