"""Memory that threads gave back, kept in few places.

glibc gives each thread that allocates an arena of its own, up to eight for each core, and what was
freed in one is of no use to the others: a server whose threads write and search grew by 25 MB a
minute. With two arenas it grew by less (docs/benchmarks-server.md says how that was measured).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_M_ARENA_MAX: Final = -8  # of mallopt(3)
_ARENAS: Final = 2


def few_arenas() -> bool:
    """Bound the arenas of this process from now on; False where its C library has no such bound."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (OSError, AttributeError):
        return False
