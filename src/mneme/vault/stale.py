"""What carriers are to the texts that they carry, and what an edit does to them.

A carrier is an activation cube, which holds blocks, or a parametric one, which holds adapters.
Within a transaction: rows only. The files that go are doomed, and removed after the commit
(`mneme.vault.sweep`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError
from mneme.core.lifecycle import HIDDEN, State
from mneme.vault.codec import canonical_json, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.parts import Parts

ACTIVATION: Final = "activation"  # the kind
PARAMETRIC: Final = "parametric"  # the kind
CARRIES: Final = (
    "carries"  # edge: the child carries the parent's text as keys and values, or weights
)
PREFILL: Final = "prefill"  # the job that computes the blocks of a cube
TUNE: Final = "tune"  # the job that writes the adapter of a cube
SWEEP: Final = "sweep"  # the job that removes files that went
_JOBS: Final = {ACTIVATION: PREFILL, PARAMETRIC: TUNE}

STALE: Final = "stale"  # in the metadata: the text was changed
DEMOTED: Final = "demoted"  # its user took it back
REFUSED: Final = "refused"  # it was not proven to say what its sources say
_ENDS: Final = (STALE, DEMOTED, REFUSED)
_TRIPLE: Final = ("subject", "relation", "object")
PROMISED: Final = "promised"  # an adapter is used as it is until it is written again, from these
_EMPTY: Final[dict[str, dict[str, Any]]] = {
    ACTIVATION: {"blocks": 0, "bytes": 0},
    PARAMETRIC: {"digest": "", "bytes": 0},
}


def carriers_of(tx: Transaction, ns: int, key: int) -> list[VersionRow]:
    """The cubes that carry a text, alone or with others, in this version or an earlier one."""
    return tx.cubes.current_of_keys(ns, tx.ledger.children(key, CARRIES))


def facts_of(row: VersionRow) -> dict[str, Any]:
    """What the metadata of a carrier says."""
    facts: dict[str, Any] = json.loads(row.metadata) if row.metadata else {}
    return facts


def has_ended(row: VersionRow) -> bool:
    """Whether a carrier may not be used as it is, whatever its state."""
    return not facts_of(row).keys().isdisjoint(_ENDS)


def check_usable(row: VersionRow) -> None:
    """Refuse to activate a carrier that is not made yet, or may not be used.

    Raises:
        InvalidInputError: It holds nothing.
    """
    if row.kind in _JOBS and (row.state == State.GENERATED or has_ended(row)):
        raise InvalidInputError(
            f"cube {row.id!r} holds nothing that may be used; promote its sources again"
        )


def ended(
    row: VersionRow, why: str, detail: object = True, extra: Mapping[str, Any] | None = None
) -> VersionRow:
    """The next version of a carrier that is used no longer: archived.

    Blocks are let go of. The files of an adapter that is stale stay for its history.
    """
    facts = {name: value for name, value in facts_of(row).items() if name not in _ENDS}
    if row.kind == ACTIVATION or why != STALE:
        facts |= _EMPTY[row.kind]
        facts.pop(PROMISED, None)
    row = row._replace(metadata=canonical_json({**facts, **(extra or {}), why: detail}))
    if row.state in HIDDEN:
        return row._replace(prior_state=State.ARCHIVED.value)
    return row._replace(state=State.ARCHIVED.value)


def said_in(row: VersionRow) -> tuple[object, ...]:
    """What of a version stands in a prompt, or in weights.

    Its text, what its title is made of, and whom it says what of where the metadata tells.
    """
    facts = facts_of(row)
    told = (json.dumps(facts.get(name), sort_keys=True) for name in _TRIPLE)
    return (row.text_version, row.type, row.event_at, row.trust, *told)


def is_to_build(row: VersionRow) -> bool:
    """Whether what a carrier holds is to be made by its job: promised, or stale."""
    promised = row.state == State.GENERATED or PROMISED in facts_of(row)
    return row.kind in _JOBS and (promised or is_stale(row))


def is_stale(row: VersionRow) -> bool:
    """Whether a carrier is out of use because a text was changed."""
    return row.kind in _JOBS and STALE in facts_of(row)


def says_otherwise(tx: Transaction, ns: int, row: VersionRow) -> bool:
    """Whether a version that is to be written says another text than the current one."""
    if row.type == "table":  # its rows are its text
        return True
    if row.method == "section" and row.state == State.ARCHIVED:  # its document says it no longer
        return True
    before = tx.cubes.current_of_keys(ns, [row.key])
    return any(said_in(each) != said_in(row) for each in before)


def let_go(
    tx: Transaction, parts: Parts, path: str, namespace: Namespace, source: VersionRow
) -> Iterator[VersionRow]:
    """Take all that carries a text which changes out of use; the versions to be written.

    What was in use is made again by a job, for which an engine is needed.
    """
    for row in carriers_of(tx, namespace.number, source.key):
        release(tx, parts, row.key)
        yield from _outdated(tx, parts, path, row, source.id)


def outlived(
    tx: Transaction, parts: Parts, path: str, namespace: Namespace, source: VersionRow
) -> Iterator[VersionRow]:
    """Let go of what carries a text whose time is over; the versions to be written.

    Blocks go with it; an adapter is written again without it.
    """
    release(tx, parts, source.key)
    for row in carriers_of(tx, namespace.number, source.key):
        release(tx, parts, row.key)
        if row.kind == PARAMETRIC:
            yield from _outdated(tx, parts, path, row, source.id)


def _outdated(
    tx: Transaction, parts: Parts, path: str, row: VersionRow, source_id: str
) -> Iterator[VersionRow]:
    if row.state == State.GENERATED:  # still to be made, from the text as it is then
        enqueue_making(tx, parts, path, row)
    elif not has_ended(row) and any(span.cube_id == source_id for span in sources_of(row)):
        if row.state in {State.ACTIVATED, State.FROZEN}:
            enqueue_making(tx, parts, path, row)
        yield ended(row, STALE)


def release(tx: Transaction, parts: Parts, key: int, keep: tuple[str, ...] = ()) -> None:
    """Let an activation cube hold no block any longer, save those named."""
    if tx.blocks.release(key, keep):
        enqueue_sweep(tx, parts.clock.now_us())


def enqueue_sweep(tx: Transaction, due_at: int) -> None:
    """Write the job that removes the files that are doomed."""
    tx.ledger.enqueue(SWEEP, SWEEP, "{}", due_at)


def enqueue_making(tx: Transaction, parts: Parts, path: str, row: VersionRow) -> None:
    """Write the job that makes what a carrier holds: its blocks, or its adapter."""
    payload = canonical_json({"namespace": path, "cube": row.id})
    tx.ledger.enqueue(_JOBS[row.kind], making_name(path, row), payload, parts.clock.now_us())


def making_name(path: str, row: VersionRow) -> str:
    """The name of the job that makes what a carrier holds."""
    return f"{_JOBS[row.kind]} {path} {row.id}"
