"""`mneme mcp`: one client on stdin and stdout, which is whoever started the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from mneme.govern.permission import ALL, Grant, Principal
from mneme.ingest import checks
from mneme.server.mcp.answering import Door
from mneme.server.mcp.binding import bind
from mneme.server.mcp.caller import Caller

if TYPE_CHECKING:
    from mneme.server.service import Service


def local_principal(name: str, namespace: str, *, read_only: bool = False) -> Principal:
    """Who started the process: all verbs on one namespace, and nothing of another."""
    path = checks.namespace_of(namespace)
    verbs = ("read",) if read_only else (ALL,)
    return Principal(id="local", name=name, grants=(Grant(namespaces=(path,), verbs=verbs),))


def serve_stdio(service: Service, principal: Principal, *, kit: str = "memory") -> None:
    """Answer on stdin and stdout until stdin ends.

    Args:
        service: The way to namespaces.
        principal: Whom every request is answered for.
        kit: "memory" or "reference".
    """
    door = Door(Caller(service=service, principal=principal), kit)
    anyio.run(_serve, door)


async def _serve(door: Door) -> None:
    server = bind(door)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
