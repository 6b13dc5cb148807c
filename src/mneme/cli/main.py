"""The command `mneme`: its verbs, and how errors become words and exit statuses.

Exit statuses: 0 done, 1 not found or refused, 2 wrong usage, 3 store damaged, 4 a part unavailable,
130 interrupted. A MnemeError is one line on stderr (with --json one JSON object), no traceback.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mneme.cli import (
    adapters,
    bench,
    demo,
    doctor,
    engine,
    experience,
    govern,
    health,
    keys,
    mcp,
    read,
    serving,
    structured,
    transfer,
    write,
)
from mneme.cli.status import Status, status_of
from mneme.core.errors import MnemeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # typer does not export it


class Verbs(TyperGroup):
    """The group of all verbs: errors are reported in the form that was asked for."""

    as_json = False

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:  # noqa: ANN401
        self.as_json = "--json" in (sys.argv[1:] if args is None else args)
        try:
            if not self.as_json:
                return super().main(args, *rest, **extra)
            return self._main_in_json(args, *rest, **extra)
        finally:
            _flush_quietly()

    def _main_in_json(self, *arguments: Any, **extra: Any) -> Any:  # noqa: ANN401
        """Run with usage errors reported in JSON too."""
        try:
            status = super().main(*arguments, **extra | {"standalone_mode": False})
        except USAGE_ERROR as error:
            self._report("UsageError", error.format_message(), Status.WRONG_USAGE)
            status = Status.WRONG_USAGE
        except typer.Abort:
            status = Status.REFUSED
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except MnemeError as error:
            status = status_of(error)
            self._report(type(error).__name__, str(error), status)
            raise typer.Exit(status) from error

    def _report(self, name: str, message: str, status: int) -> None:
        from mneme.cli import render

        if self.as_json:
            import json

            report = {"error": name, "message": message, "status": status}
            typer.echo(json.dumps(report), err=True)
        else:
            render.say(f"mneme: {message}", err=True, fg="red")


def _flush_quietly() -> None:
    """Flush stdout; a reader that has gone is no error (as in `mneme list | head -1`)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="A memory for language models and agents: add what was said, find it, forget it.",
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"mneme {version('mneme')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say it, end.")
    ] = False,
) -> None:
    """A memory for language models and agents: add what was said, find it, forget it."""


VERBS: dict[str, dict[str, Callable[..., None]]] = {
    "Write": {"add": write.add, "update": write.update, "feedback": write.feedback},
    "Read": {
        "search": read.search,
        "recall": read.recall,
        "get": read.get,
        "list": read.list_,
        "history": read.history,
        "sources": read.sources,
        "derived": read.derived,
        "namespaces": read.namespaces,
    },
    "Govern": {
        "rollback": govern.rollback,
        "archive": govern.archive,
        "activate": govern.activate,
        "freeze": govern.freeze,
        "unfreeze": govern.unfreeze,
        "forget": govern.forget,
        "restore": govern.restore,
        "erase": govern.erase,
    },
    "Learn and sleep": {
        "learn": experience.learn,
        "advise": experience.advise,
        "consolidate": experience.consolidate,
        "undo": experience.undo,
    },
    "With a model": {
        "chat": engine.chat,
        "promote": engine.promote,
        "demote": engine.demote,
        "prove": engine.prove,
        "route": adapters.route,
        "externalise": adapters.externalise,
        "export-adapter": adapters.export_adapter,
        "import-adapter": adapters.import_adapter,
        "merge-adapters": adapters.merge_adapters,
        "compare-adapters": adapters.compare_adapters,
        "unlearn": adapters.unlearn,
    },
    "Structure": {
        "task": structured.task,
        "step": structured.step,
        "table": structured.table,
        "query": structured.query,
    },
    "Move": {
        "import": transfer.import_,
        "export": transfer.export,
        "snapshot": transfer.snapshot,
    },
    "Look after": {
        "stats": health.stats,
        "doctor": doctor.doctor,
        "verify": health.verify,
        "audit": health.audit,
        "drain": health.drain,
        "rebuild": health.rebuild,
        "reindex": health.reindex,
    },
    "Serve": {"serve": serving.serve, "mcp": mcp.mcp},
    "Try": {"demo": demo.demo, "bench": bench.bench},
}
GROUPS: dict[str, dict[str, typer.Typer]] = {"Serve": {"keys": keys.app}}  # verbs of two words
for _panel, _groups in GROUPS.items():
    for _name, _group in _groups.items():
        app.add_typer(_group, name=_name, rich_help_panel=_panel)
for _panel, _verbs in VERBS.items():
    for _name, _verb in _verbs.items():
        app.command(_name, rich_help_panel=_panel)(_verb)


def main() -> None:
    """The entry point of the command."""
    app(prog_name="mneme")
