"""Cubes that carry texts as something else: their sources, and how they are written.

There is one activation cube for the same sources in the same order, the same engine and the same
form; what is computed anew is its next version. All within a transaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.core.errors import FrozenCubeError, InvalidInputError, VersionConflictError
from mneme.core.lifecycle import SEARCHED, State
from mneme.core.provenance import SourceSpan
from mneme.core.rows import TextRow, VersionRow
from mneme.govern.retention import is_hidden
from mneme.govern.trust import trust_of
from mneme.vault import audit
from mneme.vault.bonds import FORGOTTEN_WITH
from mneme.vault.codec import canonical_json, sources_json, sources_of
from mneme.vault.marks import DERIVED, ON_REQUEST
from mneme.vault.stale import ACTIVATION, CARRIES, carriers_of, facts_of, has_ended, said_in
from mneme.vault.write import SOURCE, enqueue_followers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.store import Transaction
    from mneme.vault.draft import Prefilled
    from mneme.vault.life import Lives
    from mneme.vault.parts import Parts

_SALT_BYTES = 16


class CarrierWriter:
    """Writes activation cubes of a namespace."""

    def __init__(self, parts: Parts, lives: Lives) -> None:
        self._parts, self._lives = parts, lives

    def write(
        self,
        tx: Transaction,
        path: str,
        header: Prefilled,
        state: State,
        facts: dict[str, Any],
    ) -> tuple[VersionRow, str]:
        """The cube at its newest version, which is written if anything of it is new."""
        sources = [source_of(self._lives, tx, path, *each) for each in header.sources]
        if not sources:
            raise InvalidInputError("an activation cube has at least one source")
        known = self.same(tx, path, header)
        first = blank(self._parts, ACTIVATION, header.method)
        row = described(tx, known or first, sources, header.sources)
        ends = [source.expires_at for source in sources if source.expires_at is not None]
        row = row._replace(
            expires_at=min(ends, default=None), method=header.method, model=header.engine
        )
        if known is not None and row.sources == known.sources and not has_ended(known):
            facts = facts_of(known) | facts
        row = row._replace(metadata=canonical_json(facts), prior_state=None)
        if known is None:
            row = insert(tx, self._parts, path, row._replace(state=state.value), sources)
        elif known.state == State.FROZEN and row != known:
            raise FrozenCubeError(known.id, "promote")
        elif known.state != State.FROZEN and row._replace(state=state.value) != known:
            namespace = tx.cubes.touch_namespace(path)
            tx.ledger.set_parents(row.key, FORGOTTEN_WITH, [])
            row = row._replace(state=state.value)
            row = self._lives.write(tx, path, namespace, row, "promote")
        return row, ""

    def same(self, tx: Transaction, path: str, header: Prefilled) -> VersionRow | None:
        """The cube of these sources, this engine and this form."""
        ids = tuple(cube_id for cube_id, _ in header.sources)
        known = tx.cubes.namespace(path)
        first = tx.cubes.current(known.number, ids[0]) if known and ids else None
        if known is None or first is None:
            return None
        for row in carriers_of(tx, known.number, first.key):
            if row.kind != ACTIVATION:
                continue
            same = row.model == header.engine and facts_of(row).get("form") == header.form
            if same and source_ids(row) == ids:
                return row
        return None


def facts_made(header: Prefilled, blocks: int, size: int) -> dict[str, Any]:
    """The metadata of an activation cube."""
    return {
        **header.extra,
        "form": header.form,
        "tokens": header.tokens,
        "blocks": blocks,
        "bytes": size,
        "engine": header.engine,
    }


def blank(parts: Parts, kind: str, method: str) -> VersionRow:
    """A first version that its sources are still to describe."""
    return VersionRow(
        0, 1, 1, parts.ids.make(), kind, "", State.GENERATED.value, None, "", "user", None,
        None, None, None, parts.clock.now_us(), None, None, None, None, 0, DERIVED, method,
        parts.actor, None, "trusted", None,
    )  # fmt: skip


def source_of(lives: Lives, tx: Transaction, path: str, cube_id: str, version: int) -> VersionRow:
    """A source as it is now, if its text is still that of the version that was read.

    Raises:
        CubeNotFoundError: It is not readable.
        InvalidInputError: It has no text.
        VersionConflictError: Its text was changed since.
    """
    row = lives.readable(tx, path, cube_id)
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


def insert(
    tx: Transaction, parts: Parts, path: str, row: VersionRow, sources: Sequence[VersionRow]
) -> VersionRow:
    """Write a new cube that carries others; with its key."""
    namespace, salt = tx.cubes.touch_namespace(path), parts.random_bytes(_SALT_BYTES)
    row = row._replace(key=tx.cubes.next_key())
    text = TextRow(row.key, 1, "", salt, 0, b"", b"", b"", None, None)
    tx.cubes.add(namespace, [row], [text])
    tx.ledger.add_edges((source.key, row.key, CARRIES) for source in sources)
    enqueue_followers(tx, parts, [row], [])
    change = audit.Change("promote", path, row.id, 1, audit.digest_of("", salt))
    audit.append(tx.ledger, [change], at=row.recorded_at, actor=parts.actor)
    return row


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
