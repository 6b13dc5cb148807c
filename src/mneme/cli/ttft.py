"""`mneme bench ttft`: what memory saves of the time to the first token, on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mneme.cli import render
from mneme.cli.store import progress_bar

if TYPE_CHECKING:
    from mneme.core.engine import Engine
    from mneme.memories.activation.ttft import Row

_REPEATS = 5


def bench_ttft(model: Path | None, *, as_json: bool) -> None:
    """Measure with a model of the user's, and print the saving.

    Raises:
        MissingDependencyError: The extra `local` is not installed.
        InvalidInputError: The folder holds no model, or its window is too small.
    """
    if model is None:
        raise typer.BadParameter("ttft needs the folder of a model", param_hint="--model")
    from mneme import wiring

    engine = wiring.open_engine(model)
    from mneme.memories.activation.ttft import measure_ttft

    with (
        tempfile.TemporaryDirectory(prefix="mneme-bench-") as folder,
        progress_bar(f"{model.name}: time to first token", quiet=as_json) as progress,
    ):
        rows = measure_ttft(
            engine,
            wiring.block_folder(folder),
            repeats=_REPEATS,
            note=lambda done, total: progress(done, total) if progress else None,
        )
    report = _report(model, engine, rows)
    if as_json:
        render.print_json(report)
    else:
        _print_table(report)


def _report(model: Path, engine: Engine, rows: list[Row]) -> dict[str, Any]:
    return {
        "model": str(model),
        "device": engine.device,
        "dtype": engine.fields["dtype"],
        "repeats": _REPEATS,
        "rows": [_figures(row) for row in rows],
    }


def _figures(row: Row) -> dict[str, Any]:
    """Medians, seconds of the clock on the wall."""
    return {
        "memory_tokens": row.memory_tokens,
        "question_tokens": row.question_tokens,
        "prefill_s": row.median("prefill").wall,
        "host_s": row.median("host").wall,
        "disk_s": row.median("disk").wall,
        "saved_from_host": row.saved("host").wall,
        "saved_from_disk": row.saved("disk").wall,
        "build_s": row.median("build").wall,
        "store_s": row.median("store").wall,
        "stored_bytes": row.stored_bytes,
        "break_even_uses": row.break_even()[1],
        "same_first_token": row.same_tokens,
    }


def _print_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = ("memory", "question", "full prefill", "host memory", "disk", "saved", "pays after")
    table = Table()
    for name in names:
        table.add_column(name, justify="right")
    for row in report["rows"]:
        uses = row["break_even_uses"]
        table.add_row(
            f"{row['memory_tokens']}",
            f"{row['question_tokens']}",
            *(f"{1000 * row[name]:.0f} ms" for name in ("prefill_s", "host_s", "disk_s")),
            f"{row['saved_from_disk']:.1%}",
            "never" if uses is None else f"{uses:.1f} uses",
        )
    Console(width=None if Console().is_terminal else 120).print(table)
    same = all(row["same_first_token"] for row in report["rows"])
    render.say(
        f"median time to the first token of {report['repeats']} repeats, {report['dtype']} on "
        f"{report['device']}; saved: from disk against a full prefill; the first token was "
        f"{'always' if same else 'NOT always'} the same"
    )
