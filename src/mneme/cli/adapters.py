"""Verbs on adapters: what a model knows by weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.engine import Model, in_process
from mneme.cli.store import opened
from mneme.cli.training import TrainingOf, read_training

Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Of the adapter's files.")]


def route(
    question: Annotated[list[str], typer.Argument(help="What would be asked.")],
    model: Model = "",
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Say which facts in weights a question would be answered by, or why none."""
    with in_process(store, model) as (memory, engine):
        found = memory.namespace(namespace).route(" ".join(question), engine=engine)
    matches = [
        {"shard": m.shard, "fact": m.entry.fact.text, "clause": m.clause} for m in found.matches
    ]
    if as_json:
        render.print_json({"covered": found.covered, "reason": found.reason, "matches": matches})
        return
    render.say(f"{'by weights' if found.covered else 'by text'}: {found.reason}")
    for each in matches:
        render.say(f"  {each['shard']}: {each['fact']}")


def externalise(
    cube_id: opt.CubeId,
    model: Model = "",
    question: Annotated[
        list[str] | None, typer.Option("--question", help="Ask this, too; may be repeated.")
    ] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Have an adapter say what it knows; what its ledger does not hold is quarantined."""
    with in_process(store, model) as (memory, engine):
        space = memory.namespace(namespace)
        found = space.externalise(cube_id, engine=engine, questions=question or ())
    if as_json:
        render.print_json(render.whole(found))
        return
    render.say(f"{len(found.verified)} verified, {len(found.quarantined)} quarantined")
    for claim in found.verified:
        render.say(f"  {claim.text}")
    for claim in found.quarantined:
        render.say(f"  not admitted: {claim.text}")


def export_adapter(
    cube_id: opt.CubeId,
    folder: Folder,
    version: Annotated[int | None, typer.Option("--version", help="An older version.")] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Write an adapter to a new folder that peft opens, with the facts that it was made of."""
    with opened(store) as memory:
        path = memory.namespace(namespace).export_adapter(cube_id, folder, version=version)
    if as_json:
        render.print_json({"folder": str(path)})
        return
    render.say(f"written to {path}")


def import_adapter(
    folder: Folder,
    model: Model = "",
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Take in a foreign adapter: untrusted, without a ledger, used on request alone."""
    with in_process(store, model) as (memory, engine):
        cube = memory.namespace(namespace).import_adapter(folder, engine=engine)
    _said(cube, as_json=as_json)


def merge_adapters(
    ids: opt.CubeIds,
    model: Model = "",
    how: Annotated[str, typer.Option(help="svd, ties_svd or cat.")] = "ties_svd",
    training: TrainingOf = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Make one adapter of several, if the merged one passes the gate; the parts are archived."""
    with in_process(store, model) as (memory, engine):
        cube = memory.namespace(namespace).merge_adapters(
            ids, engine=engine, how=how, training=read_training(training)
        )
    _said(cube, as_json=as_json)


def compare_adapters(
    cube_id: opt.CubeId,
    first: Annotated[int, typer.Argument(help="A version.")],
    second: Annotated[int, typer.Argument(help="A later one.")],
    model: Model = "",
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Say what is otherwise in a later version: facts, weights, proof."""
    with in_process(store, model) as (memory, engine):
        found = memory.namespace(namespace).compare_adapters(cube_id, first, second, engine=engine)
    if as_json:
        render.print_json(render.whole(found))
        return
    render.say(str(found))


def unlearn(
    cube_id: opt.CubeId,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help='JSON: {"forget": [{"prompt", "answer"}], "retain": [...]}.'
        ),
    ],
    model: Model = "",
    method: Annotated[str, typer.Option(help="projection, ascent or ssd.")] = "projection",
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Weaken what a foreign adapter says: approximate. Own facts are erased exactly, by erase."""
    said = _lessons_in(file)
    with in_process(store, model) as (memory, engine):
        cube = memory.namespace(namespace).unlearn(
            cube_id, said.get("forget", ()), engine=engine, retain=said.get("retain", ()),
            method=method,
        )  # fmt: skip
    _said(cube, as_json=as_json)


def _lessons_in(file: str) -> dict[str, Any]:
    try:
        said = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="FILE") from error
    if not isinstance(said, dict):
        raise typer.BadParameter(f"{file} holds no JSON object", param_hint="FILE")
    return said


def _said(cube: Any, *, as_json: bool) -> None:  # noqa: ANN401
    if as_json:
        render.print_json({"id": cube.id, "version": cube.version, **cube.metadata})
        return
    render.say(f"{cube.id} v{cube.version}: {render.payload(cube)}")
