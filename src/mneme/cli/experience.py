"""Verbs of experience and sleep: learn, advise, consolidate, undo."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import bound

_STDIN = "-"


def learn(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The run as JSON: steps or messages; - for stdin.")
    ],
    outcome: Annotated[
        str, typer.Option("--outcome", "-o", help="success, failure, or a number from 0 to 1.")
    ] = "success",
    task: Annotated[str | None, typer.Option("--task", help="What was to be done.")] = None,
    session: opt.Session = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it ended.")] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Keep a run of an agent, and the procedures and lessons that it teaches."""
    run = _read(file)
    with bound(store, namespace) as memory:
        given = opt.given(task=task, session=session, at=at)
        cubes = memory.learn(run, outcome=_outcome(outcome), **given)
        if as_json:
            render.print_json(cubes)
        else:
            render.print_cubes(cubes)


def advise(
    task: Annotated[str, typer.Argument(help="What is to be done, in plain words.")],
    limit: opt.Limit = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", "-b", help="Tokens of the text at most.")
    ] = None,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """What worked and what failed in runs of like tasks, as text for a prompt."""
    with bound(store, namespace) as memory:
        advice = memory.advise(task, **opt.given(limit=limit, budget_tokens=budget_tokens))
        if as_json:
            render.print_json(advice)
        elif advice.text:
            render.say(advice.text)
        else:
            render.say("nothing found", err=True)


def consolidate(
    archive: Annotated[
        bool, typer.Option("--archive", help="Archive what the forgetting curve gives up.")
    ] = False,
    quiet_s: Annotated[
        float | None,
        typer.Option("--quiet-s", help="Seconds after which a session counts as over."),
    ] = None,
    dry_run: opt.DryRun = False,
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Sum up sessions, keep profiles and notes, merge near-repeats; undo turns it back."""
    with bound(store, namespace) as memory:
        given = opt.given(quiet_s=quiet_s)
        _print(memory.consolidate(dry_run=dry_run, archive=archive, **given), as_json=as_json)


def undo(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of a consolidation.")],
    store: opt.Store = None,
    namespace: opt.Namespace = "default",
    as_json: opt.Json = False,
) -> None:
    """Turn a consolidation back."""
    with bound(store, namespace) as memory:
        _print(memory.undo(run_id), as_json=as_json)


def _print(report: object, *, as_json: bool) -> None:
    if as_json:
        render.print_json(report)
    else:
        render.print_record(report)


def _read(file: str) -> Any:  # noqa: ANN401 (JSON)
    try:
        text = sys.stdin.read() if file == _STDIN else _file(file)
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"no JSON: {error}", param_hint="FILE") from error


def _file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from error


def _outcome(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
