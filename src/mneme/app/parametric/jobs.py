"""The job that writes shards: what was promised, and what an edit or an erasure left to be done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mneme.core.errors import (
    BackendUnavailableError,
    CubeNotFoundError,
    GateFailedError,
    InvalidInputError,
    VersionConflictError,
)
from mneme.vault.stale import is_to_build

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.app.parametric.models import Models
    from mneme.core.rows import JobRow
    from mneme.vault.vault import Vault


class LeaseLostError(BackendUnavailableError):
    """Another process has taken the job over."""


def tuning(
    vault: Vault, models: Models, keep_on: Callable[[JobRow], bool]
) -> Callable[[JobRow], None]:
    """The handler of jobs that write shards.

    Args:
        vault: Whose shards they are.
        models: The engines that are attached.
        keep_on: Lengthens a job's lease; False if another process has taken it over.
    """

    def tune(job: JobRow) -> None:
        told = json.loads(job.payload)
        path, cube_id = told["namespace"], told["cube"]
        try:
            row, _, _ = vault.adapters.header_of(path, cube_id)
        except CubeNotFoundError:
            return  # forgotten or erased meanwhile
        if not is_to_build(row) or row.model is None:
            return
        shards = models.of_base(row.model)
        if shards is None:
            raise BackendUnavailableError("the engine of this shard is not attached")

        def progress(step: int, _steps: int, _loss: float) -> None:
            if step % 16 == 0 and not keep_on(job):
                raise LeaseLostError("another process writes this shard")

        try:
            shards.rebuild(path, cube_id, progress)
        except (GateFailedError, InvalidInputError, CubeNotFoundError):
            return  # it was refused, and says why; or a source went, and so did the shard
        except VersionConflictError:
            raise BackendUnavailableError(
                "a text was changed while its shard was written"
            ) from None

    return tune
