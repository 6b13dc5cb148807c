"""The errors that Mneme raises, each also the builtin that it resembles.

MnemeError
├── InvalidInputError (ValueError)        the caller's argument is wrong; nothing changed
│   ├── QueryRefusedError                 a query that is not one SELECT, or beyond a limit
│   ├── StepRefusedError                  the steps of a task do not allow the change
│   ├── UnsuitedModelError                a model's cache cannot be kept as blocks; text is used
│   └── UnknownArgumentError (TypeError)  no such keyword; names the nearest one
├── CubeNotFoundError (KeyError)          no readable cube of that id in that namespace
├── VersionConflictError                  somebody else changed the cube first
├── FrozenCubeError                       the cube's state refuses the change
├── LifecycleError                        no edge between the two states
├── IdempotencyConflictError              the key was used for other content
├── ImportRefusedError (ValueError)       a file is not what it should be; nothing was imported
├── ForbiddenError (PermissionError)      a rule of governance, or of the file system, says no
├── StoreCorruptError                     bytes on disk are not what was written
│   └── BlockDamagedError                 a block of keys and values; it is computed again
├── StoreFullError (OSError)              the disk is full; nothing was acknowledged
├── BackendUnavailableError (ConnectionError)   a part outside this process does not answer
│   ├── BudgetSpentError                  no tokens, or no money, are left for this work
│   └── UnfitAnswerError                  a model's answers fit no schema, also after repair
├── MissingDependencyError (ImportError)  an extra is not installed
└── GateFailedError                       a derived carrier did not prove what it says
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class MnemeError(Exception):
    """The root of all errors of Mneme; its text says what to do."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:  # KeyError would print the repr
        return self.message


class InvalidInputError(MnemeError, ValueError):
    """An argument is not acceptable; nothing was changed."""


class UnknownArgumentError(InvalidInputError, TypeError):
    """A keyword argument that the call does not have."""

    def __init__(self, call: str, name: str, known: Iterable[str]) -> None:
        self.call, self.name = call, name
        near = get_close_matches(name, list(known), n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        super().__init__(f"{call} has no argument {name!r}{hint}")


class QueryRefusedError(InvalidInputError):
    """A query is not one SELECT on the namespace's tables, or goes beyond a limit."""


class StepRefusedError(InvalidInputError):
    """The steps of a task do not allow the change: their order, their states, or a cycle."""


class UnsuitedModelError(InvalidInputError):
    """The keys and values of a model cannot be stored, or not be used in that way; names it."""


class CubeNotFoundError(MnemeError, KeyError):
    """No readable cube has this id in this namespace."""

    def __init__(self, cube_id: str, namespace: str) -> None:
        self.cube_id, self.namespace = cube_id, namespace
        super().__init__(
            f"no cube {cube_id!r} in namespace {namespace!r}; "
            "check the id and the namespace, or restore it if it was forgotten"
        )


class VersionConflictError(MnemeError):
    """The cube is not at the version that the caller expected."""

    def __init__(self, cube_id: str, expected: int, actual: int) -> None:
        self.cube_id, self.expected, self.actual = cube_id, expected, actual
        super().__init__(
            f"cube {cube_id!r} is at version {actual}, not {expected}; read it again and retry"
        )


class FrozenCubeError(MnemeError):
    """The cube is frozen, or held, and refuses this change."""

    def __init__(self, cube_id: str, verb: str, why: str = "frozen") -> None:
        self.cube_id, self.verb, self.why = cube_id, verb, why
        remedy = "unfreeze it" if why == "frozen" else "lift the hold with update(id, hold=False)"
        super().__init__(f"cube {cube_id!r} is {why} and refuses {verb}; {remedy} first")


class LifecycleError(InvalidInputError):
    """The life cycle has no edge from the cube's state to the one asked for."""

    def __init__(self, cube_id: str, state: str, verb: str) -> None:
        self.cube_id, self.state, self.verb = cube_id, state, verb
        super().__init__(f"cube {cube_id!r} is {state}: {verb} is not possible from there")


class IdempotencyConflictError(MnemeError):
    """An idempotency key came again with other content."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f"idempotency key {key!r} was used for other content; use a new key for new content"
        )


class ImportRefusedError(MnemeError, ValueError):
    """A file cannot be imported; nothing of it was."""


class ForbiddenError(MnemeError, PermissionError):
    """Not allowed, by a rule of governance or by the file system."""


class StoreCorruptError(MnemeError):
    """Stored bytes are not what was written; run `mneme verify`."""


class BlockDamagedError(StoreCorruptError):
    """The file of a block of keys and values is not what was written; compute the block again."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"a block of keys and values is damaged: {what}; drop it, compute it again"
        )


class StoreFullError(MnemeError, OSError):
    """The disk has no room; the change was not made."""


class BackendUnavailableError(MnemeError, ConnectionError):
    """A part outside this process did not answer, or not sensibly."""


class BudgetSpentError(BackendUnavailableError):
    """What was set aside for a kind of work is used up; it goes on when there is more."""


class UnfitAnswerError(BackendUnavailableError):
    """A language model answered, but not what was asked for, also after repair."""


class MissingDependencyError(MnemeError, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        wanted = f"'mneme[{extra}]'" if extra else package  # some are nobody's but the user's
        super().__init__(f"{purpose} needs {package!r}: pip install {wanted}")


class GateFailedError(MnemeError):
    """A derived carrier was not proven to say what its source says."""
