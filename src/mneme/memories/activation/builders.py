"""One builder for each key: who asks for what is being built waits for it.

Between threads by a table, between processes by a locked file. A process that dies lets go of its
lock; one that takes too long is not waited for: the same is built twice then, which is only waste.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_POLL_S = 0.005, 0.1  # at first, at most


class _Build:
    """What one thread builds and others may wait for."""

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None


class Builders:
    """Sees to it that nothing is built twice at the same time.

    Args:
        folder: Where processes put their locks; None: threads of this process alone. Where it
            cannot be used, this process goes on by itself.
        wait_s: How long to wait for another process.
    """

    def __init__(self, folder: Path | None = None, *, wait_s: float = 120.0) -> None:
        self._folder, self._wait_s = folder, wait_s
        self._builds: dict[str, _Build] = {}
        self._lock = threading.Lock()

    def once(
        self, key: str, build: Callable[[], T], *, known: Callable[[], T | None] | None = None
    ) -> T:
        """What `build` gives, from whichever thread built it.

        Args:
            key: Of what is built.
            build: Builds it. Its error goes to all that wait; who asks afterwards builds anew.
            known: Asked before: what another has just built, or None.
        """
        while True:
            with self._lock:
                mine = key not in self._builds
                current = self._builds.setdefault(key, _Build()) if mine else self._builds[key]
            if mine:
                return self._build(key, current, build, known)
            if current.owner == threading.get_ident():  # it needs itself: waiting would never end
                return build()
            current.done.wait()
            if current.error is None:
                result: T = current.result
                return result
            if isinstance(current.error, Exception):  # else only that thread was stopped
                raise current.error

    def _build(
        self,
        key: str,
        current: _Build,
        build: Callable[[], T],
        known: Callable[[], T | None] | None,
    ) -> T:
        try:
            with self._alone(key):
                found = None if known is None else known()
                current.result = result = build() if found is None else found
                return result
        except BaseException as error:
            current.error = error
            raise
        finally:
            with self._lock:
                del self._builds[key]
            current.done.set()

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold the lock of a key, if it can be had."""
        if self._folder is None or sys.platform == "win32":
            yield
            return
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"
        handle = self._locked(path)
        try:
            yield
        finally:
            if handle is not None:
                with suppress(OSError):
                    path.unlink()  # still locked: nobody takes it for a free one
                os.close(handle)

    def _locked(self, path: Path) -> int | None:
        until, pause = time.monotonic() + self._wait_s, _POLL_S[0]
        while True:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                handle = _try_lock(path)
            except OSError:  # no room, no right, no locks here: one builds by oneself
                return None
            if handle is not None or time.monotonic() >= until:
                return handle
            time.sleep(pause)
            pause = min(2 * pause, _POLL_S[1])


def _try_lock(path: Path) -> int | None:
    """The handle of the file, locked; None while another has it.

    Raises:
        OSError: The folder cannot hold locked files.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    mine = False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.fstat(handle).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):  # another has it, or has just removed it
        return None
    finally:
        if not mine:
            os.close(handle)
    return handle if mine else None
