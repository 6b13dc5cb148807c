"""What a failed run teaches: where it failed, and what a success of a like task did instead.

Comparing failures with successes is what ReMe (arXiv:2512.10696) calls comparative insight. Rules
alone: the step after which it failed is the last one whose result says so, else the last one; what
differs is the first step that every success took and this run did not. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mneme.memories.plaintext.experience.steps import Action, action_from_json, text_of
from mneme.memories.plaintext.experience.template import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.memories.plaintext.experience.steps import Trajectory
    from mneme.memories.plaintext.experience.template import Template

_SHOWN_CHARS: Final = 240  # of a result
_KEPT_STEPS: Final = 60  # last steps of a failed run, to compare with later successes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A failure.

    Attributes:
        task: The words of the task.
        steps: The actions up to the failure.
        number: Of the step after which it failed.
        worked: The actions before that one that gave no error.
        result: What came back then, shortened.
        instead: What a success of a like task did, and this run did not.
        place: "before" or "instead of": where that belongs, seen from the step that failed.
        worded: The lesson in the words of a language model, where one was asked.
    """

    task: Action
    steps: tuple[Action, ...]
    number: int
    worked: tuple[Action, ...] = ()
    result: str | None = None
    instead: Action | None = None
    place: str = ""
    worded: str | None = None

    @property
    def culprit(self) -> Action:
        """The action after which it failed."""
        return self.steps[-1]

    def to_json(self) -> dict[str, Any]:
        """As it is kept in metadata."""
        return {
            "task": self.task.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "number": self.number,
            "worked": [step.to_json() for step in self.worked],
            "result": self.result,
            "instead": None if self.instead is None else self.instead.to_json(),
            "place": self.place,
            "worded": self.worded,
        }


def lesson_from_json(value: Mapping[str, Any]) -> Lesson:
    """The lesson that `Lesson.to_json` wrote."""
    return Lesson(
        task=action_from_json(value["task"]),
        steps=tuple(action_from_json(step) for step in value["steps"]),
        number=value["number"],
        worked=tuple(action_from_json(step) for step in value["worked"]),
        result=value["result"],
        instead=None if value["instead"] is None else action_from_json(value["instead"]),
        place=value["place"],
        worded=value["worded"],
    )


def lesson_of(run: Trajectory) -> Lesson:
    """What a failed run shows by itself."""
    failed = [number for number, step in enumerate(run.steps, start=1) if step.failed]
    number = failed[-1] if failed else len(run.steps)
    steps = run.steps[max(0, number - _KEPT_STEPS) : number]
    seen = steps[-1].observation
    short = None if seen is None else " ".join(seen.split())
    if short is not None and len(short) > _SHOWN_CHARS:
        short = short[:_SHOWN_CHARS] + "…"
    return Lesson(
        task=text_of(run.task),
        steps=tuple(step.action for step in steps),
        number=number,
        worked=tuple(step.action for step in steps[:-1] if not step.failed) if failed else (),
        result=short,
    )


def contrasted(lesson: Lesson, success: Template) -> Lesson:
    """The lesson with what the successes of a like task did and this run did not."""
    core = [step.action for step in success.steps if step.seen == success.runs]
    told = success.runs > 1 or str(success.task) == str(lesson.task)  # else arguments may differ
    names = _keys(core, lesson.steps, exact=told)
    taken = {i for i, _ in aligned(names, [str(step) for step in lesson.steps])}
    missing = next((i for i in range(len(core)) if i not in taken), None)
    if missing is None:
        return lesson
    same_name = core[missing].name == lesson.culprit.name
    later = missing < len(core) - 1 and lesson.culprit.name in {a.name for a in core[missing + 1 :]}
    place = "instead of" if same_name or not later else "before"
    return replace(lesson, instead=core[missing], place=place)


def _keys(core: Sequence[Action], steps: Sequence[Action], *, exact: bool) -> list[str]:
    """For each step of a script the action of the run that it covers, or what no action is."""
    keys = []
    for action in core:
        fit = next((step for step in steps if covers(action, step, exact=exact)), None)
        keys.append(f"\0{action}" if fit is None else str(fit))
    return keys


def covers(pattern: Action, action: Action, *, exact: bool = True) -> bool:
    """Whether an action is what a step of a script says, with anything in its slots.

    Without `exact`, arguments may be any.
    """
    if pattern.name != action.name or not exact:
        return pattern.name == action.name
    given = {(a.label, a.value) for a in action.arguments}
    return all(a.slot or (a.label, a.value) in given for a in pattern.arguments)
