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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme import Namespace
    from mneme.recall.context import Hit

_SAMPLE = "sample"


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
    store: Annotated[
        str | None, typer.Option("--store", help="Keep the store here.  [default: a temporary one]")
    ] = None,
    namespace: opt.Namespace = "demo",
    as_json: opt.Json = False,
) -> None:
    """Import a conversation, ask it questions, and show what answers them."""
    with ExitStack() as stack:
        place = store or stack.enter_context(tempfile.TemporaryDirectory(prefix="mneme-demo-"))
        sample = resources.files("mneme.cli") / _SAMPLE
        source = file or stack.enter_context(resources.as_file(sample / "conversation.jsonl"))
        memory = stack.enter_context(opened(place)).namespace(namespace)
        report = _import(memory, source, as_json=as_json)
        asked = [{"question": text} for text in ask or []]
        if not asked and file is None:
            asked = json.loads((sample / "questions.json").read_text(encoding="utf-8"))
        answers = [(question, _answer(memory, question, limit)) for question in asked]
        if as_json:
            listed = [question | {"hits": hits} for question, hits in answers]
            render.print_json({"imported": report, "answers": listed})
            return
        for question, hits in answers:
            _show(question, hits)
        if not asked:
            _converse(memory, limit)


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
    for hit in hits:
        cube = hit.cube
        render.say(f"  {render.preview(cube.text)}")
        said = f"{cube.speaker or cube.role}, {render.when(cube.event_at)}, session {cube.session}"
        render.say(f"    {said}  [{cube.id}]", dim=True)
    if not hits:
        render.say("  nothing found")


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
        text = typer.prompt("Ask (empty to leave)", default="", show_default=False).strip()
        if not text:
            return
        yield text
