"""Shards that an erasure takes are promised again, without what went.

An adapter that was written from an erased fact goes whole, in all its versions: nothing less is
exact. What else it carried is to be written again from the base (Machine Unlearning by SISA
training, arXiv:1912.03817). All within the transaction of the erasure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.core.lifecycle import HIDDEN, SEARCHED, State
from mneme.govern.retention import is_hidden
from mneme.vault.adapter_writer import in_use, shards_of, wanted_ids
from mneme.vault.bonds import FORGOTTEN_WITH
from mneme.vault.carried import source_ids
from mneme.vault.draft import Tuned
from mneme.vault.stale import PARAMETRIC, STALE, facts_of, has_ended

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.adapter_writer import AdapterWriter

MERGED: Final = "merged"  # the method of an adapter that was made of several shards
_KEPT: Final = ("training",)  # settings with which an adapter is to be written again
_LIVELY: Final = {*SEARCHED, State.GENERATED}


class Remainder(NamedTuple):
    """What is left of a shard.

    Attributes:
        row: As it was.
        ids: Of the sources that do not go.
    """

    row: VersionRow
    ids: tuple[str, ...]


def remainders(
    tx: Transaction, known: Namespace, doomed: Sequence[VersionRow], targets: Collection[str]
) -> list[Remainder]:
    """What is to be written again after these cubes went, while they are still there.

    Not a shard that was a target itself, or that its user did not want any longer. What several
    shards were merged into is only written again as far as no other shard carries it.

    Args:
        tx: The transaction of the erasure.
        known: The namespace.
        doomed: All that goes.
        targets: The ids that the user named.
    """
    gone = {row.id for row in doomed}
    shards = [row for row in doomed if row.kind == PARAMETRIC and row.id not in targets]
    wanted = sorted((row for row in shards if _was_wanted(tx, row)), key=lambda row: row.key)
    plain = [Remainder(row, _left(row, gone)) for row in wanted if row.method != MERGED]
    merged = [row for row in wanted if row.method == MERGED]
    return [each for each in (*plain, *_uncovered(tx, known, plain, merged, gone)) if each.ids]


def _uncovered(
    tx: Transaction,
    known: Namespace,
    plain: Sequence[Remainder],
    merged: Sequence[VersionRow],
    gone: Collection[str],
) -> Iterator[Remainder]:
    """What is left of merged shards, as far as no other shard carries it, now or soon."""
    live = [r for r in shards_of(tx, known) if r.id not in gone and in_use(r)] if merged else []
    carried = {(row.model, cube_id) for row in live for cube_id in source_ids(row)}
    carried |= {(row.model, cube_id) for row, ids in plain for cube_id in ids}
    for row in merged:
        ids = tuple(i for i in _left(row, gone) if (row.model, i) not in carried)
        carried |= {(row.model, cube_id) for cube_id in ids}
        yield Remainder(row, ids)


def promise_again(
    tx: Transaction, writer: AdapterWriter, path: str, now: int, left: Iterable[Remainder]
) -> tuple[str, ...]:
    """Write the cubes that take the places of those that went; their ids."""
    ids = []
    known = tx.cubes.namespace(path)
    for row, cube_ids in left:
        facts = facts_of(row)
        rows = [tx.cubes.current(known.number, each) for each in cube_ids] if known else []
        sources = [(r.id, r.version) for r in rows if r is not None and not is_hidden(r, now)]
        if not sources:
            continue
        header = Tuned(
            sources=tuple(sources),
            base=str(facts["base"]),
            carrier=str(facts["carrier"]),
            form=str(facts["form"]),
            extra={name: facts[name] for name in _KEPT if name in facts},
        )
        ids.append(writer.promise(tx, path, header, int(facts["shard"])).id)
    return tuple(ids)


def _left(row: VersionRow, gone: Collection[str]) -> tuple[str, ...]:
    return tuple(cube_id for cube_id in wanted_ids(row) if cube_id not in gone)


def _was_wanted(tx: Transaction, row: VersionRow) -> bool:
    """Whether a shard was in use, or to be, before anything happened to its sources."""
    if row.state == State.FORGOTTEN and not tx.ledger.parents(row.key, FORGOTTEN_WITH):
        return False  # its user forgot it, not a source of it
    for version in reversed(tx.cubes.versions(row.key)):
        if STALE not in facts_of(version):
            state = version.prior_state if version.state in HIDDEN else version.state
            return state in _LIVELY and not has_ended(version)
    return False
