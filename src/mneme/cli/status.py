"""Exit statuses, so that a program can tell what went wrong."""

from __future__ import annotations

from enum import IntEnum

from mneme.core import errors


class Status(IntEnum):
    """What the command leaves behind as its exit status."""

    DONE = 0
    REFUSED = 1  # or not found
    WRONG_USAGE = 2
    DAMAGED = 3
    UNAVAILABLE = 4


_UNAVAILABLE = (
    errors.BackendUnavailableError,
    errors.MissingDependencyError,
    errors.StoreFullError,
)


def status_of(error: errors.MnemeError) -> Status:
    """The status for an error."""
    if isinstance(error, errors.StoreCorruptError):
        return Status.DAMAGED
    if isinstance(error, _UNAVAILABLE):
        return Status.UNAVAILABLE
    if isinstance(error, errors.LifecycleError):
        return Status.REFUSED
    return Status.WRONG_USAGE if isinstance(error, errors.InvalidInputError) else Status.REFUSED
