"""A lock for what reads first and then writes, in this process and in others of the same server."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class OneByOne:
    """One holder at a time. A context manager."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._file: Path | None = None
        self._held: IO[bytes] | None = None

    def among(self, file: Path) -> None:
        """From now on one holder among all processes that name this file (not on Windows)."""
        self._file = file

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._file is None:
            return
        import fcntl

        with suppress(FileNotFoundError):  # its folder is gone, and with it the other processes
            self._held = self._file.open("ab")
            fcntl.flock(self._held, fcntl.LOCK_EX)  # ends with the file, or with the process

    def __exit__(self, *_error: object) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
        self._lock.release()
