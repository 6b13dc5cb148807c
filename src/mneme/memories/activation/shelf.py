"""One tier in memory: things by name within a budget of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mneme.core.rows import BlockRow
    from mneme.memories.activation.eviction import Eviction

T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    thing: T
    size: int


class Shelf(Generic[T]):
    """Keeps what is worth most, and never more than its budget. Not for several threads.

    Args:
        budget_bytes: The most that is kept; room is made before anything is added.
        eviction: Says what goes; for this shelf alone.
        gone: Told the name of what had to make room.
    """

    def __init__(
        self,
        budget_bytes: int,
        eviction: Eviction,
        gone: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.budget_bytes, self._eviction, self._gone = budget_bytes, eviction, gone
        self._kept: dict[str, _Kept[T]] = {}
        self.bytes = 0

    def add(self, row: BlockRow, size: int, make: Callable[[], T]) -> bool:
        """Keep a block; whether there was room. What is larger than the budget is not kept.

        Args:
            row: Of the block.
            size: Bytes of what is kept.
            make: Gives it, once there is room.
        """
        self.drop([row.name])
        if size > self.budget_bytes:
            return False
        for name in self._eviction.victims(self.bytes + size - self.budget_bytes):
            self._remove(name)
            self._gone(name)
        self._kept[row.name] = _Kept(make(), size)
        self.bytes += size
        parent = f"{row.parent.hex()}-{row.form}"
        self._eviction.note(row.name, size, row.cost_s, row.uses, parent=parent)
        return True

    def get(self, name: str) -> T | None:
        """What is kept under a name; that is no use of it yet."""
        kept = self._kept.get(name)
        return None if kept is None else kept.thing

    def touch(self, name: str) -> None:
        """It was used."""
        self._eviction.touch(name)

    def drop(self, names: Iterable[str]) -> None:
        """Let go; what is not here is no error."""
        for name in names:
            if name in self._kept:
                self._remove(name)
                self._eviction.drop(name)

    def names(self) -> set[str]:
        """Of all that is kept."""
        return set(self._kept)

    def _remove(self, name: str) -> None:
        self.bytes -= self._kept.pop(name).size


def own(view: memoryview) -> bytes:
    """Bytes that no file can change; those of a mapped file are copied."""
    whole = view.obj
    return whole if isinstance(whole, bytes) and len(whole) == len(view) else bytes(view)


def fitting(sizes: Sequence[int], room: int) -> int:
    """How many, from the first one on, fit together."""
    for number, size in enumerate(sizes):
        room -= size
        if room < 0:
            return number
    return len(sizes)
