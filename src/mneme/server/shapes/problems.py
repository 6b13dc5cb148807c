"""How OpenAPI describes refusals: one shape, and the statuses that a route may give."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mneme.server.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """A refusal, as RFC 9457 has it; `error` names the error of the library that clients raise."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:mneme:problem:InvalidInputError",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "limit: Input should be less than or equal to 1000",
                    "error": "InvalidInputError",
                }
            ]
        },
    )
    type: str = Field(description="A URN that ends with the name of the error.")
    title: str
    status: int
    detail: str = Field(description="What went wrong, and what to do about it.")
    error: str


_MEANS: Final = {
    400: "The request is no JSON, or no HTTP.",
    401: "No key, or none that is good.",
    403: "The key does not grant this, whether the namespace exists or not.",
    404: "No such memory in this namespace, or no such route.",
    405: "Another method; `Allow` says which.",
    408: "The request took too long to come in.",
    409: "Somebody changed it first, it is frozen or held, or the idempotency key was used.",
    412: "`If-Match` names another version.",
    413: "The request is larger than the server takes.",
    414: "The path with its query is longer than the server takes.",
    421: "The Host is none that this server answers for.",
    422: "A field or a value that this does not take; the detail says which.",
    429: "Too many requests with this key; `Retry-After` says when.",
    431: "Too many headers, or too long ones.",
    500: "An error of the server.",
    501: "A part is not installed.",
    503: "A part outside the server does not answer, or is not set up.",
    504: "The answer took too long.",
    507: "The disk is full; nothing was changed.",
}
EVERYWHERE: Final = (400, 401, 403, 408, 413, 414, 421, 422, 429, 431, 500, 503, 504, 507)
_CHALLENGE: Final = {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}}
_WAIT: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
_HEADERS: Final = {401: _CHALLENGE, 429: _WAIT}


def refusals(*statuses: int) -> Responses:
    """The refusals that a route may give, those of every route included; of none: all there are."""
    chosen = {*statuses, *EVERYWHERE} if statuses else _MEANS
    return {status: _described(status) for status in sorted(chosen)}


def _described(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    described = {"description": _MEANS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
    return described | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
