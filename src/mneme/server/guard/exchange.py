"""One request and its answer: limits of size and time, headers of every answer, and a log line.

What has begun in the memory is never broken off: an answer that takes too long is given up, and the
call behind it ends by itself. A stream that has begun may go on for as long as it is read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from mneme.server.guard.hosts import CLOSE
from mneme.server.guard.keys import OPEN_FOLDER
from mneme.server.problems import problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("mneme.access")

PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, forms of our own pages lose their Origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_DRAIN_BYTES: Final = 16 << 20
_DRAIN_S: Final = 1.0
_GONE: Final[Message] = {"type": "http.disconnect"}


class Exchange:
    """What lies between the server and a door, for one request.

    Args:
        scope: Of the request.
        receive: Of the server.
        send: Of the server.
        body_bytes: Limit of the request's body.
        timeout_s: How long the body may take to come, and then the answer to begin.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, body_bytes: int, timeout_s: float
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._most, self._timeout_s = body_bytes, timeout_s
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer = self._loop.call_later(timeout_s, self._late)
        self._answering: asyncio.Task[None] | None = None
        self._came_bytes, self._whole, self._waits = 0, False, False
        self._started, self._cut = False, False
        self._status = 0
        self.extra: list[tuple[bytes, bytes]] = []  # headers that the answer gets as well

    async def run(self, app: ASGIApp) -> None:
        """Let a door answer."""
        try:
            await app(self._scope, self.receive, self.send)
        except ClientDisconnect:
            if not self._cut:
                raise
        finally:
            self._timer.cancel()
            if self._answering is not None:
                await self._answering
            self._tell()

    async def refuse(self, response: Response) -> None:
        """Answer in place of a door."""
        await self.run(response)

    def is_too_long(self, content_length: str | None) -> bool:
        """Whether a request says of itself that it is longer than may be."""
        return content_length is not None and (
            not content_length.isdecimal() or int(content_length[:20]) > self._most
        )

    async def refuse_long(self, *, waits: bool) -> None:
        """Refuse a request that is too long; `waits`: the client has not begun to send it."""
        if not waits:
            await self._drain()
        await self.run(self._too_long())

    async def receive(self) -> Message:
        """What comes, until it is too much."""
        if self._cut:
            return _GONE
        self._waits = True
        message = await self._receive()
        self._waits = False
        if self._whole or message["type"] != "http.request":
            return message
        self._came_bytes += len(message.get("body", b""))
        if self._came_bytes > self._most:
            await self._drain()
            await self._instead(self._too_long())
            return _GONE
        if not message.get("more_body", False):
            self._whole = True
            self._timer.cancel()
            self._timer = self._loop.call_later(self._timeout_s, self._late)
        return message

    async def send(self, message: Message) -> None:
        """What goes, unless something else was answered already."""
        if self._cut:
            return
        if message["type"] == "http.response.start":
            self._start(message)
        await self._send(message)

    def _start(self, message: Message) -> None:
        self._timer.cancel()
        self._started, self._status = True, message["status"]
        message["headers"] = [*message.get("headers", []), *self.extra]
        headers = MutableHeaders(scope=message)
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        kept = self._scope["path"].startswith(OPEN_FOLDER)
        headers.setdefault("Cache-Control", "no-cache" if kept else "no-store")

    def _late(self) -> None:
        """Time is up: for the request to come, or for the answer."""
        if self._started or self._cut:
            return
        if self._waits and not self._whole:
            late = problem(
                408,
                f"the request did not come in whole within {self._timeout_s:g} seconds",
                headers=CLOSE,
            )
        else:
            late = problem(
                504,
                f"there was no answer within {self._timeout_s:g} seconds; what was asked for may "
                "still be done: look, or ask again with the same idempotency key",
            )
        self._answering = self._loop.create_task(self._instead(late))

    async def _instead(self, response: Response) -> None:
        """Answer now; what the door says from here on goes nowhere."""
        if self._started or self._cut:
            return
        self._cut = True
        await response(self._scope, self._receive, self._send_ours)

    async def _send_ours(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
        await self._send(message)

    async def _drain(self) -> None:
        """Let the rest come for a moment: clients read no answer before they have sent all."""
        self._timer.cancel()
        bytes_left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_S):
                while bytes_left > 0:
                    message = await self._receive()
                    bytes_left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            return

    def _too_long(self) -> Response:
        return problem(
            413,
            f"a request may have {self._most} bytes; send less at once, or raise "
            "MNEME_SERVE_BODY_BYTES",
            headers=CLOSE,
        )

    def _tell(self) -> None:
        """One line: no query, no names of things, no content; the route, not the path."""
        if not log.isEnabledFor(logging.INFO):
            return
        principal = self._scope.get("principal")
        log.info(
            "%s %s %s %d %.1f ms",
            "-" if principal is None else principal.id,
            self._scope["method"] if self._scope["method"].isalpha() else "-",
            getattr(self._scope.get("route"), "path", "-"),
            self._status,
            (self._loop.time() - self._began) * 1000,
        )
