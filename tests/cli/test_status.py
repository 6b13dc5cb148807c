"""Every error has an exit status."""

from __future__ import annotations

import pytest

from mneme.cli.status import status_of
from mneme.core import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.CubeNotFoundError("x", "alice"), 1),
        (errors.FrozenCubeError("x", "update"), 1),
        (errors.LifecycleError("x", "frozen", "archive"), 1),
        (errors.VersionConflictError("x", 1, 2), 1),
        (errors.IdempotencyConflictError("k"), 1),
        (errors.ForbiddenError("no"), 1),
        (errors.ImportRefusedError("no"), 1),
        (errors.InvalidInputError("no"), 2),
        (errors.UnknownArgumentError("add", "txt", ["text"]), 2),
        (errors.StoreCorruptError("no"), 3),
        (errors.BackendUnavailableError("no"), 4),
        (errors.MissingDependencyError("torch", "local", "it"), 4),
        (errors.StoreFullError("no"), 4),
    ],
)
def test_status(error: errors.MnemeError, status: int) -> None:
    assert status_of(error) == status
