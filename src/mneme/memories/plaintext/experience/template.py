"""What runs of like tasks have in common: steps in order, with slots where they vary.

The script level of Memp (arXiv:2508.06433): runs are aligned by the names of their actions; where
two aligned actions, or the two tasks, differ, a slot takes the place of both, and one slot stands
for one pair of values wherever it comes. A slot whose value stood in what an earlier step gave back
says so. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final

from mneme.memories.plaintext.experience.steps import (
    TEXT,
    WORDS,
    Action,
    Argument,
    action_from_json,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.memories.plaintext.experience.steps import Step, Trajectory

_KEPT_FROM: Final = 4  # runs after which rare steps are dropped
_LEAST_SHARE: Final = 4  # a step in fewer than a quarter of the runs
_MOST_SEARCHED: Final = 20_000  # characters of a result in which a value is looked for


@dataclass(frozen=True, slots=True)
class Pattern:
    """An action of a script, and in how many of its runs it came."""

    action: Action
    seen: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Steps that runs of like tasks share.

    Attributes:
        task: The words of the task, with slots.
        steps: The patterns in order.
        runs: How many runs were aligned.
        origins: By slot, which step's result held its value in every run (numbered from 1).
    """

    task: Action
    steps: tuple[Pattern, ...]
    runs: int = 1
    origins: Mapping[str, int] = field(default_factory=dict)

    @property
    def usual(self) -> tuple[Pattern, ...]:
        """The steps that at least half of the runs took."""
        return tuple(step for step in self.steps if 2 * step.seen >= self.runs)

    @property
    def varies(self) -> bool:
        """Whether anything in it is a slot, or not in every run."""
        parts = (self.task, *(step.action for step in self.steps))
        slots = any(argument.slot for part in parts for argument in part.arguments)
        return slots or any(step.seen < self.runs for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in metadata."""
        return {
            "task": self.task.to_json(),
            "steps": [[step.seen, step.action.to_json()] for step in self.steps],
            "runs": self.runs,
            "origins": dict(self.origins),
        }


def template_from_json(value: Mapping[str, Any]) -> Template:
    """The template that `Template.to_json` wrote."""
    return Template(
        task=action_from_json(value["task"]),
        steps=tuple(Pattern(action_from_json(action), seen) for seen, action in value["steps"]),
        runs=value["runs"],
        origins=value["origins"],
    )


def template_of(run: Trajectory) -> Template:
    """One run as a template without slots; steps that did not work are left out."""
    return Template(
        task=text_of(run.task), steps=tuple(Pattern(step.action) for step in worked(run))
    )


def worked(run: Trajectory) -> list[Step]:
    """The steps of a run that worked; all where none did."""
    return [step for step in run.steps if not step.failed] or list(run.steps)


def aligned(names: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of places, in order, at which two lists agree: a longest common subsequence."""
    best = [[0] * (len(others) + 1) for _ in range(len(names) + 1)]
    for i in range(len(names) - 1, -1, -1):
        row, below = best[i], best[i + 1]
        for j in range(len(others) - 1, -1, -1):
            same = names[i] == others[j]
            row[j] = below[j + 1] + 1 if same else max(below[j], row[j + 1])
    pairs, i, j = [], 0, 0
    while i < len(names) and j < len(others):
        if names[i] == others[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def share_aligned(names: Sequence[str], others: Sequence[str]) -> float:
    """How much of two lists agrees, 0 to 1."""
    total = len(names) + len(others)
    return 2 * len(aligned(names, others)) / total if total else 1.0


def merged(template: Template, run: Trajectory) -> Template:
    """The template with one more run."""
    steps = worked(run)
    slots = _Slots()
    for each in (template.task, *(step.action for step in template.steps)):
        slots.reserve(each)
    names = [step.action.name for step in template.steps]
    pairs = aligned(names, [step.action.name for step in steps])
    patterns: list[Pattern] = []
    place = done = 0
    for i, j in [*pairs, (len(names), len(steps))]:
        patterns += template.steps[done:i]
        patterns += [Pattern(step.action) for step in steps[place:j]]
        if i < len(names):
            old = template.steps[i]
            patterns.append(Pattern(_both(old.action, steps[j].action, slots), old.seen + 1))
        done, place = i + 1, j + 1
    task = _both(template.task, text_of(run.task), slots)
    runs = template.runs + 1
    if runs >= _KEPT_FROM:
        patterns = [p for p in patterns if _LEAST_SHARE * p.seen >= runs]
    new = Template(task=task, steps=tuple(patterns), runs=runs)
    return replace(new, origins=_origins(template, new, run, slots))


class _Slots:
    """Names of slots, one for each pair of values that stood in the same place."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._taken: dict[str, str] = {}  # by name of a slot: its value in the new run
        self._reserved: set[str] = set()

    def reserve(self, action: Action) -> None:
        """Keep the names that are in use."""
        self._reserved |= {a.value for a in action.arguments if a.slot}

    def name(self, old: Argument, value: str) -> str:
        """The name of the slot for an old place and its new value."""
        key = (str(old.slot) + old.value, value)
        if key not in self._names:
            self._names[key] = self._new(old, value)
        return self._names[key]

    def values(self) -> dict[str, str]:
        """By slot, what stood there in the new run."""
        return dict(self._taken)

    def _new(self, old: Argument, value: str) -> str:
        if old.slot and old.value not in self._taken:
            name = old.value
        else:
            stem = old.value.rstrip("0123456789") if old.slot else old.label or "x"
            number = 1
            name = stem
            while name in self._reserved or name in self._taken:
                number += 1
                name = f"{stem}{number}"
        self._taken[name] = value
        return name


def _both(old: Action, new: Action, slots: _Slots) -> Action:
    """What two actions of one name share; a slot where they differ."""
    if old.style in {WORDS, TEXT} or new.style != old.style:
        return _both_in_words(old, new, slots)
    kept = []
    by_label = {(a.label, n if not a.label else 0): a for n, a in enumerate(new.arguments)}
    for n, argument in enumerate(old.arguments):
        other = by_label.get((argument.label, n if not argument.label else 0))
        if other is None:
            continue  # an argument that one run did without
        if argument.slot or argument.value != other.value:
            name = slots.name(argument, other.value)
            kept.append(Argument(argument.label, name, slot=True))
        else:
            kept.append(argument)
    return Action(old.style, old.name, tuple(kept))


def _both_in_words(old: Action, new: Action, slots: _Slots) -> Action:
    before = [a.value if not a.slot else f"\0{a.value}" for a in old.arguments]
    after = [a.value for a in new.arguments]
    places: list[Argument] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            places += old.arguments[a:b]
        elif tag == "replace":
            one = old.arguments[a:b]
            slot = next((each for each in one if each.slot), None)
            joined = Argument("", " ".join(each.value for each in one))
            name = slots.name(slot or joined, " ".join(after[c:d]))
            places.append(Argument("", name, slot=True))
    return Action(old.style, old.name, tuple(places))


def _origins(old: Template, new: Template, run: Trajectory, slots: _Slots) -> dict[str, int]:
    """By slot, the number of the step of the new template whose result held the value."""
    names = [pattern.action.name for pattern in new.steps]
    steps = worked(run)
    place = {j: i for i, j in aligned(names, [step.action.name for step in steps])}
    in_task = {a.value for a in new.task.arguments if a.slot}
    found: dict[str, int] = {}
    for slot, value in slots.values().items():
        if slot in in_task or not value:
            continue
        for j, step in enumerate(steps):
            if j in place and value in (step.observation or "")[:_MOST_SEARCHED]:
                found[slot] = place[j] + 1
                break
    if old.runs == 1:
        return found
    return {slot: n for slot, n in found.items() if slot in old.origins or slot not in _slots(old)}


def _slots(template: Template) -> set[str]:
    parts = (template.task, *(step.action for step in template.steps))
    return {a.value for part in parts for a in part.arguments if a.slot}
