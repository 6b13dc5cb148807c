"""The verb `bench`: how much of the evidence is found in a file of questions; or what memory saves.

The second, `bench ttft`, is in ttft.py.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.questions import Corpus, Question, read_corpora
from mneme.cli.scores import DEPTH, mean_rows, percentile, score_sessions, score_turns
from mneme.cli.store import opened, progress_bar
from mneme.cli.ttft import bench_ttft

if TYPE_CHECKING:
    from mneme import Namespace
    from mneme.cli.scores import Row
    from mneme.cli.store import Progress
    from mneme.recall.context import Hit

_TTFT = Path("ttft")
_SHOWN = ("r@1", "r@5", "r@10", "r@20", "any@10", "ndcg@10", "S_all@5", "S_all@10")


@dataclass(slots=True)
class _Run:
    """What was measured so far."""

    rows: list[tuple[str, Row]] = field(default_factory=list)
    turns: int = 0
    add_s: float = 0.0
    search_ms: list[float] = field(default_factory=list)


def bench(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="LoCoMo or LongMemEval JSON (or .gz); or [bold]ttft[/bold], to measure the time "
            "to the first token with --model.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FOLDER", help="With ttft: of a model (extra local)."),
    ] = None,
    mode: Annotated[str, typer.Option(help="hybrid, lexical or dense.")] = "hybrid",
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only so many conversations or haystacks.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="Keep the store here.  [default: a temporary one]")
    ] = None,
    namespace: opt.Namespace = "bench",
    as_json: opt.Json = False,
) -> None:
    """Import a file of questions with evidence, search, and print how much was found.

    The ranking was fitted on parts of LoCoMo, LongMemEval and BEAM: on files that hold those parts
    the figures are higher than they would be on others.

    With ttft in place of the file: print how much of the time to the first token is saved by keys
    and values that were kept, with your model on your machine, and after how many uses that pays.
    """
    if file == _TTFT:
        bench_ttft(model, as_json=as_json)
        return
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {str(file)!r}", param_hint="FILE")
    corpora = read_corpora(file)[:limit]
    with (
        tempfile.TemporaryDirectory(prefix="mneme-bench-") as folder,
        progress_bar(f"{file.name}: questions", quiet=as_json) as progress,
    ):
        run = _measure(corpora, (store or folder, namespace), mode, progress)
    report = _report(file.name, mode, corpora, run)
    if as_json:
        render.print_json(report)
    else:
        _print_table(report)


def _measure(
    corpora: list[Corpus], place: tuple[str, str], mode: str, progress: Progress | None
) -> _Run:
    """Add each corpus to a namespace of its own and ask its questions there."""
    run = _Run()
    total = sum(len(corpus.questions) for corpus in corpora)
    with opened(place[0]) as memory:
        for number, corpus in enumerate(corpora, start=1):
            space = memory.namespace(f"{place[1]}/{number}")
            start = perf_counter()
            refs = _add(space, corpus)
            memory.drain()
            run.add_s += perf_counter() - start
            run.turns += len(corpus.turns)
            for question in corpus.questions:
                _ask(space, question, refs, mode, run)
                if progress:
                    progress(len(run.rows), total)
    return run


def _add(space: Namespace, corpus: Corpus) -> dict[str, str]:
    """Add the turns; the name in the file of each cube."""
    items = [
        opt.given(
            content=turn.text,
            role=turn.role,
            speaker=turn.speaker,
            session=turn.session,
            at=turn.at,
            metadata={"ref": turn.ref},
        )
        for turn in corpus.turns
        if turn.text.strip()
    ]
    space.add_many(items)
    refs: dict[str, str] = {}
    cursor = None
    while True:
        page = space.list(limit=1000, cursor=cursor)
        refs |= {cube.id: cube.metadata["ref"] for cube in page.items if "ref" in cube.metadata}
        cursor = page.next_cursor
        if cursor is None:
            return refs


def _ask(space: Namespace, question: Question, refs: dict[str, str], mode: str, run: _Run) -> None:
    """Search for one question and score what came."""
    start = perf_counter()
    hits = space.search(question.text, limit=DEPTH, mode=mode, **opt.given(now=question.now))
    run.search_ms.append(1000 * (perf_counter() - start))
    row: Row = {}
    if question.evidence:
        row |= score_turns(_named(hits, refs), question.evidence)
    if question.sessions:
        row |= score_sessions((hit.cube.session for hit in hits), question.sessions)
    run.rows.append((question.category, row))


def _named(hits: list[Hit], refs: dict[str, str]) -> list[str]:
    """The turns that were found, each once; a derived cube counts as what it came from."""
    found: dict[str, None] = {}
    for hit in hits:
        origins = [hit.cube.id, *(span.cube_id for span in hit.cube.provenance.sources)]
        found |= {refs[origin]: None for origin in origins if origin in refs}
    return list(found)


def _report(name: str, mode: str, corpora: list[Corpus], run: _Run) -> dict[str, Any]:
    """All figures, for programs and people."""
    categories = sorted({category for category, _ in run.rows})
    return {
        "file": name,
        "mode": mode,
        "corpora": len(corpora),
        "turns": run.turns,
        "questions": len(run.rows),
        "all": mean_rows([row for _, row in run.rows]),
        "by_category": {
            category: {"questions": sum(found == category for found, _ in run.rows)}
            | mean_rows([row for found, row in run.rows if found == category])
            for category in categories
        },
        "speed": {
            "add_turns_per_s": run.turns / run.add_s if run.add_s else 0.0,
            "search_ms_p50": percentile(run.search_ms, 0.5),
            "search_ms_p95": percentile(run.search_ms, 0.95),
        },
    }


def _print_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = [name for name in _SHOWN if name in report["all"]]
    table = Table("category", "questions")
    for name in shown:
        table.add_column(name, justify="right")
    rows = report["by_category"] | {"all": {"questions": report["questions"]} | report["all"]}
    for category, row in rows.items():
        figures = (f"{row[name]:.1f}" if name in row else "" for name in shown)
        table.add_row(category, str(row["questions"]), *figures, end_section=category == "all")
    Console(width=None if Console().is_terminal else 120).print(table)
    speed = report["speed"]
    render.say(
        f"{report['turns']} turns in {report['corpora']} namespaces, mode {report['mode']}: "
        f"added {speed['add_turns_per_s']:.0f} a second; a search takes "
        f"{speed['search_ms_p50']:.1f} ms (median), {speed['search_ms_p95']:.1f} ms (p95)"
    )
