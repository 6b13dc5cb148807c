"""Errors as `application/problem+json` (RFC 9457): a type, a status, and what to do about it.

The extension member `error` names the error of `mneme.core.errors`, so that clients raise the same.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from mneme.core import errors
from mneme.core.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"

# The first class that an error is an instance of decides.
STATUSES: Final[tuple[tuple[type[errors.MnemeError], int], ...]] = (
    (errors.CubeNotFoundError, 404),
    (errors.VersionConflictError, 409),
    (errors.FrozenCubeError, 409),
    (errors.LifecycleError, 409),
    (errors.IdempotencyConflictError, 409),
    (errors.GateFailedError, 409),
    (errors.InvalidInputError, 422),
    (errors.ImportRefusedError, 422),
    (errors.ForbiddenError, 403),
    (errors.StoreFullError, 507),
    (errors.StoreCorruptError, 500),
    (errors.BackendUnavailableError, 503),
    (errors.MissingDependencyError, 501),
    (errors.MnemeError, 500),
)


def status_of(error: errors.MnemeError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


class _Ascii(JSONResponse):
    """JSON that can say every text, half of a pair of surrogates too."""

    def render(self, content: object) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode()


def problem(
    status: int,
    detail: str,
    *,
    error: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,  # noqa: ANN401 (JSON)
) -> JSONResponse:
    """A response that says what went wrong."""
    title = HTTPStatus(status).phrase
    named = error or title.title().replace(" ", "").replace("-", "")
    body = {
        "type": f"urn:mneme:problem:{named}",
        "title": title,
        "status": status,
        "detail": detail,
        "error": named,
        **more,
    }
    return _Ascii(body, status, headers=headers, media_type=MEDIA_TYPE)


async def answer_error(_request: Request, error: Exception) -> JSONResponse:
    """What a client sees of an error of Mneme."""
    assert isinstance(error, errors.MnemeError)
    return problem_of(error)


def problem_of(error: errors.MnemeError) -> JSONResponse:
    """An error of Mneme as a problem."""
    values = {name: plain(value) for name, value in vars(error).items() if name != "message"}
    more = {"values": values} if values else {}  # what the error carries: a client's carries it too
    return problem(status_of(error), str(error), error=type(error).__name__, **more)
