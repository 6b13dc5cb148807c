"""Verbs that govern a cube's life: rollback, archive, freeze, forget, erase and their inverses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme import Namespace
    from mneme.core.cube import MemCube

_PAGE = 500


def rollback(
    cube_id: opt.CubeId,
    to_version: Annotated[int, typer.Option("--to-version", "-v", help="The version to copy.")],
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Write a new version that says what an older one said."""
    with bound(store, namespace) as memory:
        cube = memory.rollback(cube_id, to_version=to_version)
        if as_json:
            render.print_json(cube)
        else:
            render.print_versions([cube])


def archive(
    cube_ids: opt.CubeIds,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Take cubes out of default search."""
    with bound(store, namespace) as memory:
        _change(memory.archive, cube_ids, as_json=as_json)


def activate(
    cube_ids: opt.CubeIds,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Bring archived cubes back into default search."""
    with bound(store, namespace) as memory:
        _change(memory.activate, cube_ids, as_json=as_json)


def freeze(
    cube_ids: opt.CubeIds,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Make cubes refuse updates."""
    with bound(store, namespace) as memory:
        _change(memory.freeze, cube_ids, as_json=as_json)


def unfreeze(
    cube_ids: opt.CubeIds,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Make frozen cubes take updates again."""
    with bound(store, namespace) as memory:
        _change(memory.unfreeze, cube_ids, as_json=as_json)


def restore(
    cube_ids: opt.CubeIds,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Bring forgotten cubes back."""
    with bound(store, namespace) as memory:
        _change(memory.restore, cube_ids, as_json=as_json)


def _change(verb: Callable[[str], MemCube], cube_ids: list[str], *, as_json: bool) -> None:
    """Apply a verb to each cube and show the new versions."""
    cubes = [verb(cube_id) for cube_id in cube_ids]
    if as_json:
        render.print_json(cubes)
    else:
        render.print_cubes(cubes)


def forget(
    cube_ids: opt.Targets = None,
    filters: opt.Filters = None,
    dry_run: opt.DryRun = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Hide cubes from every read; restore undoes it."""
    target, wanted = _one_of(cube_ids, filters)
    with bound(store, namespace) as memory:
        if dry_run:
            _show_targets(_targets(memory, target, wanted), "forget", as_json=as_json)
            return
        hidden = memory.forget(target, filters=wanted)
        if as_json:
            render.print_json({"forgotten": hidden})
        else:
            render.say(f"forgotten: {hidden}")


def erase(
    cube_ids: opt.Targets = None,
    filters: opt.Filters = None,
    reason: Annotated[str | None, typer.Option(help="Kept with the receipt.")] = None,
    dry_run: opt.DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Remove cubes, and what derives from them, for good; print the receipt."""
    target, wanted = _one_of(cube_ids, filters)
    with bound(store, namespace) as memory:
        if dry_run:
            would = memory.preview_erase(target, filters=wanted)
            _show_targets(would, "erase", as_json=as_json)
            return
        if not (yes or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
            typer.confirm("Erased memories cannot be brought back. Go on?", abort=True)
        receipt = memory.erase(target, filters=wanted, **opt.given(reason=reason))
        if as_json:
            render.print_json(render.whole(receipt))
        else:
            render.print_record(receipt)


def _one_of(
    cube_ids: list[str] | None, filters: list[str] | None
) -> tuple[list[str] | None, dict[str, object] | None]:
    """Ids or filters, one of the two."""
    if bool(cube_ids) == bool(filters):
        raise typer.BadParameter("give either ids or --filter", param_hint="ID...")
    return cube_ids or None, opt.read_filters(filters)


def _targets(
    memory: Namespace, target: list[str] | None, filters: dict[str, object] | None
) -> list[MemCube]:
    """The cubes that a verb would reach."""
    if target is not None:
        return [memory.get(cube_id) for cube_id in target]
    found: list[MemCube] = []
    cursor = None
    while True:
        page = memory.list(filters=filters, limit=_PAGE, cursor=cursor, include_archived=True)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def _show_targets(cubes: list[MemCube], verb: str, *, as_json: bool) -> None:
    if as_json:
        render.print_json({"dry_run": True, "verb": verb, "would": cubes})
        return
    render.print_cubes(cubes)
    render.say(f"would {verb}: {len(cubes)}", err=True)
