"""Verbs that read: search, recall, get, list, history, sources, derived, namespaces."""

from __future__ import annotations

from typing import Annotated

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import bound, opened


def search(
    query: opt.Query,
    limit: opt.Limit = None,
    mode: Annotated[str | None, typer.Option(help="hybrid, lexical or dense.")] = None,
    types: opt.Types = None,
    kinds: opt.Kinds = None,
    session: opt.Session = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Happened then or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Happened before then.")] = None,
    now: opt.Now = None,
    valid_at: opt.ValidAt = None,
    as_of: opt.AsOf = None,
    filters: opt.Filters = None,
    min_score: Annotated[float | None, typer.Option(help="Nothing below this score.")] = None,
    include_archived: opt.Archived = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show each signal.")] = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Find memories, best first."""
    arguments = opt.given(
        limit=limit,
        mode=mode,
        types=types,
        kinds=kinds,
        session=session,
        since=since,
        until=until,
        now=now,
        valid_at=valid_at,
        as_of=as_of,
        filters=opt.read_filters(filters),
        min_score=min_score,
    )
    with bound(store, namespace) as memory:
        hits = memory.search(query, include_archived=include_archived, explain=explain, **arguments)
        if as_json:
            render.print_json(hits)
        elif hits:
            render.print_hits(hits)
        else:
            render.say(f"nothing found in namespace {namespace!r}", err=True)


def recall(
    query: opt.Query,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", "-b", help="Tokens that the text may have.")
    ] = None,
    session: opt.Session = None,
    now: opt.Now = None,
    valid_at: opt.ValidAt = None,
    as_of: opt.AsOf = None,
    types: opt.Types = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Make a text for a prompt out of what is known, with citations, within a budget."""
    arguments = opt.given(
        budget_tokens=budget_tokens,
        session=session,
        now=now,
        valid_at=valid_at,
        as_of=as_of,
        types=types,
    )
    with bound(store, namespace) as memory:
        context = memory.recall(query, **arguments)
        if as_json:
            render.print_json(context)
        elif context.text:
            render.say(context.text)
        else:
            render.say(f"nothing found in namespace {namespace!r}", err=True)


def get(
    cube_id: opt.CubeId,
    version: Annotated[int | None, typer.Option(help="An older version.")] = None,
    as_of: opt.AsOf = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Show one cube with its whole header."""
    with bound(store, namespace) as memory:
        cube = memory.get(cube_id, **opt.given(version=version, as_of=as_of))
        if as_json:
            render.print_json(cube)
        else:
            render.print_cube(cube)


def list_(
    types: opt.Types = None,
    kinds: opt.Kinds = None,
    session: opt.Session = None,
    filters: opt.Filters = None,
    limit: opt.Limit = None,
    cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
    include_archived: opt.Archived = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """List cubes, page by page."""
    arguments = opt.given(
        types=types,
        kinds=kinds,
        session=session,
        filters=opt.read_filters(filters),
        limit=limit,
        cursor=cursor,
    )
    with bound(store, namespace) as memory:
        page = memory.list(include_archived=include_archived, **arguments)
        if as_json:
            render.print_json({"items": page.items, "next_cursor": page.next_cursor})
            return
        render.print_cubes(page.items)
        if page.next_cursor:
            render.say(f"more: --cursor {page.next_cursor}", err=True)


def history(
    cube_id: opt.CubeId,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Show all versions of a cube, oldest first."""
    with bound(store, namespace) as memory:
        versions = memory.history(cube_id)
        if as_json:
            render.print_json(versions)
        else:
            render.print_versions(versions)


def sources(
    cube_id: opt.CubeId,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Show what a cube was derived from."""
    with bound(store, namespace) as memory:
        cubes = memory.sources(cube_id)
        if as_json:
            render.print_json(cubes)
        else:
            render.print_cubes(cubes)


def derived(
    cube_id: opt.CubeId,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Show what was derived from a cube."""
    with bound(store, namespace) as memory:
        cubes = memory.derived(cube_id)
        if as_json:
            render.print_json(cubes)
        else:
            render.print_cubes(cubes)


def namespaces(
    prefix: Annotated[str, typer.Argument(help="Only those that begin so.")] = "",
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """List the namespaces that hold a memory."""
    with opened(store) as memory:
        names = memory.namespaces(prefix or namespace)
        if as_json:
            render.print_json(names)
        else:
            for name in names:
                render.say(name)
