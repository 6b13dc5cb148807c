"""Bytes to the client as they come, and an end of all work when the client leaves."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from starlette.types import Receive, Scope, Send

    RawHeaders = list[tuple[bytes, bytes]]

_LEFT = 499  # nobody reads it


class CutError(Exception):
    """A stream ends before its end; the client is to see it as a cut."""


async def while_there(receive: Receive, work: Callable[[], Awaitable[Response]]) -> Response:
    """Do work, unless the client leaves before it is done: then it is cancelled.

    Args:
        receive: Of a request whose body was read.
        work: Gives the response.
    """
    made: Response = Response(status_code=_LEFT)
    with _while_there(receive):
        made = await work()
    return made  # noqa: RET504 (the first one, where the client left)


class Passing(Response):
    """A streamed answer whose bytes pass as they come.

    Where `chunks` raises CutError, the connection to the client is broken off: an answer that is
    not whole must not look whole. When the client leaves, `chunks` is closed where it is.

    Args:
        status: Of the answer.
        headers: Names in small letters.
        chunks: The body; closed at the end, whatever happens.
    """

    def __init__(
        self, status: int, headers: RawHeaders, chunks: AsyncGenerator[bytes, None]
    ) -> None:
        self.status_code, self.raw_headers, self.background = status, headers, None
        self._chunks = chunks

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, as long as the client is there."""
        with _while_there(receive):
            await self._send(send)

    async def _send(self, send: Send) -> None:
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except CutError:
            return  # without an end: the server closes the connection
        finally:
            with anyio.CancelScope(shield=True):
                await self._chunks.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextmanager
def _while_there(receive: Receive) -> Iterator[None]:
    """Cancel what is done within when the client leaves; its own errors pass as they are."""
    with anyio.CancelScope() as scope:
        watcher = asyncio.ensure_future(_watch(receive, scope))
        try:
            yield
        finally:
            watcher.cancel()


async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
