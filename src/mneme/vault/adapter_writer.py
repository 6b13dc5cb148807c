"""Parametric cubes, written within a transaction: shards of facts, each with a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import FrozenCubeError, InvalidInputError
from mneme.core.lifecycle import SEARCHED, State
from mneme.vault.carried import described, source_ids, source_of
from mneme.vault.carrier import blank, insert
from mneme.vault.codec import canonical_json
from mneme.vault.stale import (
    CARRIES,
    DEMOTED,
    PARAMETRIC,
    PROMISED,
    enqueue_making,
    facts_of,
    has_ended,
)

if TYPE_CHECKING:
    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.draft import Tuned
    from mneme.vault.life import Lives
    from mneme.vault.parts import Parts

NOT_ADDED: Final = "not_added"  # in the metadata: why a shard in use did not get further facts
IMPORTED: Final = "imported"  # the method of an adapter that came from elsewhere: no ledger
_TYPE: Final = "fact"  # of what has no source to take it from


class AdapterWriter:
    """Writes parametric cubes of a namespace."""

    def __init__(self, parts: Parts, lives: Lives) -> None:
        self._parts, self._lives = parts, lives

    def promise(self, tx: Transaction, path: str, header: Tuned, number: int = 0) -> VersionRow:
        """A cube whose adapter a job is to write; one that is in use stays so until then.

        Args:
            tx: A transaction that writes.
            path: Of the namespace.
            header: With at least one source.
            number: The shard's, if it is free; else the next that is.
        """
        if not header.sources:
            raise InvalidInputError("there is nothing to write an adapter from: give its sources")
        known = self._known(tx, path, header)
        if known is None or not in_use(known):
            row = self.write(tx, path, header, State.GENERATED, size=0, number=number)
        else:
            for source in header.sources:
                source_of(tx, path, *source, self._parts.clock.now_us())
            ids = [cube_id for cube_id, _ in header.sources]
            row = self._next(tx, path, known, facts_of(known) | {PROMISED: ids})
        enqueue_making(tx, self._parts, path, row)
        return row

    def write(
        self,
        tx: Transaction,
        path: str,
        header: Tuned,
        state: State,
        *,
        size: int,
        number: int = 0,
    ) -> VersionRow:
        """A new cube, or the next version of the one that the header names.

        Raises:
            CubeNotFoundError: That cube, or a source, is not readable.
            VersionConflictError: The text of a source was changed since it was read.
            FrozenCubeError: The cube is frozen.
            InvalidInputError: It was demoted; or a foreign adapter has sources, or another none.
        """
        now = self._parts.clock.now_us()
        sources = [source_of(tx, path, *each, now) for each in header.sources]
        known = self._known(tx, path, header)
        foreign = header.method == IMPORTED if known is None else known.sources is None
        if bool(sources) == foreign:
            raise InvalidInputError(
                "an adapter has sources, unless it is imported: then it has none"
            )
        row = known or blank(self._parts, PARAMETRIC, header.method)
        if sources:
            row = described(tx, row, sources, header.sources)
        elif known is None:
            row = row._replace(type=_TYPE, session=row.id, trust="untrusted")
        if known is None:
            ns = tx.cubes.touch_namespace(path).number
            number = tx.adapters.enter(ns, tx.cubes.next_key(), number)
        else:
            number = facts_of(known)["shard"]
        facts = {
            **header.extra,
            "shard": number,
            "base": header.base,
            "carrier": header.carrier,
            "form": header.form,
            "facts": header.facts,
            "digest": header.digest,
            "bytes": size,
        }
        row = row._replace(
            metadata=canonical_json(facts), state=state.value, method=header.method,
            model=header.base, prior_state=None,
        )  # fmt: skip
        if known is None:
            return insert(tx, self._parts, path, row, sources)
        if known.state == State.ARCHIVED and not has_ended(known) and header.digest:
            row = row._replace(state=known.state)  # as its user wants it
        if row == known:
            return known
        namespace = tx.cubes.touch_namespace(path)
        tx.ledger.add_edges((source.key, row.key, CARRIES) for source in sources)
        return self._lives.write(tx, path, namespace, row, "promote")

    def unpromise(
        self, tx: Transaction, path: str, row: VersionRow, why: dict[str, Any]
    ) -> VersionRow:
        """A shard that stays as it is, without what it was promised besides."""
        facts = {name: value for name, value in facts_of(row).items() if name != PROMISED}
        return self._next(tx, path, row, facts | {NOT_ADDED: why})

    def _next(
        self, tx: Transaction, path: str, row: VersionRow, facts: dict[str, Any]
    ) -> VersionRow:
        row = row._replace(metadata=canonical_json(facts))
        return self._lives.write(tx, path, tx.cubes.touch_namespace(path), row, "promote")

    def _known(self, tx: Transaction, path: str, header: Tuned) -> VersionRow | None:
        if header.cube_id is None:
            return None
        row = self.parametric(tx, path, header.cube_id)
        if row.state == State.FROZEN:
            raise FrozenCubeError(row.id, "promote")
        if DEMOTED in facts_of(row):
            raise InvalidInputError(f"cube {row.id!r} was demoted; promote its facts anew")
        return row

    def parametric(self, tx: Transaction, path: str, cube_id: str) -> VersionRow:
        """A parametric cube that reads may show.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            InvalidInputError: It is of another kind.
        """
        row = self._lives.readable(tx, path, cube_id)
        if row.kind != PARAMETRIC:
            raise InvalidInputError(f"cube {cube_id!r} is {row.kind}, not a parametric cube")
        return row


def shards_of(tx: Transaction, known: Namespace | None) -> list[VersionRow]:
    """The parametric cubes of a namespace, in order of writing."""
    if known is None:
        return []
    return tx.cubes.current_of_keys(known.number, tx.adapters.cubes(known.number))


def in_use(row: VersionRow) -> bool:
    """Whether an adapter may be used, if its time is not over."""
    return row.state in SEARCHED and not has_ended(row)


def wanted_ids(row: VersionRow) -> tuple[str, ...]:
    """The ids of what an adapter is to be written from: promised ones, else those it carries."""
    promised = facts_of(row).get(PROMISED)
    return source_ids(row) if promised is None else tuple(promised)
