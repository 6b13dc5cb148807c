"""Verbs that look after a store: stats, verify, audit, drain, rebuild, reindex."""

from __future__ import annotations

from typing import Annotated

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.status import Status
from mneme.cli.store import opened, progress_bar
from mneme.core.plain import plain


def stats(
    store: opt.Store = None, namespace: opt.WholeStore = "", as_json: opt.Json = False
) -> None:
    """Count cubes, bytes and jobs."""
    with opened(store) as memory:
        counted = memory.stats()
        if as_json:
            render.print_json(counted)
        else:
            render.print_record(counted)


def verify(
    audit_head: Annotated[
        str | None, typer.Option(help="A head that you kept: the chain must still contain it.")
    ] = None,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Check rows, indexes, checksums, derivation and the audit chain; status 3 if damaged."""
    with opened(store) as memory:
        report = memory.verify(**opt.given(audit_head=audit_head))
        if as_json:
            render.print_json(render.whole(report))
        else:
            for problem in report.problems:
                render.say(str(problem), fg="red")
            render.say("ok" if report.ok else f"problems: {len(report.problems)}")
    if not report.ok:
        raise typer.Exit(Status.DAMAGED)


def audit(
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Then or later.")] = None,
    head: Annotated[
        bool, typer.Option("--head", help="Only the newest hash of the chain, to keep elsewhere.")
    ] = False,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Show who did what to which cube, oldest first; never what a cube says."""
    with opened(store) as memory:
        if head:
            newest = memory.audit_head()
            if as_json:
                render.print_json({"head": newest})
            else:
                render.say(newest)
            return
        entries = list(memory.audit(**opt.given(since=since)))
        if as_json:
            render.print_json(entries)
            return
        for entry in entries:
            shown = plain(entry)
            render.say("  ".join(str(value) for value in shown.values() if value is not None))


def drain(
    timeout_s: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Run the jobs that are due until none is left."""
    with opened(store) as memory:
        done = memory.drain(**opt.given(timeout_s=timeout_s))
        if as_json:
            render.print_json({"jobs_run": done})
        else:
            render.say(f"jobs run: {done}")


def rebuild(
    store: opt.Store = None, namespace: opt.WholeStore = "", as_json: opt.Json = False
) -> None:
    """Make all indexes anew from the stored rows."""
    with opened(store) as memory, progress_bar("reading", quiet=as_json) as progress:
        memory.rebuild(progress=progress)
    _done("rebuilt", as_json=as_json)


def reindex(
    store: opt.Store = None, namespace: opt.WholeStore = "", as_json: opt.Json = False
) -> None:
    """Make all vectors anew with the embedder of the settings; can be interrupted and resumed."""
    with opened(store) as memory, progress_bar("embedding", quiet=as_json) as progress:
        memory.reindex(progress=progress)
    _done("reindexed", as_json=as_json)


def _done(what: str, *, as_json: bool) -> None:
    if as_json:
        render.print_json({what: True})
    else:
        render.say(what)
