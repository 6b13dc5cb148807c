"""Which memory goes into a prompt as keys and values, and which as text.

In: what was promoted, what was recalled, and how many tokens there are. Out: both, without saying
anything twice. Pure functions, no I/O.

What is promoted goes in as long as it fits: that is what promoting means. Where not all of it fits,
what the question calls up goes first. The order within the prompt is always that of promotion, so
that prompts begin alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mneme.core.cube import MemCube
    from mneme.recall.context import Hit


class Carried(Protocol):
    """A carrier that could go in: the cubes whose text it says, and its length."""

    @property
    def source_ids(self) -> tuple[str, ...]: ...
    @property
    def tokens(self) -> int: ...


C = TypeVar("C", bound=Carried)


def choose_carriers(carriers: Sequence[C], hits: Sequence[Hit], room: int) -> list[C]:
    """The carriers that go in, in the order in which they came.

    Args:
        carriers: In order of promotion.
        hits: What was recalled, best first.
        room: Tokens that there are for them.
    """
    if sum(each.tokens for each in carriers) <= room:
        return list(carriers)
    places = {number: _place(each, hits) for number, each in enumerate(carriers)}
    chosen: list[int] = []
    for number in sorted(places, key=lambda number: (places[number], number)):
        if carriers[number].tokens <= room:
            chosen.append(number)
            room -= carriers[number].tokens
    return [carriers[number] for number in sorted(chosen)]


def not_said_by(hits: Sequence[Hit], ids: Collection[str]) -> list[Hit]:
    """The hits that are neither among some cubes nor cut from one of them."""
    return [hit for hit in hits if not _said_by(hit.cube, ids)]


def _place(carrier: Carried, hits: Sequence[Hit]) -> int:
    ids = frozenset(carrier.source_ids)
    return next((n for n, hit in enumerate(hits) if _said_by(hit.cube, ids)), len(hits))


def _said_by(cube: MemCube, ids: Collection[str]) -> bool:
    if cube.id in ids:
        return True
    wholes = cube.provenance.sources
    return cube.provenance.method == "section" and any(span.cube_id in ids for span in wholes)
