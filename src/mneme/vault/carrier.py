"""Cubes that carry texts as something else: how they are written.

There is one activation cube for the same sources in the same order, the same engine and the same
form; what is computed anew is its next version. All within a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.errors import FrozenCubeError, InvalidInputError
from mneme.core.lifecycle import State
from mneme.core.rows import TextRow, VersionRow
from mneme.vault import audit
from mneme.vault.bonds import FORGOTTEN_WITH
from mneme.vault.carried import described, source_ids, source_of
from mneme.vault.codec import canonical_json
from mneme.vault.marks import DERIVED
from mneme.vault.stale import ACTIVATION, CARRIES, carriers_of, facts_of, has_ended
from mneme.vault.write import enqueue_followers

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
        now = self._parts.clock.now_us()
        sources = [source_of(tx, path, *each, now) for each in header.sources]
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
