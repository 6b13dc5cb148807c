"""Who comes before and after whom in a session, by order of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mneme.vault.index.columns import Column

if TYPE_CHECKING:
    import numpy.typing as npt

_NOBODY = -1


class Links:
    """Doubly linked lists in arrays, one list for each session.

    What comes in order of keys, as it does but for rare repairs, is linked as it comes; the rest
    makes the links `stale` until they are rebuilt.
    """

    def __init__(self) -> None:
        self._prev, self._next = Column(np.int32, fill=_NOBODY), Column(np.int32, fill=_NOBODY)
        self._last = Column(np.int32, fill=_NOBODY)  # by session
        self._highest_key: int | None = None
        self.stale = False

    @property
    def prev(self) -> npt.NDArray[np.int32]:
        """The slot before each; -1 for none."""
        return self._prev.view

    @property
    def next(self) -> npt.NDArray[np.int32]:
        """The slot after each; -1 for none."""
        return self._next.view

    def grow(self, slots: int, sessions: int) -> None:
        """Make room for new slots, and for sessions up to a number."""
        self._prev.grow(slots)
        self._next.grow(slots)
        self._last.grow(sessions - self._last.size)

    def reset(self, slots: int, sessions: int) -> None:
        """Begin anew with unlinked slots."""
        for column, size in ((self._prev, slots), (self._next, slots), (self._last, sessions)):
            column.keep(np.empty(0, np.intp))
            column.grow(size)
        self.stale = True

    def append(
        self, keys: npt.NDArray[Any], session: npt.NDArray[Any], slots: npt.NDArray[np.int64]
    ) -> None:
        """Link new slots at the ends of their sessions."""
        if not len(slots):
            return
        new_keys = keys[slots]
        rising = bool((new_keys[1:] > new_keys[:-1]).all())
        if self._highest_key is not None:
            rising = rising and int(new_keys[0]) > self._highest_key
        self._highest_key = max(int(new_keys.max()), self._highest_key or 0)
        if not rising:
            self.stale = True
        if self.stale:
            return
        self._chain(slots, session[slots])

    def _chain(self, slots: npt.NDArray[np.int64], session: npt.NDArray[Any]) -> None:
        order = np.argsort(session, kind="stable")
        slots, session = slots[order], session[order]
        opens = np.append(True, session[1:] != session[:-1])
        before = np.where(opens, self._last.view[session], np.append(_NOBODY, slots[:-1]))
        self.prev[slots] = before
        linked = before != _NOBODY
        self.next[before[linked]] = slots[linked]
        closes = np.append(opens[1:], True)
        self._last.view[session[closes]] = slots[closes]

    def replace(self, old: int, new: int | None, session: npt.NDArray[Any]) -> None:
        """Put `new` in the place of `old`, or close the gap where there is none."""
        if self.stale:
            return
        if new is not None and session[new] != session[old]:
            self.stale = True
            return
        before, after = int(self.prev[old]), int(self.next[old])
        middle = _NOBODY if new is None else new
        if new is not None:
            self.prev[new], self.next[new] = before, after
        if before != _NOBODY:
            self.next[before] = after if new is None else middle
        if after != _NOBODY:
            self.prev[after] = before if new is None else middle
        if self._last.view[session[old]] == old:
            self._last.view[session[old]] = before if new is None else middle
        self.prev[old] = self.next[old] = _NOBODY

    def rebuild(
        self, keys: npt.NDArray[Any], session: npt.NDArray[Any], live: npt.NDArray[Any]
    ) -> None:
        """Link all live slots from nothing."""
        self.prev[:] = self.next[:] = _NOBODY
        self._last.view[:] = _NOBODY
        slots = np.flatnonzero(live)
        slots = slots[np.argsort(keys[slots], kind="stable")]
        self.stale = False
        if len(slots):
            self._chain(slots, session[slots])
