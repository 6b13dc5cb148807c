"""What each kind of background job does, beyond the upkeep that the queue knows by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.app.sleep import consolidating
from mneme.ingest.listen import Listener
from mneme.transform.runs import CONSOLIDATE
from mneme.vault.write import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.protocols import LanguageModel
    from mneme.core.rows import JobRow
    from mneme.schedule.jobs import Jobs
    from mneme.vault.vault import Vault


def handlers_of(
    vault: Vault, jobs: Jobs, model: LanguageModel | None
) -> dict[str, Callable[[JobRow], None]]:
    """Handlers by kind of job."""
    listener = Listener(vault, model=model)
    return {
        READ: lambda job: listener.run(job, lambda: jobs.keep_on(job)),
        CONSOLIDATE: consolidating(vault, model, jobs.keep_on),
    }
