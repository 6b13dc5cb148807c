"""What goes first when there is no room: names in, names out. No tensors, no I/O.

A block is of use only where all blocks before it are there too, so a chain goes from its tail: no
block goes while one that follows it is there.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from heapq import heapify, heappop, heappush
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.rows import BlockRow


class Eviction(Protocol):
    """Knows what is in one place, and what is worth least there."""

    def note(
        self, name: str, size: int, cost_s: float, uses: int, *, parent: str | None = None
    ) -> None:
        """A block came, or is of other worth than before; that is a use too.

        Args:
            name: Of the block.
            size: Bytes.
            cost_s: Seconds that it takes to compute.
            uses: How often it was used before.
            parent: The name of the block before it, whether that is here or not.
        """
        ...

    def touch(self, name: str) -> None:
        """A block was used; what is not here is no error."""
        ...

    def victims(self, bytes_needed: int) -> list[str]:
        """The least worth that have so many bytes together, or all; they are here no longer."""
        ...

    def drop(self, name: str) -> None:
        """A block went for another reason; what is not here is no error."""
        ...


_FILLING = 3.0  # how fast the clock runs then; 1 did as well as 3 (benchmarks/kv_eviction.py)


def _chance(uses: int) -> float:
    """How likely a block is to be used again, up to a factor.

    Cherkasova takes the uses themselves. Where popularity changes, what was used often will be used
    less: this power does better there, and as well where it stays (benchmarks/kv_eviction.py).
    """
    return float(uses**0.75)


class _Block(NamedTuple):
    size: int
    worth: float  # cost_s / size
    uses: int
    parent: str | None


class Lru:
    """The longest unused goes first.

    A chain is noted and touched from its tail to its head; then no parent goes before a child.
    """

    def __init__(self) -> None:
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def note(
        self,
        name: str,
        size: int,
        cost_s: float,
        uses: int,
        *,
        parent: str | None = None,
    ) -> None:
        self._sizes[name] = size
        self._sizes.move_to_end(name)

    def touch(self, name: str) -> None:
        if name in self._sizes:
            self._sizes.move_to_end(name)

    def victims(self, bytes_needed: int) -> list[str]:
        gone: list[str] = []
        while bytes_needed > 0 and self._sizes:
            name, size = self._sizes.popitem(last=False)
            gone.append(name)
            bytes_needed -= size
        return gone

    def drop(self, name: str) -> None:
        self._sizes.pop(name, None)


class Gdsf:
    """Greedy-Dual-Size with frequency: the least of clock + chance x cost / bytes goes first.

    The clock is the priority of the last that went, so what is no longer used ages (L. Cherkasova,
    "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP
    Laboratories, HPL-98-69 (R.1), 1998). Cost is the time to compute a block.

    Until something has to go, the clock would stand still, and what came first could not be told
    from what came last; so as long as the place fills, it runs with what comes.
    """

    def __init__(self) -> None:
        self._clock = 0.0
        self._bytes = 0
        self._filling = True
        self._blocks: dict[str, _Block] = {}
        self._priorities: dict[str, float] = {}
        self._children: Counter[str] = Counter()
        self._heap: list[tuple[float, str]] = []  # leaves; entries of another priority are old

    def note(
        self, name: str, size: int, cost_s: float, uses: int, *, parent: str | None = None
    ) -> None:
        self.drop(name)
        self._blocks[name] = _Block(size, cost_s / max(size, 1), uses, parent)
        self._bytes += size
        if self._filling:
            self._clock += _FILLING * cost_s / max(self._bytes, 1)
        if parent is not None:
            self._children[parent] += 1
        self.touch(name)

    def touch(self, name: str) -> None:
        block = self._blocks.get(name)
        if block is None:
            return
        self._blocks[name] = block = block._replace(uses=block.uses + 1)
        self._priorities[name] = self._clock + _chance(block.uses) * block.worth
        self._offer(name)
        if len(self._heap) > 4 * len(self._blocks) + 64:
            self._heap = [
                (self._priorities[each], each) for each in self._blocks if self._free(each)
            ]
            heapify(self._heap)

    def victims(self, bytes_needed: int) -> list[str]:
        gone: list[str] = []
        self._filling &= bytes_needed <= 0
        while bytes_needed > 0 and self._blocks:
            name = self._least()
            self._clock = max(self._clock, self._priorities[name])
            bytes_needed -= self._blocks[name].size
            gone.append(name)
            self.drop(name)
        return gone

    def drop(self, name: str) -> None:
        block = self._blocks.pop(name, None)
        if block is None:
            return
        del self._priorities[name]
        self._bytes -= block.size
        if block.parent is not None:
            self._children[block.parent] -= 1
            if not self._children[block.parent]:
                del self._children[block.parent]
                self._offer(block.parent)

    def _least(self) -> str:
        while self._heap:
            priority, name = heappop(self._heap)
            if self._priorities.get(name) == priority and self._free(name):
                return name
        return min(self._blocks)  # only where parents were named in a circle

    def _free(self, name: str) -> bool:
        """Whether no block that follows it is here."""
        return name not in self._children

    def _offer(self, name: str) -> None:
        if name in self._blocks and self._free(name):
            heappush(self._heap, (self._priorities[name], name))


POLICIES: dict[str, Callable[[], Eviction]] = {"gdsf": Gdsf, "lru": Lru}


def eviction_of(name: str) -> Eviction:
    """A fresh one for one place.

    Raises:
        InvalidInputError: No policy has this name.
    """
    if name not in POLICIES:
        raise InvalidInputError(f"eviction is {' or '.join(POLICIES)}, not {name!r}")
    return POLICIES[name]()


def order(rows: Sequence[BlockRow], now: int, *, eviction: str = "gdsf") -> list[BlockRow]:
    """Rows of blocks as they should go from a disk, the least worth first.

    "gdsf": cost x chance of reuse / bytes, where the chance is uses per time since the last, as no
    clock ticks between processes; "lru": the longest unused. A parent comes after what follows it.

    Args:
        rows: All blocks there are.
        now: As `used_at` counts.
        eviction: "gdsf" or "lru".
    """
    eviction_of(eviction)
    ages = [max(0, now - row.used_at) for row in rows]
    usual = max(1.0, float(median(ages))) if ages else 1.0
    if eviction == "lru":
        values = [-float(age) for age in ages]
    else:
        values = [
            row.cost_s / max(row.size, 1) * _chance(1 + row.uses) / (age + usual)
            for row, age in zip(rows, ages, strict=True)
        ]
    return _tails_first(rows, values)


def _tails_first(rows: Sequence[BlockRow], values: Sequence[float]) -> list[BlockRow]:
    """The least value first, save that a block waits for all that follow it."""
    places: dict[tuple[str, bytes], list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault((row.engine, row.key), []).append(number)
    waits = Counter((row.engine, row.parent) for row in rows)
    heap = [
        (values[number], -rows[number].start, number)
        for (engine, key), numbers in places.items()
        if not waits[engine, key]
        for number in numbers
    ]
    heapify(heap)
    ordered: list[BlockRow] = []
    while heap:
        row = rows[heappop(heap)[2]]
        ordered.append(row)
        parent = (row.engine, row.parent)
        waits[parent] -= 1
        if not waits[parent]:
            for number in places.get(parent, ()):
                heappush(heap, (values[number], -rows[number].start, number))
    return ordered if len(ordered) == len(rows) else [*rows]  # parents in a circle
