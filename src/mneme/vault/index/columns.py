"""Growing numpy columns, and tables of strings that columns point into.

A column keeps spare room at its end, so that appending one row copies nothing as a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

NONE: Final = int(np.iinfo(np.int64).min)  # a time that is not known
_LEAST_ROOM: Final = 64
_GROWTH: Final = 8  # a full column grows by one eighth


class Column:
    """An array that grows at its end; `view` is what is filled of it.

    Args:
        dtype: Of the values.
        width: Values in a row; None for a flat column.
        fill: What new rows hold until they are written.
    """

    __slots__ = ("_data", "_fill", "size")

    def __init__(self, dtype: npt.DTypeLike, width: int | None = None, fill: int = 0) -> None:
        shape: tuple[int, ...] = (0,) if width is None else (0, width)
        self._data: npt.NDArray[Any] = np.empty(shape, dtype)
        self._fill = fill
        self.size = 0

    @property
    def view(self) -> npt.NDArray[Any]:
        """The filled part, writable and without a copy."""
        return self._data[: self.size]

    @property
    def size_bytes(self) -> int:
        """Memory held, spare room included."""
        return int(self._data.nbytes)

    def extend(self, values: npt.ArrayLike) -> None:
        """Append rows."""
        added = np.asarray(values, self._data.dtype)
        self._reserve(len(added))
        self._data[self.size : self.size + len(added)] = added
        self.size += len(added)

    def grow(self, count: int) -> None:
        """Append `count` rows that hold the fill value."""
        self._reserve(count)
        self._data[self.size : self.size + count] = self._fill
        self.size += count

    def keep(self, rows: npt.NDArray[Any]) -> None:
        """Drop all rows but these."""
        self._data = self.view[rows].copy()
        self.size = len(self._data)

    def _reserve(self, count: int) -> None:
        needed = self.size + count
        if needed > len(self._data):
            room = max(needed, len(self._data) + len(self._data) // _GROWTH, _LEAST_ROOM)
            data = np.empty((room, *self._data.shape[1:]), self._data.dtype)
            data[: self.size] = self.view
            self._data = data


class Strings:
    """Distinct strings, numbered in the order in which they came; None is -1."""

    __slots__ = ("_numbers", "names")

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str | None, int] = {None: -1}

    def number(self, name: str | None) -> int:
        """The number of a string, a new one if it is new."""
        found = self._numbers.get(name)
        if found is None and name is not None:
            found = self._numbers[name] = len(self.names)
            self.names.append(name)
        return -1 if found is None else found

    def numbers(self, names: Sequence[str | None]) -> list[int]:
        """The numbers of many strings."""
        known = self._numbers
        try:
            return [known[name] for name in names]
        except KeyError:
            return [self.number(name) for name in names]

    def find(self, name: str | None) -> int | None:
        """The number of a string, None where it never came."""
        return self._numbers.get(name)


def times(values: Iterable[int | None]) -> list[int]:
    """Times with `NONE` for those that are not known."""
    return [NONE if value is None else value for value in values]
