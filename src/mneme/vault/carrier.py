"""The cube that holds what was computed of texts: written within a transaction, once for each set.

There is one activation cube for the same sources in the same order, the same engine and the same
form; what is computed anew is its next version.
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
        sources = [self._source(tx, path, *each) for each in header.sources]
        if not sources:
            raise InvalidInputError("an activation cube has at least one source")
        known = self.same(tx, path, header)
        row = _described(tx, known or _blank(self._parts), header, sources)
        if known is not None and row.sources == known.sources and not has_ended(known):
            facts = facts_of(known) | facts
        row = row._replace(metadata=canonical_json(facts), prior_state=None)
        if known is None:
            row = self._insert(tx, path, row._replace(state=state.value), sources)
        elif known.state == State.FROZEN and row != known:
            raise FrozenCubeError(known.id, "promote")
        elif known.state != State.FROZEN and row._replace(state=state.value) != known:
            namespace = tx.cubes.touch_namespace(path)
            tx.ledger.set_parents(row.key, FORGOTTEN_WITH, [])
            row = row._replace(state=state.value)
            row = self._lives.write(tx, path, namespace, row, "promote")
        return row, ""

    def _insert(
        self, tx: Transaction, path: str, row: VersionRow, sources: Sequence[VersionRow]
    ) -> VersionRow:
        namespace, salt = tx.cubes.touch_namespace(path), self._parts.random_bytes(_SALT_BYTES)
        row = row._replace(key=tx.cubes.next_key())
        text = TextRow(row.key, 1, "", salt, 0, b"", b"", b"", None, None)
        tx.cubes.add(namespace, [row], [text])
        tx.ledger.add_edges((source.key, row.key, CARRIES) for source in sources)
        enqueue_followers(tx, self._parts, [row], [])
        change = audit.Change("promote", path, row.id, 1, audit.digest_of("", salt))
        audit.append(tx.ledger, [change], at=row.recorded_at, actor=self._parts.actor)
        return row

    def _source(self, tx: Transaction, path: str, cube_id: str, version: int) -> VersionRow:
        """A source as it is now, if its text is still that of the version that was read."""
        row = self._lives.readable(tx, path, cube_id)
        if row.kind != "plaintext":
            raise InvalidInputError(f"cube {cube_id!r} has no text that could be promoted")
        moved = row.type == "table" and row.version != version  # its rows are its text
        if moved or not says_same(tx, row, version):
            raise VersionConflictError(cube_id, version, row.version)
        return row

    def same(self, tx: Transaction, path: str, header: Prefilled) -> VersionRow | None:
        """The cube of these sources, this engine and this form."""
        ids = tuple(cube_id for cube_id, _ in header.sources)
        known = tx.cubes.namespace(path)
        first = tx.cubes.current(known.number, ids[0]) if known and ids else None
        if known is None or first is None:
            return None
        for row in carriers_of(tx, known.number, first.key):
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


def _blank(parts: Parts) -> VersionRow:
    """A first version that its sources are still to describe."""
    return VersionRow(
        0, 1, 1, parts.ids.make(), ACTIVATION, "", State.GENERATED.value, None, "", "user", None,
        None, None, None, parts.clock.now_us(), None, None, None, None, 0, DERIVED, "prefill",
        parts.actor, None, "trusted", None,
    )  # fmt: skip


def _described(
    tx: Transaction, row: VersionRow, header: Prefilled, sources: Sequence[VersionRow]
) -> VersionRow:
    """The header that follows from what the cube carries."""
    spans = [
        SourceSpan(
            cube_id=source.id,
            version=version,
            start=0,
            end=len(tx.cubes.body(source.key, source.text_version)[0]),
        )
        for source, (_, version) in zip(sources, header.sources, strict=True)
    ]
    labels = sorted({label for source in sources for label in _labels(source)})
    ends = [source.expires_at for source in sources if source.expires_at is not None]
    return row._replace(
        type=sources[0].type,
        session=sources[0].session,
        labels=canonical_json(labels) if labels else None,
        expires_at=min(ends, default=None),
        trust=trust_of(DERIVED, [source.trust for source in sources]),
        method=header.method,
        model=header.engine,
        sources=sources_json(spans),
    )


def is_true(tx: Transaction, ns: int, carrier: VersionRow, now: int) -> bool:
    """Whether all that an activation cube carries may be said now, unasked."""
    for span in sources_of(carrier):
        row = tx.cubes.current(ns, span.cube_id)
        if row is None or not (_is_given(row, now) and says_same(tx, row, span.version)):
            return False
        if _is_retired(tx, ns, row, now):
            return False
    return True


def _is_given(row: VersionRow, now: int) -> bool:
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
    """The ids of what an activation cube carries, in the order of the prompt."""
    return tuple(span.cube_id for span in sources_of(row))


def says_same(tx: Transaction, row: VersionRow, version: int) -> bool:
    """Whether a cube still says what one of its versions said."""
    found = tx.cubes.version_at(row.key, version)
    return found is not None and said_in(found[1]) == said_in(row)
