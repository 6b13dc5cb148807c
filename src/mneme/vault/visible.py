"""Which slots of an index a search may give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mneme.core.lifecycle import SEARCHED, SEARCHED_WITH_ARCHIVED, State
from mneme.vault.index.columns import NONE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import numpy.typing as npt

    from mneme.core.rows import Condition
    from mneme.vault.index.claims import Claims
    from mneme.vault.index.columns import Strings
    from mneme.vault.index.namespace import NamespaceIndex

    Mask = npt.NDArray[np.bool_]

_OF_DERIVED = frozenset({"type", "origin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a search may look at. Times are microseconds since 1970, UTC.

    Attributes:
        now: What is past its `expires_at` by then is hidden.
        asked_at: The time that the question is asked at, which may be ahead of the clock.
    """

    now: int
    asked_at: int = 0
    types: tuple[str, ...] | None = None
    session: str | None = None
    since: int | None = None
    until: int | None = None
    valid_at: int | None = None
    as_of: int | None = None
    conditions: tuple[Condition, ...] = ()
    include_archived: bool = False

    @property
    def derived(self) -> bool:
        """Whether what Mneme derived is looked at, too: only where it is asked for."""
        return self.types is not None or any(c.field in _OF_DERIVED for c in self.conditions)

    @property
    def states(self) -> tuple[str, ...]:
        """States that are looked at; a filter on the state itself opens all that is readable."""
        if any(condition.field == "state" for condition in self.conditions):
            return tuple(s.value for s in SEARCHED_WITH_ARCHIVED | {State.GENERATED})
        states = SEARCHED_WITH_ARCHIVED if self.include_archived else SEARCHED
        return tuple(s.value for s in states)


def visible(index: NamespaceIndex, window: Window, keys: Collection[int] | None) -> Mask:
    """By slot, whether the window holds it.

    Args:
        index: Of the namespace.
        window: What may be looked at.
        keys: Cubes that meet the filters; None where there are none.
    """
    mask: Mask = index.column("live") & _is_one_of(index, "state", index.states, window.states)
    expires = index.column("expires_at")
    mask &= (expires == NONE) | (expires > window.now)
    if window.types is not None:
        mask &= _is_one_of(index, "type", index.types, window.types)
    if window.session is not None:
        mask &= _is_one_of(index, "session", index.sessions, (window.session,))
    _limit_times(index, window, mask)
    if keys is not None:
        mask &= np.isin(index.column("key"), np.fromiter(keys, np.int64, len(keys)))
    return mask


def present(index: NamespaceIndex, window: Window) -> int:
    """The time by which it is told what still holds: never before the newest turn was said."""
    event = index.column("event_at")
    newest = int(event.max()) if len(event) else NONE
    return max(window.now, window.asked_at, newest)


def holding(index: NamespaceIndex, window: Window, mask: Mask, at: int) -> Mask:
    """Of derived cubes, those that hold at present, unless a time or the past is asked for."""
    if window.valid_at is not None or window.as_of is not None or window.include_archived:
        return mask
    last = index.column("valid_to")
    held: Mask = mask & ((last == NONE) | (last > at))
    return held


def unretired(index: NamespaceIndex, claims: Claims, window: Window, mask: Mask, at: int) -> Mask:
    """Without the turns all of whose statements hold no longer, or did not hold at `valid_at`."""
    if window.as_of is not None:
        return mask
    if window.valid_at is None:
        gone = claims.retired(at)
    else:
        gone = np.array(claims.outside(window.valid_at), np.int64)
    return mask & ~np.isin(index.column("key"), gone) if len(gone) else mask


def _limit_times(index: NamespaceIndex, window: Window, mask: Mask) -> None:
    event = index.column("event_at")
    if window.since is not None:
        mask &= event >= window.since  # NONE is below every time
    if window.until is not None:
        mask &= (event != NONE) & (event <= window.until)
    if window.valid_at is not None:
        first, last = index.column("valid_from"), index.column("valid_to")
        mask &= (first == NONE) | (first <= window.valid_at)
        mask &= (last == NONE) | (last > window.valid_at)


def _is_one_of(index: NamespaceIndex, column: str, table: Strings, wanted: Iterable[str]) -> Mask:
    numbers = [n for n in (table.find(name) for name in wanted) if n is not None]
    values = index.column(column)
    found: Mask = values == numbers[0] if len(numbers) == 1 else np.isin(values, numbers)
    return found
