"""The verb mcp: let MCP clients, such as Claude Code or VS Code, use the memory."""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mneme.cli import options as opt
from mneme.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from mneme import MemoryOS

Client = Literal["claude-code", "claude-desktop", "cursor", "vscode"]
Kit = Literal["memory", "reference"]


def mcp(
    tools: Annotated[
        Kit,
        typer.Option(
            help="memory: the eight tools; reference: the nine of the reference memory server."
        ),
    ] = "memory",
    read_only: Annotated[bool, typer.Option("--read-only", help="Offer only what reads.")] = False,
    print_config: Annotated[
        Client | None,
        typer.Option(
            "--print-config",
            metavar="CLIENT",
            help="Print what claude-code, claude-desktop, cursor or vscode wants to read; end.",
        ),
    ] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Serve the memory to an MCP client on stdin and stdout."""
    if print_config is not None:
        _print_config(print_config, _options(store, namespace, tools, read_only=read_only))
        return
    if find_spec("mcp") is None:
        raise MissingDependencyError("mcp", "mcp", "`mneme mcp`")
    import mneme
    from mneme.server.mcp.stdio import local_principal, serve_stdio
    from mneme.server.service import Service
    from mneme.settings import Settings

    settings = Settings.from_environment()
    principal = local_principal(settings.actor, namespace, read_only=read_only)
    with mneme.open(store, settings=settings) as memory:
        _end_on_signals(memory)
        serve_stdio(Service(memory=memory, settings=settings), principal, kit=tools)


def _end_on_signals(memory: MemoryOS) -> None:
    """Let Ctrl-C and SIGTERM end it at once: the thread that waits for a line cannot be woken."""

    def end(number: int, _frame: object) -> None:
        memory.close()
        os._exit(128 + number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def _print_config(client: Client, options: list[str]) -> None:
    from mneme.server.mcp import configs

    typer.echo(json.dumps(configs.started(client, [*_command(), "mcp", *options]), indent=2))


def _command() -> list[str]:
    """How to call this very installation, from any folder."""
    beside = Path(sys.executable).absolute().with_name("mneme")
    return [str(beside)] if beside.exists() else [str(Path(sys.executable)), "-m", "mneme"]


def _options(store: str | None, namespace: str, tools: Kit, *, read_only: bool) -> list[str]:
    """The options of the call, so that a client that starts in another folder means the same."""
    from mneme.settings import Settings

    target = store or Settings.from_environment().target
    options = ["--store", str(Path(target).expanduser().absolute())] if target else []
    options += ["--namespace", namespace]
    options += ["--tools", tools] if tools != "memory" else []
    return [*options, "--read-only"] if read_only else options
