"""Lets the writers of all processes begin one after the other, so that none waits for ever.

SQLite has no queue: who finds the file busy sleeps and looks again, and a process whose threads
write without a pause takes the lock again before others wake. Here a writer holds the turnstile
while it waits for SQLite's lock: nobody of another process can come before it. That is for fairness
alone; what keeps the store whole is SQLite's lock. So where it fails, writers go on without it.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOKS_EVERY_S: Final = 0.001


class Turnstile:
    """A lock on the folder of a store: on the folder itself, so that it leaves no file.

    Args:
        folder: Of the store.
        longest_s: How long a writer waits, for its turn and for SQLite's lock together.
    """

    def __init__(self, folder: Path, *, longest_s: float) -> None:
        self._longest_s, self._ends_s = longest_s, 0.0
        self._handle: int | None = None
        if fcntl is not None:
            with suppress(OSError):
                self._handle = os.open(folder, os.O_RDONLY)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait for those of other processes who came before; hold up those who come after."""
        self._ends_s = time.monotonic() + self._longest_s
        taken = self._handle is not None and self._take(self._handle)
        try:
            yield
        finally:
            if taken and self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the folder."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def nap(self, _naps: int) -> bool:
        """Sleep a little before another look at SQLite's lock; False if that was often enough.

        SQLite's own naps grow to 100 ms, in which the one whose turn it is would hold up all.
        """
        time.sleep(_LOOKS_EVERY_S)
        return time.monotonic() < self._ends_s

    def _take(self, handle: int) -> bool:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not self.nap(0):
                    return False
            except OSError:  # a file system without such locks
                return False
            else:
                return True
