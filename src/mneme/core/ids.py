"""UUIDv7 ids: ordered by time of making, unique across machines (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.clock import Clock

_SEQUENCE_BITS = 12
_HEX_LENGTH = 32


class IdMaker:
    """Makes UUIDv7 strings that rise strictly within one process.

    Args:
        clock: Gives the millisecond part.
        random_bytes: Gives the random part; `os.urandom` unless a test passes its own.
    """

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._clock, self._random_bytes = clock, random_bytes
        self._last = 0
        self._lock = Lock()

    def make(self) -> str:
        """One new id, in the canonical form of 36 characters."""
        with self._lock:
            ticks = (self._clock.now_us() // 1000) << _SEQUENCE_BITS
            self._last = ticks if ticks > self._last else self._last + 1
            ticks = self._last
        tail = int.from_bytes(self._random_bytes(8), "big") & ((1 << 62) - 1)
        value = (ticks >> _SEQUENCE_BITS) << 80 | 0x7 << 76
        value |= (ticks & ((1 << _SEQUENCE_BITS) - 1)) << 64 | 0b10 << 62 | tail
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
