"""What hiding a cube, or showing it again, means for others: edges of likewise fates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.lifecycle import State

if TYPE_CHECKING:
    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction

FORGOTTEN_WITH = "forgotten_with"  # edge: the child was hidden because the parent was
SUPERSEDES = "supersedes"  # edge: the child holds no longer since the parent does


def superseded(tx: Transaction, namespace: Namespace, key: int) -> list[VersionRow]:
    """What holds no longer since a cube does."""
    rows = tx.cubes.current_of_keys(namespace.number, tx.ledger.children(key, SUPERSEDES))
    return [row for row in rows if row.state != State.FORGOTTEN]


def still_hidden(tx: Transaction, namespace: Namespace, child: int, shown: int) -> list[int]:
    """The cubes with which one was hidden, save the one that is shown, as far as they still are."""
    others = (key for key in tx.ledger.parents(child, FORGOTTEN_WITH) if key != shown)
    rows = tx.cubes.current_of_keys(namespace.number, others)
    return [row.key for row in rows if row.state == State.FORGOTTEN]


def later(one: int | None, other: int | None) -> int | None:
    """The later of two times, of which either may be unknown."""
    known = [time for time in (one, other) if time is not None]
    return max(known, default=None)
