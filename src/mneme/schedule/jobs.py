"""How jobs are taken, run, retried and put aside.

Jobs are named by strings: the queue knows only its own upkeep, others bring the rest. A job is
taken under a lease: if its holder dies, the next process takes it over. Every job may run twice
without harm.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from mneme.core.errors import BackendUnavailableError, MnemeError
from mneme.vault.erase import SCRUB
from mneme.vault.stale import SWEEP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mneme.core.rows import JobRow
    from mneme.schedule.usage import Usage
    from mneme.vault.vault import Vault

    Handler = Callable[[JobRow], None]

MOST_TRIES = 5
LEASE_US = 60_000_000
_FIRST_WAIT_US = 1_000_000
_LONGEST_WAIT_US = 300_000_000
_LONGEST_SCRUB_WAIT_US = 2_000_000  # an erasure ends within seconds of the reader in its way


class Jobs:
    """Runs the jobs of a vault, one at a time in this process.

    Args:
        vault: Whose jobs they are.
        usage: Flushed before each look for a job.
    """

    def __init__(self, vault: Vault, usage: Usage) -> None:
        self._vault, self._usage = vault, usage
        self._running = RLock()
        self._kinds: dict[str, Handler] = {
            "embed": self._embed,
            "expire": self._expire,
            SCRUB: self._scrub,
            SWEEP: self._sweep,
        }

    def handle(self, handlers: Mapping[str, Handler]) -> None:
        """Say what further kinds of jobs do; each may run twice without harm."""
        self._kinds |= handlers

    def run_one(self) -> bool:
        """Run the job that has been due longest, after the one at work; False if none is due."""
        with self._running:
            return self._run_one()

    def keep_on(self, job: JobRow) -> bool:
        """Lengthen the lease of a long job; False if another process has taken it over."""
        with self._vault.parts.store.write() as tx:
            tx.ledger.extend_lease(job, self._vault.parts.clock.now_us() + LEASE_US)
            return tx.ledger.holds_lease(job)

    def _run_one(self) -> bool:
        self._usage.flush()
        store, now = self._vault.parts.store, self._vault.parts.clock.now_us()
        with store.read() as tx:
            due = tx.ledger.next_due()
        if due is None or due > now:
            return False
        with store.write() as tx:
            job = tx.ledger.lease_job(now, now + LEASE_US)
        if job is None:
            return False
        try:
            self._kinds.get(job.kind, _unknown)(job)
        except MnemeError as error:
            self._put_back(job, error)
        else:
            with store.write() as tx:
                tx.ledger.finish_job(job)
        return True

    def next_due(self) -> int | None:
        """When the next job is due, in microseconds since 1970; None if none waits."""
        with self._vault.parts.store.read() as tx:
            return tx.ledger.next_due()

    def _put_back(self, job: JobRow, error: MnemeError) -> None:
        longest = _LONGEST_SCRUB_WAIT_US if job.kind == SCRUB else _LONGEST_WAIT_US
        wait = min(_FIRST_WAIT_US << min(job.tries - 1, 20), longest)
        outside = isinstance(error, BackendUnavailableError)  # it comes back one day: wait for it
        dead = job.tries >= MOST_TRIES and not outside
        with self._vault.parts.store.write() as tx:
            tx.ledger.fail_job(
                job,
                state="dead" if dead else "waiting",
                due_at=self._vault.parts.clock.now_us() + wait,
                error=f"{type(error).__name__}: {error}",
            )

    def _embed(self, job: JobRow) -> None:
        self._vault.upkeep.embed_missing(keep_on=lambda: self.keep_on(job))

    def _expire(self, _job: JobRow) -> None:
        due = self._vault.lives.expire_due()
        if due is not None:
            with self._vault.parts.store.write() as tx:
                tx.ledger.enqueue("expire", "expire", "{}", due)

    def _scrub(self, _job: JobRow) -> None:
        if not self._vault.eraser.scrub():  # a reader still uses the log: look again soon
            with self._vault.parts.store.write() as tx:
                due = self._vault.parts.clock.now_us() + _FIRST_WAIT_US
                tx.ledger.enqueue(SCRUB, SCRUB, "{}", due)

    def _sweep(self, _job: JobRow) -> None:
        missed = self._vault.blocks.sweep()
        if missed:
            raise BackendUnavailableError(
                f"files of what went are still in {', '.join(missed)}, which does not "
                "answer or is not set up here"
            )


def _unknown(job: JobRow) -> None:
    raise MnemeError(f"this Mneme knows no job of kind {job.kind!r}; install a newer one")
