"""Which shard new facts go to, and what becomes of facts that do not fit into one.

Knowledge grows by new shards and not by writing more into an old one, as in SEMA
(arXiv 2403.18886), which adds an adapter where the old ones do not fit what is new. Here a shard
with room is written again from the base together with the new facts; a shard whose facts cannot
be written together is halved. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.facts import FactLedger

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSize:
    """A shard that there is.

    Attributes:
        shard: Its name.
        facts: How many it holds.
        group: Its sensitivity: labels and trust. Facts of another group never go there.
    """

    shard: str
    facts: int
    group: Hashable = None


@dataclass(frozen=True, slots=True)
class Placing(Generic[T]):
    """Facts that go together.

    Attributes:
        shard: The one to write again with them; None: a new one.
        facts: In the order in which they came.
    """

    shard: str | None
    facts: tuple[T, ...]


def place(
    existing: Sequence[ShardSize], facts: Sequence[T], limit: int, *, group: Hashable = None
) -> list[Placing[T]]:
    """Fill the newest shard that has room, then new ones.

    Args:
        existing: The namespace's shards, the newest last.
        facts: All of one group.
        limit: Most facts of a shard, 1 or more.
        group: Of the facts.

    Raises:
        InvalidInputError: The limit is below 1.
    """
    if limit < 1:
        raise InvalidInputError(f"a shard holds at least one fact, not {limit}")
    roomy = [each for each in existing if each.group == group and each.facts < limit]
    found, rest = [], list(facts)
    if roomy and rest:
        room = limit - roomy[-1].facts
        found.append(Placing(roomy[-1].shard, tuple(rest[:room])))
        rest = rest[room:]
    return found + [
        Placing(None, tuple(rest[at : at + limit])) for at in range(0, len(rest), limit)
    ]


def split(ledger: FactLedger) -> tuple[FactLedger, FactLedger]:
    """Two halves; facts of one subject stay together where they stand together and can.

    Raises:
        InvalidInputError: There is but one fact: no smaller shard can hold it.
    """
    entries = ledger.entries
    if len(entries) < 2:
        raise InvalidInputError("a shard of one fact cannot be halved; keep the fact as text")
    borders = [
        at
        for at in range(1, len(entries))
        if entries[at].fact.subject != entries[at - 1].fact.subject
    ]
    near = [at for at in borders if len(entries) <= 4 * at <= 3 * len(entries)]
    middle = len(entries) // 2
    cut = min(near, key=lambda at: abs(at - middle), default=middle)
    return FactLedger(entries[:cut]), FactLedger(entries[cut:])
