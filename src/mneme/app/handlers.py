"""What each kind of background job does, beyond the upkeep that the queue knows by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mneme.app.sleep import consolidating
from mneme.core.rows import Condition, Selection
from mneme.schedule.policies.consolidation import QUIET_S
from mneme.transform.runs import CONSOLIDATE
from mneme.transform.sleep import job_name, payload_of
from mneme.vault.marks import DERIVED
from mneme.vault.read import LISTED
from mneme.vault.write import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.protocols import LanguageModel
    from mneme.core.rows import JobRow
    from mneme.ingest.listen import Listener
    from mneme.schedule.jobs import Jobs
    from mneme.vault.vault import Vault

    Handlers = dict[str, Callable[[JobRow], None]]

_FEWEST: Final = 20  # cubes of a namespace that are worth tidying up
_QUIET_US: Final = int(QUIET_S * 1e6)


def handlers_of(
    vault: Vault,
    jobs: Jobs,
    listener: Listener,
    model: LanguageModel | None,
    *,
    sleeps: bool = True,
) -> Handlers:
    """Handlers by kind of job.

    Args:
        vault: Whose jobs they are.
        jobs: Lengthens the leases of long ones.
        listener: Reads turns.
        model: Writes summaries, where there is one.
        sleeps: Whether what was read is consolidated when nobody has spoken for a while.
    """
    tidy = consolidating(vault, model, jobs.keep_on)

    def read(job: JobRow) -> None:
        listener.run(job, lambda: jobs.keep_on(job))
        if sleeps:
            _sleep_later(vault, json.loads(job.payload)["namespace"])

    def consolidate(job: JobRow) -> None:
        tidy(job)
        if sleeps:
            _sleep_later(vault, json.loads(job.payload)["namespace"])

    return {READ: read, CONSOLIDATE: consolidate}


def _sleep_later(vault: Vault, path: str) -> None:
    """Have a namespace consolidated when it has been quiet, if there is something to tidy up."""
    ours = Condition("origin", None, "ne", DERIVED)
    now = vault.parts.clock.now_us()
    with vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        if known is None:
            return
        fresh = Condition("recorded_at", None, "gt", now - _QUIET_US)
        new = tx.cubes.select(
            known.number, Selection(states=LISTED, conditions=(ours, fresh)), limit=1
        )
        some = Selection(states=LISTED, conditions=(ours,))
        if not new or len(tx.cubes.select(known.number, some, limit=_FEWEST)) < _FEWEST:
            return
    with vault.parts.store.write() as tx:
        payload = payload_of(path, QUIET_S, archive=False)
        tx.ledger.enqueue(CONSOLIDATE, job_name(path), payload, now + _QUIET_US)
