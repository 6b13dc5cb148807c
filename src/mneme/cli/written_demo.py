"""The verb `demo --written`: what a memory makes of a conversation, with no language model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from mneme import MemCube, MemoryOS, Namespace

_KEPT = ("fact", "preference", "instruction", "event", "profile")
_SHOWN = 4  # of each type


def show_written(memory: MemoryOS, nora: Namespace, sample: Path, *, as_json: bool) -> None:
    """Read what was said, learn, plan and sleep; show what came of it."""
    memory.drain()
    told = json.loads((sample / "written.json").read_text(encoding="utf-8"))
    report = {
        "read": _read(nora),
        "changed": _changed(nora),
        "asked": [_asked(nora, question) for question in told["questions"]],
        "instructions": _texts(nora, "instruction"),
        "experience": _experience(nora, told["runs"], told["advise"]),
        "task": _task(nora, told["task"]),
        "night": _night(nora),
    }
    if as_json:
        render.print_json(report)
        return
    _print(report)


def _read(nora: Namespace) -> dict[str, int]:
    """How many statements were read, by type."""
    counts = {type_: len(_all(nora, type_)) for type_ in _KEPT}
    return {type_: count for type_, count in counts.items() if count}


def _changed(nora: Namespace) -> list[dict[str, Any]]:
    """The facts that hold no longer, with the time in which they held, and what ended them."""
    facts = _all(nora, "fact")
    after = {old: fact for fact in facts for old in fact.metadata.get("supersedes", ())}
    return [{"was": _held(fact), "is": _held(after[fact.id])} for fact in facts if fact.id in after]


def _held(fact: MemCube) -> dict[str, str]:
    return {"text": fact.text, "from": _day(fact.valid_from), "to": _day(fact.valid_to)}


def _asked(nora: Namespace, question: dict[str, str]) -> dict[str, Any]:
    """One question at two times: what held then, and what holds now."""
    text, now = question["question"], question["now"]
    then = nora.search(text, types=["fact"], valid_at=question["then"], limit=1, now=now)
    today = nora.search(text, types=["fact"], limit=1, now=now)
    return {
        "question": text,
        f"on {question['then']}": then[0].cube.text if then else None,
        "now": today[0].cube.text if today else None,
    }


def _experience(nora: Namespace, runs: Sequence[dict[str, Any]], task: str) -> dict[str, Any]:
    """Learn from runs of an agent, and ask for advice on a like task."""
    learned: dict[str, MemCube] = {}
    for run in runs:
        for cube in nora.learn(run["steps"], task=run["task"], outcome=run["outcome"]):
            learned[cube.id] = cube
    kept = [cube for cube in learned.values() if cube.type in {"procedure", "lesson"}]
    return {
        "learned": [f"{cube.type}: {cube.text}" for cube in kept],
        "asked": task,
        "advice": nora.advise(task).text,
    }


def _task(nora: Namespace, told: dict[str, Any]) -> dict[str, str]:
    """A task with steps that wait for one another, and the prompt for the next one."""
    task = nora.task(told["goal"])
    steps: dict[str, Any] = {}
    for step in told["steps"]:
        after = [steps[name] for name in step.get("after", ())]
        parent = steps.get(step.get("parent", ""))
        steps[step["title"]] = task.add_step(step["title"], parent=parent, after=after)
    for title, outputs in told["done"].items():
        task.start(steps[title])
        task.finish(steps[title], outputs=outputs)
    task.start(steps[told["active"]])
    return {"tree": task.tree(), "prompt": task.prompt(budget_tokens=400)}


def _night(nora: Namespace) -> dict[str, Any]:
    """Consolidate, show what came of it, and turn it back."""
    report = nora.consolidate(quiet_s=0)
    profiles, summaries = _texts(nora, "profile"), _texts(nora, "summary")
    notes = _texts(nora, "note")
    undone = nora.undo(report.run_id) if report.run_id else None
    return {
        "done": report.done,
        "a profile": max(profiles, key=len, default=None),
        "a summary": summaries[-1] if summaries else None,
        "a note": notes[0] if notes else None,
        "turned back": undone.turned_back if undone else 0,
    }


def _all(nora: Namespace, type_: str) -> list[MemCube]:
    return list(nora.list(types=[type_], limit=500).items)


def _texts(nora: Namespace, type_: str) -> list[str]:
    return [cube.text for cube in _all(nora, type_)]


def _day(moment: datetime | None) -> str:
    return "today" if moment is None else f"{moment:%Y-%m-%d}"


def _print(report: dict[str, Any]) -> None:
    counts = ", ".join(f"{n} {type_}{'s'[: n != 1]}" for type_, n in report["read"].items())
    _head(f"Read from the conversation by rules alone: {counts}")
    for text in report["instructions"][:_SHOWN]:
        render.say(f"  always: {text}")
    _head("What changed, and when it held")
    for change in report["changed"]:
        for name, fact in change.items():
            render.say(f"  {name:3}  {fact['from']} to {fact['to']}: {fact['text']}")
    for asked in report["asked"]:
        _head(asked.pop("question"))
        for when, answer in asked.items():
            render.say(f"  {when}: {answer}")
    _head("Learned from three runs of an agent")
    for text in report["experience"]["learned"]:
        _say_lines(text)
    _head(f"Advice on: {report['experience']['asked']}")
    _say_lines(report["experience"]["advice"])
    _head("A task, and the prompt for its next step")
    _say_lines(report["task"]["tree"])
    render.say()
    _say_lines(report["task"]["prompt"])
    _head("What the night's consolidation did")
    for name, value in report["night"].items():
        shown = (
            ", ".join(f"{v} {k}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        _say_lines(f"{name}: {shown}")


def _head(text: str) -> None:
    render.say()
    render.say(text, bold=True, fg="cyan")


def _say_lines(text: object) -> None:
    for line in str(text).splitlines():
        render.say(f"  {line}")
