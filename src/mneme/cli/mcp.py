"""The verb mcp: let MCP clients, such as Claude Code or VS Code, use the memory."""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.core.errors import InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from mneme import MemoryOS
    from mneme.server.serving import Started

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
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP for clients with a key, not stdio.")
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="With --http: address.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="With --http: port.  [default: 8350]", min=0, max=65535)
    ] = None,
    print_config: Annotated[
        Client | None,
        typer.Option(
            "--print-config",
            metavar="CLIENT",
            help="Print what claude-code, claude-desktop, cursor or vscode wants to read; end.",
        ),
    ] = None,
    store: opt.Store = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Whom the memory belongs to, such as acme/alice; else default.",
        ),
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """Serve the memory to an MCP client on stdin and stdout, or to many over HTTP."""
    if http and read_only:
        raise InvalidInputError(
            "over HTTP a key says what is allowed: `mneme keys add --verb read`"
        )
    if print_config is not None and http:
        _print_reached(print_config, _settings(host, port), tools, namespace)
    elif print_config is not None:
        _print_started(print_config, _options(store, namespace, tools, read_only=read_only))
    elif find_spec("mcp") is None:
        raise MissingDependencyError("mcp", "mcp", "`mneme mcp`")
    elif http:
        _serve_http(store, _settings(host, port), tools, as_json=as_json)
    else:
        _serve_stdio(store, namespace or "default", tools, read_only=read_only)


def _serve_stdio(store: str | None, namespace: str, tools: Kit, *, read_only: bool) -> None:
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


def _serve_http(store: str | None, settings: Any, tools: Kit, *, as_json: bool) -> None:  # noqa: ANN401
    from mneme.server import serving

    def tell(started: Started) -> None:
        url = _endpoint(started.url, tools)
        if as_json:
            render.print_json({"url": url, "key": started.key})
        else:
            render.say(f"Mneme answers MCP at {url}", bold=True)
            if started.key is None:
                render.say("Give a key of this store; `mneme keys add` makes one.")
            else:
                render.say(f"key: {started.key}", fg="green")
                render.say("It is shown this once: keep it. `mneme keys` makes others.")
        sys.stdout.flush()

    serving.serve(store, settings=settings, tell=tell)


def _settings(host: str | None, port: int | None) -> Any:  # noqa: ANN401
    from mneme.server import serving
    from mneme.settings import Settings

    return serving.changed(Settings.from_environment(), serve_host=host, serve_port=port)


def _endpoint(url: str, tools: Kit) -> str:
    return f"{url}/mcp" + (f"?tools={tools}" if tools != "memory" else "")


def _print_started(client: Client, options: list[str]) -> None:
    from mneme.server.mcp import configs

    _print(configs.started(client, [*_command(), "mcp", *options]))


def _print_reached(client: Client, settings: Any, tools: Kit, namespace: str | None) -> None:  # noqa: ANN401
    from mneme.server.mcp import configs

    url = _endpoint(f"http://{settings.serve_host}:{settings.serve_port}", tools)
    _print(configs.reached(client, url, namespace))


def _print(config: dict[str, Any]) -> None:
    typer.echo(json.dumps(config, indent=2))


def _command() -> list[str]:
    """How to call this very installation, from any folder."""
    beside = Path(sys.executable).absolute().with_name("mneme")
    return [str(beside)] if beside.exists() else [str(Path(sys.executable)), "-m", "mneme"]


def _options(store: str | None, namespace: str | None, tools: Kit, *, read_only: bool) -> list[str]:
    """The options of the call, so that a client that starts in another folder means the same."""
    from mneme.settings import Settings

    target = store or Settings.from_environment().target
    options = ["--store", str(Path(target).expanduser().absolute())] if target else []
    options += ["--namespace", namespace or "default"]
    options += ["--tools", tools] if tools != "memory" else []
    return [*options, "--read-only"] if read_only else options
