"""Errors in OpenAI's shape, which is what clients of OpenAI's dialect read.

`{"error": {"message", "type", "param", "code"}}`. What the guard before all doors refuses is
problem+json; on the paths of this door it is said again in this shape, since the `openai` package
shows the message of that one alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

from mneme.server.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS: Final = frozenset({"/v1/chat/completions", "/v1/models"})
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class RefusedError(Exception):
    """A request is answered with an error of our own.

    Args:
        status: Of HTTP.
        message: What is wrong and what to do.
        code: A word for programs.
        param: The field of the request that is meant.
    """

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None) -> None:
        self.status, self.message, self.code, self.param = status, message, code, param
        super().__init__(message)


def type_of(status: int) -> str:
    """OpenAI's word for a kind of error."""
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def shape(status: int, message: str, *, code: str, param: str | None = None) -> dict[str, object]:
    """An error as OpenAI says it."""
    told = {"message": message, "type": type_of(status), "param": param, "code": code}
    return {"error": told}


def answer(error: RefusedError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response that says an error."""
    said = shape(error.status, error.message, code=error.code, param=error.param)
    return JSONResponse(said, error.status, headers=headers)


class OpenAIErrors:
    """Says problems of the guard in OpenAI's shape, on the paths of this door.

    Args:
        app: The guard and all behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on; a problem on the way back is said again."""
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Retold(send).send)


class _Retold:
    """A way back on which problems are said in another shape; all else passes as it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            if headers.get("content-type") == MEDIA_TYPE:
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)
            return
        await self._send(message)

    async def _finish(self, start: Message) -> None:
        body, headers = _retold(start["status"], self._body), MutableHeaders(raw=start["headers"])
        if body is not None:
            headers["content-type"] = "application/json"
            headers["content-length"] = str(len(body))
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body or self._body})


def _retold(status: int, problem: bytes) -> bytes | None:
    """A problem of ours in OpenAI's shape; None: it is somebody else's."""
    try:
        said = json.loads(problem)
        if not str(said["type"]).startswith("urn:mneme:"):
            return None
        told = shape(status, str(said["detail"]), code=str(said["error"]))
    except (ValueError, LookupError, TypeError):
        return None
    return json.dumps(told).encode()
