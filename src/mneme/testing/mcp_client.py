"""The official SDK's own MCP client, waiting for each answer, for tests of MCP servers.

    with talking(started(sys.executable, "-m", "mneme", "mcp")) as client:
        client.call("search_memory", query="tea")["structuredContent"]

Results are the JSON that travels. It works with releases 1 and 2 of the SDK.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import IO, TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared import exceptions
from mcp.shared._httpx_utils import create_mcp_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from anyio.from_thread import BlockingPortal

ProtocolError: type[Exception] = (
    getattr(exceptions, "MCPError", None) or getattr(exceptions, "McpError")  # noqa: B009
)


class Talk:
    """A session with a server, in which each call waits."""

    def __init__(self, portal: BlockingPortal, session: ClientSession) -> None:
        self.portal, self.session = portal, session
        self.greeting = self.ask("initialize")

    def ask(self, method: str, *given: Any) -> dict[str, Any]:  # noqa: ANN401
        """What a method of the SDK's `ClientSession` gives, as JSON."""
        result = self.portal.call(getattr(self.session, method), *given)
        said: dict[str, Any] = result.model_dump(by_alias=True, exclude_none=True, mode="json")
        return said

    def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The result of a tool."""
        return self.ask("call_tool", tool, arguments)

    def read(self, uri: str) -> list[dict[str, Any]]:
        """What stands at an address."""
        from pydantic import AnyUrl

        needs_url = "AnyUrl" in str(self.session.read_resource.__annotations__["uri"])
        found: list[dict[str, Any]] = self.ask("read_resource", AnyUrl(uri) if needs_url else uri)[
            "contents"
        ]
        return found


@asynccontextmanager
async def started(
    *command: str, env: Mapping[str, str] | None = None, errlog: IO[str] | None = None
) -> AsyncIterator[ClientSession]:
    """A session with a server that is started for it, on stdin and stdout."""
    server = StdioServerParameters(
        command=command[0], args=list(command[1:]), env=dict(env) if env else None
    )
    more: dict[str, Any] = {} if errlog is None else {"errlog": errlog}
    async with stdio_client(server, **more) as streams, ClientSession(*streams) as session:
        yield session


@asynccontextmanager
async def reached(url: str, headers: Mapping[str, str]) -> AsyncIterator[ClientSession]:
    """A session with a server that runs, over streamable HTTP."""
    async with (
        create_mcp_http_client(headers=dict(headers)) as http,
        streamable_http_client(url, http_client=http) as streams,
        ClientSession(*streams[:2]) as session,
    ):
        yield session


@contextmanager
def talking(session: AbstractAsyncContextManager[ClientSession]) -> Iterator[Talk]:
    """The session, for code that does not await."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(session) as opened,
    ):
        yield Talk(portal, opened)
