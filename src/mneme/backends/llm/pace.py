"""When the next request may go out: not too many at once, and not while a server asks to wait."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from mneme.core.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LONGEST_BACK_OFF_S = 30.0
_LONGEST_ASKED_S = 600.0


class Pace:
    """Shared by all calls of one client; a pause that the server asks of one holds for all.

    Args:
        at_once: Most requests on their way.
        pause_s: The first back-off; it doubles with each failure of a call.
        chance: Gives 0 to 1, so that calls which failed together do not come back together.
    """

    def __init__(
        self, *, at_once: int, pause_s: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._places = BoundedSemaphore(at_once)
        self._pause_s, self._chance = pause_s, chance
        self._not_before = 0.0
        self._lock = Lock()

    @contextmanager
    def place(self, deadline: float) -> Iterator[None]:
        """One of the places, from now to the end of the block.

        Raises:
            BackendUnavailableError: None becomes free by the deadline.
        """
        if not self._places.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise BackendUnavailableError(
                "the language model is busy with other calls; this one waited its time-out"
            )
        try:
            yield
        finally:
            self._places.release()

    def hold(self, asked_s: float) -> None:
        """Let nobody ask for so many seconds, as the server wishes."""
        until = time.monotonic() + min(asked_s, _LONGEST_ASKED_S)
        with self._lock:
            self._not_before = max(self._not_before, until)

    def wait(self, failures: int, deadline: float) -> None:
        """Wait as the server wishes, and longer after each failure of a call.

        Raises:
            BackendUnavailableError: The wait would pass the deadline; it is not waited for.
        """
        now = time.monotonic()
        until = self._not_before
        if failures:
            most = min(self._pause_s * 2 ** (failures - 1), _LONGEST_BACK_OFF_S)
            until = max(until, now + most * (0.5 + self._chance() / 2))
        if until >= deadline:
            raise BackendUnavailableError(
                "the language model is to be left alone for longer than the time-out allows"
            )
        time.sleep(max(until - now, 0))


def asked_pause(headers: Mapping[str, str]) -> float:
    """Seconds of a `Retry-After` header; 0 without one, or when it is a date."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0
