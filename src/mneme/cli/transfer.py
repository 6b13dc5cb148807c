"""Verbs that move memories: import, export, snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import bound, opened, progress_bar

Target = Annotated[Path, typer.Argument(metavar="PATH", help="The file or folder to write.")]


def import_(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file or folder to read.", exists=True)
    ],
    format_: Annotated[
        str | None,
        typer.Option("--format", help="What it is, where that is not seen from its content."),
    ] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Read an export of Mneme or of another program."""
    with (
        bound(store, namespace) as memory,
        progress_bar(f"importing {path.name}", quiet=as_json) as progress,
    ):
        report = memory.import_(path, progress=progress, **opt.given(format=format_))
        if as_json:
            render.print_json(render.whole(report))
        else:
            render.print_record(report)


def export(
    path: Target,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Write a namespace to one file."""
    with bound(store, namespace) as memory:
        report = memory.export(path)
        if as_json:
            render.print_json({"path": path, "report": report})
        else:
            render.say(f"exported {namespace} to {path}")


def snapshot(
    path: Target,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Write a consistent copy of the whole store, which can be opened."""
    with opened(store) as memory:
        memory.snapshot(path)
        if as_json:
            render.print_json({"path": path})
        else:
            render.say(f"snapshot written to {path}")
