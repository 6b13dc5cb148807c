"""`mneme mcp`: one client on stdin and stdout, which is whoever started the process."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from mneme.govern.permission import ALL, Grant, Principal
from mneme.ingest import checks
from mneme.server.mcp.answering import Door
from mneme.server.mcp.binding import bind
from mneme.server.mcp.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.server.service import Service

_STDIN, _STDOUT, _STDERR = 0, 1, 2


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
    with _wire() as (incoming, outgoing):
        anyio.run(_serve, door, incoming, outgoing)


async def _serve(door: Door, incoming: TextIOWrapper, outgoing: TextIOWrapper) -> None:
    server = bind(door)
    streams = stdio_server(anyio.wrap_file(incoming), anyio.wrap_file(outgoing))
    async with streams as (read, write):
        await server.run(read, write, server.create_initialization_options())


@contextmanager
def _wire() -> Iterator[tuple[TextIOWrapper, TextIOWrapper]]:
    """Stdin and stdout for the protocol alone: what anything else prints goes to stderr.

    The two are never closed: a thread may still wait for a line when the server ends.
    """
    sys.stdout.flush()
    incoming, outgoing = os.dup(_STDIN), os.dup(_STDOUT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield (
            TextIOWrapper(
                os.fdopen(incoming, "rb", closefd=False), encoding="utf-8", errors="replace"
            ),
            TextIOWrapper(os.fdopen(outgoing, "wb", closefd=False), encoding="utf-8"),
        )
    finally:
        sys.stdout.flush()
        os.dup2(incoming, _STDIN)
        os.dup2(outgoing, _STDOUT)
