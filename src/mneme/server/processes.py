"""Several processes that serve one store on one address, and the one that looks after them.

One process of Python is one core. Each child opens the store and listens on a socket of its own
(SO_REUSEPORT): the kernel deals out connections. The parent answers nothing: it starts them, starts
one that died again, and passes on the signal to end. A child ends by itself without a parent.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.server.child import READY
from mneme.server.listening import GRACE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mneme.server.child import Order
    from mneme.settings import Settings

MOST: Final = 4  # unless more are asked for
CAN_SHARE: Final = sys.platform == "linux" and hasattr(socket, "SO_REUSEPORT")
_STARTS_IN_S: Final = 60.0
_ENDS_IN_S: Final = GRACE_S + 5.0
_FIRST_PAUSE_S: Final = 0.2  # before one that died is started again; doubled each time
_LONGEST_PAUSE_S: Final = 30.0
_HEALTHY_S: Final = 60.0  # whoever lived so long has nothing to do with those that died before
_PROGRAM: Final = (
    "import json,sys; sys.path[:]=json.loads(sys.argv[1]); "
    "from mneme.server.child import main; main()"
)
_END: Final = -1

_log = logging.getLogger(__name__)


def processes_of(settings: Settings) -> int:
    """How many processes a server is to have.

    Raises:
        InvalidInputError: Several are asked for where there can only be one.
    """
    asked = settings.serve_processes
    if settings.serve_model is not None:
        why = "a model is loaded in the server's process"
    elif not CAN_SHARE:
        why = "this system deals out no connections among processes (Linux does)"
    else:
        return asked or min(len(os.sched_getaffinity(0)), MOST)
    if asked > 1:
        raise InvalidInputError(f"{why}: there can be one process, leave --processes out")
    return 1


class _Event(NamedTuple):
    """What happened to a child, by its number; `_END`: the server is to end."""

    number: int
    is_ready: bool = False


class Processes:
    """Children that serve, until SIGTERM or SIGINT.

    Args:
        orders: One for each child.
    """

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = orders
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._watchers: dict[int, threading.Thread] = {}
        self._began: dict[int, float] = {}
        self._pause_s = [_FIRST_PAUSE_S] * len(orders)
        self._due: dict[int, float] = {}

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start them, say so once all answer, and look after them; then end them.

        Raises:
            BackendUnavailableError: One did not start; or did not end in time, and was killed.
        """
        with self._signals():
            try:
                for number in range(len(self._orders)):
                    self._start(number)
                if self._all_ready():
                    ready()
                    self._look_after()
            finally:
                self._end()

    def _all_ready(self) -> bool:
        """Wait for all; False if the server is to end before."""
        ends, waiting = time.monotonic() + _STARTS_IN_S, set(self._running)
        while waiting:
            event = self._next(ends)
            if event == _Event(_END):
                return False
            if event is None or not event.is_ready:
                raise BackendUnavailableError("a process of the server did not start; see above")
            waiting.discard(event.number)
        return True

    def _look_after(self) -> None:
        while True:
            event = self._next(min(self._due.values(), default=None))
            if event == _Event(_END):
                return
            if event is not None and not event.is_ready:
                self._note_death(event.number)
            for number in [n for n, due in self._due.items() if due <= time.monotonic()]:
                self._start_again(number)

    def _start_again(self, number: int) -> None:
        del self._due[number]
        try:
            self._start(number)
        except (
            OSError
        ) as error:  # too little memory, or too many processes: later there may be room
            self._start_later(number, f"a process of the server does not start: {error.strerror}")

    def _note_death(self, number: int) -> None:
        process = self._running.pop(number)
        if time.monotonic() - self._began[number] > _HEALTHY_S:
            self._pause_s[number] = _FIRST_PAUSE_S
        said = f"process {process.pid} of the server ended with status {process.returncode}"
        self._start_later(number, said)

    def _start_later(self, number: int, why: str) -> None:
        pause_s = self._pause_s[number]
        self._pause_s[number] = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._due[number] = time.monotonic() + pause_s
        _log.warning("%s; another one starts in %.1f s", why, pause_s)

    def _next(self, until: float | None) -> _Event | None:
        left_s = None if until is None else max(0.0, until - time.monotonic())
        try:
            return self._events.get(timeout=left_s)
        except Empty:
            return None

    def _start(self, number: int) -> None:
        command = [sys.executable, "-P", "-c", _PROGRAM, _path_as_json()]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._running[number], self._began[number] = process, time.monotonic()
        watcher = threading.Thread(target=self._watch, args=(number, process), daemon=True)
        self._watchers[number] = watcher
        watcher.start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already: its watcher says so
            process.stdin.write(self._orders[number].line())
            process.stdin.flush()

    def _watch(self, number: int, process: subprocess.Popen[bytes]) -> None:
        """Say what becomes of a child; its stdin stays open until it is dead."""
        assert process.stdout is not None
        for line in process.stdout:
            if line == READY:
                self._events.put(_Event(number, is_ready=True))
        process.wait()
        process.stdout.close()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        self._events.put(_Event(number))

    def _end(self) -> None:
        for process in self._running.values():
            process.terminate()
        ends = time.monotonic() + _ENDS_IN_S
        for number in self._running:
            self._watchers[number].join(max(0.0, ends - time.monotonic()))
        late = [process for process in self._running.values() if process.poll() is None]
        for process in late:
            process.kill()
        for number in self._running:
            self._watchers[number].join()
        if late:
            raise BackendUnavailableError(
                f"{len(late)} processes of the server did not end in {_ENDS_IN_S:.0f} s and were "
                "killed; nothing that was acknowledged is lost"
            )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the two signals end the server, and nothing more."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            each: signal.signal(each, lambda *_: self._events.put(_Event(_END)))
            for each in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _path_as_json() -> str:
    """Where this process finds its modules, for a child that is to find the same ones."""
    import json

    return json.dumps(sys.path)
