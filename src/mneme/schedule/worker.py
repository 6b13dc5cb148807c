"""The thread of this process that runs jobs when they are due."""

from __future__ import annotations

from logging import getLogger
from threading import Condition, Thread
from typing import TYPE_CHECKING

from mneme.core.errors import MnemeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.clock import Clock
    from mneme.schedule.jobs import Jobs

_log = getLogger(__name__)
_LONGEST_NAP_S = 5.0  # another process may have written a job meanwhile
_SHORTEST_NAP_S = 0.05
_PAUSE_S = 0.1  # what follows at once is done in one go, and does not wait for us in between


class Worker:
    """Runs due jobs until it is stopped; the thread starts with the first `wake`.

    Args:
        jobs: What it runs.
        clock: Says when they are due.
        look: Called every few seconds, to notice what other processes did.
    """

    def __init__(self, jobs: Jobs, clock: Clock, look: Callable[[], None] = lambda: None) -> None:
        self._jobs, self._clock, self._look = jobs, clock, look
        self._wakes = Condition()
        self._awake = self._stopping = False
        self._thread: Thread | None = None

    def wake(self) -> None:
        """Look for jobs now."""
        with self._wakes:
            if self._stopping:
                return
            if self._thread is None:
                self._thread = Thread(target=self._run, name="mneme-worker", daemon=True)
                self._thread.start()
            self._awake = True
            self._wakes.notify()

    def stop(self) -> None:
        """End the thread after the job that it is at."""
        with self._wakes:
            self._stopping = True
            self._wakes.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            with self._wakes:
                if self._awake and not self._stopping:
                    self._awake = False
                    self._wakes.wait_for(lambda: self._stopping, _PAUSE_S)
            try:
                self._look()
                ran = self._jobs.run_one()
                nap_s = 0.0 if ran else self._nap_s()
            except MnemeError as error:  # the store is busy or full: the jobs stay, so try later
                _log.warning("background work is delayed: %s", error)
                nap_s = _LONGEST_NAP_S
            with self._wakes:
                if nap_s and not self._awake and not self._stopping:
                    self._wakes.wait(nap_s)

    def _nap_s(self) -> float:
        due = self._jobs.next_due()
        if due is None:
            return _LONGEST_NAP_S
        left_s = (due - self._clock.now_us()) / 1e6
        return min(max(left_s, _SHORTEST_NAP_S), _LONGEST_NAP_S)
