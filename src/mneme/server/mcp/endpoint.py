"""Streamable HTTP at /mcp: each request is answered for the key that it came with.

Sessions are not kept: a request carries all that it needs, so that no session of one principal can
be taken up by another, and any process may answer. Answers are JSON; there is no stream to listen
on, which the protocol lets a server say with 405.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, QueryParams

from mneme.core.errors import MissingDependencyError, MnemeError
from mneme.server.mcp.caller import HEADER, Caller
from mneme.server.problems import problem, status_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mneme.server.service import Service


class McpEndpoint:
    """An ASGI application for one path, behind the guard.

    Args:
        service: The way to namespaces.
        kit: Which tools where the address does not say (`/mcp?tools=reference`).
    """

    def __init__(self, service: Service, kit: str = "memory") -> None:
        self._service, self._kit = service, kit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of the protocol."""
        if scope["method"] != "POST":
            refused = problem(405, "this endpoint takes POST alone", headers={"Allow": "POST"})
            await refused(scope, receive, send)
            return
        try:
            if find_spec("mcp") is None:
                raise MissingDependencyError("mcp", "mcp", "the MCP door")
            await self._answer(scope, receive, send)
        except MnemeError as error:
            said = problem(status_of(error), str(error), error=type(error).__name__)
            await said(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from mneme.server.mcp.answering import Door
        from mneme.server.mcp.binding import bind

        kit = QueryParams(scope["query_string"]).get("tools", self._kit)
        caller = Caller(
            service=self._service,
            principal=scope["principal"],
            chosen=Headers(scope=scope).get(HEADER.lower()),
        )
        manager = StreamableHTTPSessionManager(
            bind(Door(caller, kit)), json_response=True, stateless=True
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)
