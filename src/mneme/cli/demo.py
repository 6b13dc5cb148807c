"""The verb `demo`: import a conversation, ask it questions, show answers with their sources."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.store import opened, progress_bar
from mneme.cli.written_demo import show_written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme import Namespace
    from mneme.recall.context import Hit


def demo(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Your own export; a sample if left out.", exists=True
        ),
    ] = None,
    ask: Annotated[
        list[str] | None, typer.Option("--ask", "-a", help="A question; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="Memories shown for each.")] = 3,
    written: Annotated[
        bool,
        typer.Option("--written", help="Show what the memory makes of the sample by itself."),
    ] = False,
    store: Annotated[
        str | None, typer.Option("--store", help="Keep the store here.  [default: a temporary one]")
    ] = None,
    namespace: opt.Namespace = "demo",
    as_json: opt.Json = False,
) -> None:
    """Import a conversation, ask it questions, and show what answers them."""
    with ExitStack() as stack:
        place = store or stack.enter_context(tempfile.TemporaryDirectory(prefix="mneme-demo-"))
        sample = stack.enter_context(resources.as_file(resources.files("mneme.cli") / "sample"))
        whole = stack.enter_context(opened(place))
        memory = whole.namespace(namespace)
        report = _import(memory, file or sample / "conversation.jsonl", as_json=as_json)
        if written:
            show_written(whole, memory, sample, as_json=as_json)
            return
        asked: list[dict[str, Any]] = [{"question": text} for text in ask or []]
        if not asked and file is None:
            asked = _read_questions(sample)
        answers = [(question, _answer(memory, question, limit)) for question in asked]
        if as_json:
            listed = [question | {"hits": hits} for question, hits in answers]
            render.print_json({"imported": report, "answers": listed})
            return
        for question, hits in answers:
            _show(question, hits)
        _sum_up(answers)
        if not asked:
            _converse(memory, limit)


def _read_questions(sample: Path) -> list[dict[str, Any]]:
    """The sample's questions, each with what the right turns say."""
    lines = (sample / "conversation.jsonl").read_text(encoding="utf-8").splitlines()
    said = {turn["id"]: turn["content"] for turn in map(json.loads, lines)}
    questions = json.loads((sample / "questions.json").read_text(encoding="utf-8"))
    return [
        question | {"right": [said[turn] for turn in question["turns"]]} for question in questions
    ]


def _import(memory: Namespace, source: Path, *, as_json: bool) -> Any:  # noqa: ANN401
    """Import the conversation, unless a kept store holds it already."""
    with progress_bar(f"importing {source.name}", quiet=as_json) as progress:
        report = memory.import_(source, progress=progress)
    if not as_json:
        render.say(f"{source.name} imported", bold=True)
        render.print_record(report, "  ")
    return report


def _answer(memory: Namespace, question: dict[str, Any], limit: int) -> list[Hit]:
    return memory.search(question["question"], limit=limit, now=question.get("now"))


def _show(question: dict[str, Any], hits: list[Hit]) -> None:
    """A question and the memories that answer it, with where they are from."""
    render.say()
    render.say(question["question"], bold=True, fg="cyan")
    if "answer" in question:
        render.say(f"  expected: {question['answer']}", fg="green")
    for hit in hits:
        cube = hit.cube
        mark = "*" if cube.text in question.get("right", ()) else " "
        render.say(f"{mark} {render.preview(cube.text)}")
        said = f"{cube.speaker or cube.role}, {render.when(cube.event_at)}, session {cube.session}"
        render.say(f"    {said}  [{cube.id}]", dim=True)
    if not hits:
        render.say("  nothing found")


def _sum_up(answers: list[tuple[dict[str, Any], list[Hit]]]) -> None:
    """How often the right memory was shown, where that is known."""
    known = [(question["right"], hits) for question, hits in answers if "right" in question]
    if known:
        found = sum(any(hit.cube.text in right for hit in hits) for right, hits in known)
        shown = f"{found} of {len(known)} questions show a memory that answers them (marked *)"
        render.say(f"\n{shown}", bold=True)


def _converse(memory: Namespace, limit: int) -> None:
    """Let a person ask."""
    if not sys.stdin.isatty():
        render.say("\nask it something: mneme demo FILE --ask 'When did I ...?'", err=True)
        return
    for text in _typed_questions():
        question = {"question": text}
        _show(question, _answer(memory, question, limit))


def _typed_questions() -> Iterator[str]:
    """What is typed at the prompt, until an empty line or the end of input."""
    while True:
        render.say()
        try:
            text = typer.prompt("Ask (empty to leave)", default="", show_default=False).strip()
        except typer.Abort:
            return
        if not text:
            return
        yield text
