"""What a server refuses, as the error that the library would have raised.

The server's `problem+json` (RFC 9457) names the class; see `mneme.server.problems`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.core import errors

if TYPE_CHECKING:
    from mneme.client.wire import Answer

# Where no class is named: what a guard, a proxy, or the framework of the server answered.
_BY_STATUS: dict[int, type[errors.MnemeError]] = {
    400: errors.InvalidInputError,
    401: errors.ForbiddenError,
    403: errors.ForbiddenError,
    409: errors.VersionConflictError,
    411: errors.InvalidInputError,
    412: errors.VersionConflictError,
    413: errors.InvalidInputError,
    415: errors.InvalidInputError,
    422: errors.InvalidInputError,
    507: errors.StoreFullError,
}


def error_of(answer: Answer) -> errors.MnemeError:
    """The error that an answer stands for.

    Values that the library's error carries (`cube_id`, `actual`, ...) are there where the server
    says them.
    """
    problem = _problem(answer)
    named = getattr(errors, str(problem.get("error")), None)
    if not (isinstance(named, type) and issubclass(named, errors.MnemeError)):
        named = _BY_STATUS.get(answer.status, errors.BackendUnavailableError)
    error = named.__new__(named)  # classes take what they tell of, not its words
    errors.MnemeError.__init__(error, _words(problem, answer.status))
    values = problem.get("values")
    if isinstance(values, dict):
        for name, value in values.items():
            if name.isidentifier() and not name.startswith("_"):
                setattr(error, name, value)
    return error


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _words(problem: dict[str, Any], status: int) -> str:
    detail = problem.get("detail")
    if isinstance(detail, str) and detail:
        return detail
    if detail:
        return f"the server refused it ({status}): {detail!r:.400}"
    return f"the server answered with status {status}; is this the address of a Mneme server?"
