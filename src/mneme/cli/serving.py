"""The verb `serve`: the doors of a memory, for programs and for people with a browser."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import progress_bar

if TYPE_CHECKING:
    from mneme import MemoryOS
    from mneme.server.serving import Started

SAMPLE_NAMESPACE = "demo"
_KEY_FILE = "first.key"


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0: any free one.  [default: 8350]", min=0, max=65535)
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Processes that answer; 0: one a core, 4 at most.  [default: 0]", min=0),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="FOLDER", help="A model that answers chats (extra local)."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="Write the first key here, for you alone to read, and do not print it.",
        ),
    ] = None,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Serve a sample conversation in the namespace 'demo', in a store of its own.",
        ),
    ] = False,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="A line for each request.")
    ] = True,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Answer HTTP, MCP and browsers until Ctrl-C; print the address, and the first key once."""
    from mneme.server import serving
    from mneme.server.child import log_to_stderr
    from mneme.settings import Settings

    settings = serving.changed(
        Settings.from_environment(),
        serve_host=host,
        serve_port=port,
        serve_processes=processes,
        serve_model=model,
    )
    log_to_stderr(access_log=access_log)
    place = _sample_folder(store) if sample else store
    kept = Path(place) / _KEY_FILE if sample and place and key_file is None else key_file
    serving.serve(
        place,
        settings=settings,
        key_file=kept,
        prepare=_import_sample if sample else lambda _memory: None,
        tell=lambda started: _tell(started, shown=sample or key_file is None, as_json=as_json),
    )


def _tell(started: Started, *, shown: bool, as_json: bool) -> None:
    """The address and, if the caller may see it here, the key."""
    key = started.key if shown else None
    if as_json:
        place = None if started.key_file is None else str(started.key_file)
        render.print_json({"url": started.url, "key": key, "key_file": place})
    else:
        render.say(f"Mneme listens on {started.url}", bold=True)
        _tell_key(started, key)
        render.say("Ctrl-C ends it.", dim=True)
    sys.stdout.flush()


def _tell_key(started: Started, key: str | None) -> None:
    if key is not None and started.key_file is None:
        render.say(f"key: {key}", fg="green")
        render.say("It is shown this once: keep it. `mneme keys` makes others.")
    elif key is not None:
        render.say(f"key: {key}", fg="green")
        render.say(f"It is kept in {started.key_file}.", dim=True)
    elif started.key is not None:
        render.say(f"key: in {started.key_file}")
    else:
        render.say("Give a key of this store; `mneme keys add` makes one.")


def _sample_folder(store: str | None) -> str:
    """Where the sample is kept between runs."""
    if store is not None:
        return store
    import platformdirs

    return str(platformdirs.user_data_path("mneme") / "sample")


def _import_sample(memory: MemoryOS) -> None:
    """Import the conversation, unless the store holds it already."""
    with resources.as_file(resources.files("mneme.cli") / "sample") as folder:
        source = folder / "conversation.jsonl"
        with progress_bar(f"importing {source.name}", quiet=False) as progress:
            memory.namespace(SAMPLE_NAMESPACE).import_(source, progress=progress)
