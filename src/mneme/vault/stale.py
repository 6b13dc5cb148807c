"""What activation cubes are to the texts that they carry, and what an edit does to them.

Within a transaction: rows only. The files of blocks that go are doomed, and removed after the
commit (`mneme.vault.sweep`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError
from mneme.core.lifecycle import HIDDEN, State
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.parts import Parts

ACTIVATION: Final = "activation"  # the kind
CARRIES: Final = "carries"  # edge: the child carries the parent's text as keys and values
PREFILL: Final = "prefill"  # the job that computes the blocks of a cube
SWEEP: Final = "sweep"  # the job that removes files of blocks that went

STALE: Final = "stale"  # in the metadata: the text was changed
DEMOTED: Final = "demoted"  # its user took it back
REFUSED: Final = "refused"  # it was not proven to say what its sources say
_ENDS: Final = (STALE, DEMOTED, REFUSED)


def carriers_of(tx: Transaction, ns: int, key: int) -> list[VersionRow]:
    """The activation cubes that carry a text, alone or with others."""
    return tx.cubes.current_of_keys(ns, tx.ledger.children(key, CARRIES))


def facts_of(row: VersionRow) -> dict[str, Any]:
    """What the metadata of an activation cube says."""
    facts: dict[str, Any] = json.loads(row.metadata) if row.metadata else {}
    return facts


def has_ended(row: VersionRow) -> bool:
    """Whether an activation cube may not be used as it is, whatever its state."""
    return any(name in facts_of(row) for name in _ENDS)


def check_usable(row: VersionRow) -> None:
    """Refuse to activate an activation cube that is not made yet, or may not be used.

    Raises:
        InvalidInputError: It holds nothing.
    """
    if row.kind == ACTIVATION and (row.state == State.GENERATED or has_ended(row)):
        raise InvalidInputError(
            f"cube {row.id!r} holds nothing that may be used; promote its sources again"
        )


def ended(row: VersionRow, why: str, detail: object = True) -> VersionRow:
    """The next version of an activation cube whose blocks are let go of: archived."""
    facts = {name: value for name, value in facts_of(row).items() if name not in _ENDS}
    facts |= {"blocks": 0, "bytes": 0, why: detail}
    row = row._replace(metadata=canonical_json(facts))
    if row.state in HIDDEN:
        return row._replace(prior_state=State.ARCHIVED.value)
    return row._replace(state=State.ARCHIVED.value)


def said_in(row: VersionRow) -> tuple[object, ...]:
    """What of a version stands in a prompt: its text, and what its title is made of."""
    return row.text_version, row.type, row.event_at, row.trust


def is_to_build(row: VersionRow) -> bool:
    """Whether the blocks of an activation cube are to be computed: promised, or stale."""
    return row.kind == ACTIVATION and (row.state == State.GENERATED or is_stale(row))


def is_stale(row: VersionRow) -> bool:
    """Whether an activation cube lost its blocks because a text was changed."""
    return row.kind == ACTIVATION and STALE in facts_of(row)


def says_otherwise(tx: Transaction, ns: int, row: VersionRow) -> bool:
    """Whether a version that is to be written says another text than the current one."""
    if row.type == "table":  # its rows are its text
        return True
    if row.method == "section" and row.state == State.ARCHIVED:  # its document says it no longer
        return True
    before = tx.cubes.current_of_keys(ns, [row.key])
    return any(said_in(each) != said_in(row) for each in before)


def let_go(
    tx: Transaction, parts: Parts, path: str, namespace: Namespace, key: int
) -> Iterator[VersionRow]:
    """Release the blocks of all that carries a text which changes; the versions to be written.

    What was in use is computed again by a job, for which an engine is needed.
    """
    for row in carriers_of(tx, namespace.number, key):
        release(tx, parts, row.key)
        if row.state == State.GENERATED:  # still to be computed, from the text as it is then
            enqueue_prefill(tx, parts, path, row.id)
        elif not has_ended(row):
            if row.state in {State.ACTIVATED, State.FROZEN}:
                enqueue_prefill(tx, parts, path, row.id)
            yield ended(row, STALE)


def release(tx: Transaction, parts: Parts, key: int, keep: tuple[str, ...] = ()) -> None:
    """Let an activation cube hold no block any longer, save those named."""
    if tx.blocks.release(key, keep):
        enqueue_sweep(tx, parts.clock.now_us())


def enqueue_sweep(tx: Transaction, due_at: int) -> None:
    """Write the job that removes the files that are doomed."""
    tx.ledger.enqueue(SWEEP, SWEEP, "{}", due_at)


def enqueue_prefill(tx: Transaction, parts: Parts, path: str, cube_id: str) -> None:
    """Write the job that computes the blocks of an activation cube."""
    payload = canonical_json({"namespace": path, "cube": cube_id})
    tx.ledger.enqueue(PREFILL, prefill_name(path, cube_id), payload, parts.clock.now_us())


def prefill_name(path: str, cube_id: str) -> str:
    """The name of the job that computes the blocks of an activation cube."""
    return f"{PREFILL} {path} {cube_id}"
