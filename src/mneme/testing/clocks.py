"""A clock that tests turn."""

from __future__ import annotations


class HandClock:
    """Moves on by `tick_us` with every look, and by hand.

    Args:
        now_us: Where it begins: microseconds since 1970, UTC.
        tick_us: How far each look moves it, so that no two changes share a moment.
    """

    def __init__(self, now_us: int = 1_780_000_000_000_000, *, tick_us: int = 1000) -> None:
        self._now_us, self._tick_us = now_us, tick_us

    def now_us(self) -> int:
        """The time, which is later at the next look."""
        self._now_us += self._tick_us
        return self._now_us

    def move_s(self, seconds: float) -> None:
        """Turn it on (or, below 0, back)."""
        self._now_us += int(seconds * 1e6)
