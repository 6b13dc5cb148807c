"""What FastAPI refuses by itself, as problems: bad bodies, unknown routes, wrong methods.

Nothing of what was sent is repeated, save the names of fields.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from mneme.core.errors import InvalidInputError, MnemeError
from mneme.server.problems import answer_error, problem

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TYPE: Final = re.compile(
    r"[A-Z]|(bool|int|float|str|dict|list|none)$|(function|constrained|lax|json)-|.*\[", re.DOTALL
)
_MOST: Final = 3  # faults that one answer names
_SAYS: Final = {
    400: "the body is not JSON that can be read",
    404: "there is no such route; GET /openapi.json names those that there are",
    405: "this route does not take this method; Allow names those that it takes",
    413: "the request is larger than this server takes",
}


def add_refusals(app: FastAPI) -> None:
    """Have every refusal be a problem."""
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_fault)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = sorted(error.errors(), key=lambda fault: -len(fault["loc"]))
    if faults[0]["type"] == "json_invalid":
        return problem(400, _SAYS[400], error=InvalidInputError.__name__)
    for fault in faults:
        raised = fault.get("ctx", {}).get("error")
        if isinstance(raised, MnemeError):
            return await answer_error(request, raised)
    deepest = [fault for fault in faults if len(fault["loc"]) == len(faults[0]["loc"])]
    said = "; ".join(dict.fromkeys(_in_words(fault) for fault in deepest[:_MOST]))
    return problem(422, said, error=InvalidInputError.__name__)


def _in_words(fault: dict[str, Any]) -> str:
    """One fault: where, and what is wanted there."""
    place, *names = fault["loc"]
    if fault["type"] in {"model_attributes_type", "dict_type"} and not names:
        return "the body takes a JSON object, sent as application/json"
    if fault["type"] == "missing":
        return f"{names[-1] if names else 'the body'} is missing"
    if fault["type"] == "string_pattern_mismatch":
        return f"{_path(names)}: is empty, or holds a character that it does not take"
    if fault["type"] == "extra_forbidden":
        return f"{_path(names[:-1]) or place} has no field {str(names[-1])!r:.80}"
    return f"{_path(names) or place}: {fault['msg'].removeprefix('Value error, ')}"


def _path(names: list[Any]) -> str:
    """The place of a fault, without the names of types that were tried there."""
    plain = [str(name) for name in names if not _TYPE.match(str(name))]
    return ".".join(plain)[:200]


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    headers = dict(error.headers or {})
    if status == 405:
        headers["Allow"] = ", ".join(_taken(request))
    named = InvalidInputError.__name__ if status == 400 else None
    return problem(status, _SAYS.get(status, error.detail), error=named, headers=headers)


def _taken(request: Request) -> list[str]:
    """The methods that some route takes on this path."""

    def takes(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] == Match.FULL for route in request.app.router.routes)

    return [method for method in _METHODS if takes(method)]


async def _answer_fault(_request: Request, _error: Exception) -> Response:
    """An error that nobody foresaw: it is logged, and nothing of it is told."""
    return problem(500, "an error of the server; its log says more")
