"""How often somebody may come: token buckets, bounded in number, on the event loop alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BUCKETS: Final = 10_000


class Buckets:
    """One bucket of tokens for each name; the names that were asked for least recently go first.

    Args:
        most: Names that are known at one time; a name that went starts with a full bucket again.
        now: Seconds, never going back.
    """

    def __init__(
        self, *, most: int = MOST_BUCKETS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._now = most, now
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def take(self, name: str, *, per_s: float, burst: float) -> float:
        """Take a token; seconds until there is one, if there is none now, else 0."""
        now = self._now()
        left, at = self._known.pop(name, (burst, now))
        left = min(burst, left + (now - at) * per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / per_s
        self._known[name] = (left - 1 if wait_s == 0 else left, now)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return wait_s

    def __len__(self) -> int:
        return len(self._known)
