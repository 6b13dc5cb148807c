"""Runs and what is distilled from them as text. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mneme.memories.plaintext.experience.lessons import Lesson
    from mneme.memories.plaintext.experience.steps import Trajectory
    from mneme.memories.plaintext.experience.template import Template

Span = tuple[int, int]


def verbatim(run: Trajectory, outcome: float) -> tuple[str, list[Span]]:
    """The whole run as text, and the characters of each step."""
    lines = [f"Task: {run.task}", f"Outcome: {told(outcome)}"]
    length = sum(len(line) + 1 for line in lines)
    spans = []
    for number, step in enumerate(run.steps, start=1):
        said = [f"Thought: {step.thought}"] if step.thought is not None else []
        said.append(f"Action: {step.said}")
        if step.observation is not None:
            said.append(f"Observation: {step.observation}")
        text = f"{number}. " + "\n   ".join(said)
        spans.append((length, length + len(text)))
        lines.append(text)
        length += len(text) + 1
    return "\n".join(lines), spans


def told(outcome: float) -> str:
    """An outcome in words."""
    return {0.0: "failure", 1.0: "success"}.get(outcome, f"{outcome:g} of 1")


def concrete(task: str, template: Template) -> str:
    """The steps level: what one run did."""
    lines = [f"How this was done: {task}"]
    lines += [f"{n}. {step.action}" for n, step in enumerate(template.steps, start=1)]
    return "\n".join(lines)


def script(template: Template) -> str:
    """The script level: what the runs share, with slots where they vary."""
    lines = [f"How to: {template.task}"]
    numbers: dict[int, int] = {}
    for place, step in enumerate(template.steps, start=1):
        if 2 * step.seen < template.runs:
            continue
        numbers[place] = len(numbers) + 1
        often = "" if step.seen == template.runs else " (usually)"
        lines.append(f"{numbers[place]}. {step.action}{often}")
    for slot, place in sorted(template.origins.items()):
        if place in numbers:
            lines.append(f"{{{slot}}} stood in the result of step {numbers[place]}.")
    return "\n".join(lines)


def lesson(told_of: Lesson) -> str:
    """A failure as a warning."""
    lines = [f"What went wrong: {told_of.task}"]
    lines.append(f"It failed after step {told_of.number}: {told_of.culprit}")
    if told_of.result is not None:
        lines.append(f"Result then: {told_of.result}")
    if told_of.worked:
        lines.append("Before that, this gave no error:")
        lines += [f"{n}. {action}" for n, action in enumerate(told_of.worked, start=1)]
    if told_of.instead is not None:
        lines.append(f"Successes of a like task, {told_of.place} that: {told_of.instead}")
    if told_of.worded is not None:
        lines.append(f"Lesson: {told_of.worded}")
    return "\n".join(lines)
