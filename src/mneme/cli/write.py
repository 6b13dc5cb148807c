"""Verbs that write: add, update, feedback."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import bound, progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator


def add(
    content: Annotated[str, typer.Argument(help="What to remember; - reads stdin.")],
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="The conversation that it belongs to.")
    ] = None,
    role: Annotated[str | None, typer.Option(help="user, assistant, system or tool.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Name of who said it.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it happened.")] = None,
    type_: Annotated[
        str | None, typer.Option("--type", "-t", help="turn, document, fact, preference, ...")
    ] = None,
    metadata: opt.Metadata = None,
    origin: Annotated[
        str | None, typer.Option(help="user, assistant, tool, document or derived.")
    ] = None,
    labels: opt.Labels = None,
    priority: opt.Priority = None,
    hold: opt.Hold = None,
    expires_at: opt.ExpiresAt = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and content are added once.")
    ] = None,
    infer: Annotated[str | None, typer.Option(help="none, auto or llm: what to derive.")] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="CONTENT is a file of JSON lines (or -), one memory each."),
    ] = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Remember something that was said, or a document, or many of them."""
    arguments = opt.given(
        session=session,
        role=role,
        speaker=speaker,
        at=at,
        type=type_,
        metadata=opt.read_metadata(metadata),
        origin=origin,
        labels=labels,
        priority=priority,
        hold=hold,
        expires_at=expires_at,
        idempotency_key=idempotency_key,
        infer=infer,
    )
    if batch:
        _add_batch(content, arguments, (store, namespace), as_json=as_json)
        return
    text = sys.stdin.read() if content == "-" else content
    with bound(store, namespace) as memory:
        cubes = memory.add(text, **arguments)
        if as_json:
            render.print_json(cubes)
        else:
            render.print_cubes(cubes)


def _add_batch(
    path: str, defaults: dict[str, Any], place: tuple[str | None, str], *, as_json: bool
) -> None:
    """Add each line of a file; what a line says overrides the options."""
    lines = sys.stdin if path == "-" else _open_lines(path)
    with lines, bound(*place) as memory, progress_bar("adding", quiet=as_json) as progress:
        report = memory.add_many(list(_read_items(lines, defaults)), progress=progress)
        if as_json:
            render.print_json(render.whole(report))
            return
        for item in report.refused:
            render.say(f"item {item.number}: {item.error}", err=True, fg="red")
        counts = f"{report.added}, repeated {report.repeated}, refused {len(report.refused)}"
        render.say(f"added {counts}")


def _open_lines(path: str) -> Any:  # noqa: ANN401
    try:
        return Path(path).open(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="CONTENT") from error


def _read_items(lines: Any, defaults: dict[str, Any]) -> Iterator[Any]:  # noqa: ANN401
    """One item for each line that is not blank."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            raise typer.BadParameter(f"line {number} is no JSON: {error}") from error
        fields = item if isinstance(item, dict) else {"content": item}
        yield defaults | fields


def update(
    cube_id: opt.CubeId,
    text: Annotated[str | None, typer.Option(help="The new text; - reads stdin.")] = None,
    metadata: opt.Metadata = None,
    type_: Annotated[str | None, typer.Option("--type", "-t", help="The new type.")] = None,
    valid_from: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when it holds.")
    ] = None,
    valid_to: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until when it holds.")
    ] = None,
    labels: opt.Labels = None,
    priority: opt.Priority = None,
    hold: opt.Hold = None,
    expires_at: opt.ExpiresAt = None,
    expected_version: Annotated[
        int | None, typer.Option(help="Refuse if somebody changed it since this version.")
    ] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Write a new version of a cube; the old ones stay in its history."""
    changes = opt.given(
        text=sys.stdin.read() if text == "-" else text,
        metadata=opt.read_metadata(metadata),
        type=type_,
        valid_from=valid_from,
        valid_to=valid_to,
        labels=labels,
        priority=priority,
        hold=hold,
        expires_at=expires_at,
        expected_version=expected_version,
    )
    with bound(store, namespace) as memory:
        cube = memory.update(cube_id, **changes)
        if as_json:
            render.print_json(cube)
        else:
            render.print_versions([cube])


def feedback(
    cube_ids: opt.CubeIds,
    used: Annotated[
        bool, typer.Option("--used/--not-used", help="Whether they helped.", show_default=False)
    ],
    query: Annotated[
        str | None, typer.Option(help="The question that they were found for.")
    ] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Tell ranking which of the found memories helped, and which did not."""
    with bound(store, namespace) as memory:
        memory.feedback(cube_ids, used=used, **opt.given(query=query))
        if as_json:
            render.print_json({"ids": cube_ids, "used": used})
        else:
            render.say(f"noted for {len(cube_ids)}")
