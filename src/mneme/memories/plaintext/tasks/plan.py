"""The steps of a task together: which wait for which, and which changes they allow.

Pure. A rollback of a single step may bring back an order that goes in a circle: everything here
ends on such a plan, too, and only what would make a new circle is refused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError, StepRefusedError
from mneme.memories.plaintext.tasks.step import GOAL, SETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.memories.plaintext.tasks.step import Status, Step

MOST_STEPS = 1000
MOST_AFTER = 100
# verb -> the stored states that it leaves from, the state that it enters
EDGES: dict[str, tuple[frozenset[str], Status]] = {
    "start": (frozenset({"open", "blocked", "failed"}), "active"),
    "finish": (frozenset({"open", "active", "blocked"}), "done"),
    "fail": (frozenset({"open", "active", "blocked"}), "failed"),
    "block": (frozenset({"open", "active"}), "blocked"),
    "drop": (frozenset({"open", "active", "blocked", "failed"}), "dropped"),
    "reopen": (frozenset({"active", "done", "failed", "blocked", "dropped"}), "open"),
}


class Plan:
    """The steps of one task, by number."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.stored: dict[int, Step] = {}
        self._parts: dict[int, list[int]] = defaultdict(list)
        for step in sorted(steps, key=lambda each: (each.number, each.id)):
            if step.number not in self.stored:
                self.stored[step.number] = step
                if step.parent is not None:
                    self._parts[step.parent].append(step.number)

    @property
    def goal(self) -> Step:
        """The task itself."""
        return self[GOAL]

    def __getitem__(self, number: int) -> Step:
        """A step as readers see it."""
        step = self.stored[number]
        waits = self.waits_for(number) if step.status not in SETTLED else ()
        status = "blocked" if waits and step.status == "open" else step.status
        return replace(step, status=status, waits_for=waits)

    def steps(self) -> list[Step]:
        """All steps without the task itself, by number."""
        return [self[number] for number in self.stored if number != GOAL]

    def parts(self, number: int) -> list[int]:
        """The steps that a step is made of, in order."""
        return self._parts.get(number, [])

    def chain(self, number: int) -> list[int]:
        """From the task down to a step, both included."""
        chain: list[int] = []
        at: int | None = number
        while at is not None and at in self.stored and at not in chain:
            chain.append(at)
            at = self.stored[at].parent
        return chain[::-1]

    def waits_for(self, number: int) -> tuple[int, ...]:
        """What must be done before a step may start: its own, and what its parents come after."""
        wanted = [n for each in self.chain(number) for n in self.stored[each].after]
        return tuple(n for n in dict.fromkeys(wanted) if self._is_waited_for(n))

    def _is_waited_for(self, number: int) -> bool:
        step = self.stored.get(number)  # what was forgotten or erased holds nobody up
        return step is not None and step.status not in SETTLED

    def unfinished_parts(self, number: int) -> list[int]:
        """Its parts that are neither done nor dropped."""
        return [n for n in self.parts(number) if self.stored[n].status not in SETTLED]

    def next_number(self) -> int:
        """A number that no step has and none names."""
        used = {n for step in self.stored.values() for n in (step.number, *step.after)}
        return max(used, default=GOAL) + 1

    def active(self) -> list[int]:
        """The steps that somebody works on, without those that a part of theirs stands for."""
        found = [n for n, step in self.stored.items() if step.status == "active" and n != GOAL]
        above = {n for each in found for n in self.chain(each)[:-1]}
        return [n for n in found if n not in above]

    def ready(self) -> list[int]:
        """The steps that may be started now: open, waiting for none, not made of open parts."""
        return [
            n
            for n, step in self.stored.items()
            if n != GOAL
            and step.status == "open"
            and not self.waits_for(n)
            and not self.unfinished_parts(n)
            and not any(self.stored[up].status in SETTLED for up in self.chain(n)[:-1])
        ]

    # -- what a change must not do

    def check_move(self, number: int, verb: str) -> Status:
        """The state that a verb leads to.

        Raises:
            StepRefusedError: There is no such edge, or other steps come first.
        """
        step = self.stored[number]
        leaves, enters = EDGES[verb]
        name = _named(step)
        if step.status not in leaves:
            raise StepRefusedError(f"{name} is {step.status}: {verb} is not possible from there")
        if verb != "drop":
            self.check_open(self.stored[number].parent)
        if verb in {"start", "finish"} and (waits := self.waits_for(number)):
            raise StepRefusedError(f"{name} comes after {_listed(waits)}: finish, or drop, first")
        if verb == "finish" and (parts := self.unfinished_parts(number)):
            raise StepRefusedError(
                f"{name} has parts that are not done: {_listed(parts)}; finish, or drop, them first"
            )
        return enters

    def check_open(self, number: int | None) -> None:
        """Refuse work on the parts of what is done or dropped.

        Raises:
            StepRefusedError: The step, or one that it is a part of, is settled.
        """
        for each in [] if number is None else self.chain(number):
            step = self.stored[each]
            if step.status in SETTLED:
                raise StepRefusedError(f"{_named(step)} is {step.status}; reopen it first")

    def check_after(self, number: int, parent: int | None, after: Iterable[int]) -> None:
        """Refuse an order in which a step would wait for itself.

        Finishing a step waits for what it comes after, for what its parents come after, and for
        its parts.

        Raises:
            StepRefusedError: The order goes in a circle.
        """
        wanted = tuple(after)
        trial = dict(self.stored)
        old = trial.get(number)
        fresh = old or replace(self.stored[GOAL], number=number, id="", parent=parent)
        trial[number] = replace(fresh, after=wanted)
        plan = Plan(trial.values())
        circle = plan._circle(number)
        if circle:
            raise StepRefusedError(
                f"the order goes in a circle: step {' waits for '.join(map(str, circle))}"
            )

    def _needs(self, number: int) -> set[int]:
        """What must be finished before a step can be."""
        chain = self.chain(number)
        after = {n for each in chain for n in self.stored[each].after}
        return {n for n in after | set(self.parts(number)) if n in self.stored}

    def _circle(self, start: int) -> list[int]:
        """A way from a step back to one that it began with; empty if there is none."""
        for first in [start, *self._below(start)]:
            came: dict[int, int] = {}
            queue = [first]
            while queue:
                at = queue.pop()
                for need in sorted(self._needs(at)):
                    if need == first:
                        return _way(first, at, came)
                    if need not in came:
                        came[need] = at
                        queue.append(need)
        return []

    def _below(self, number: int) -> list[int]:
        found: list[int] = []
        queue = list(self.parts(number))
        while queue:
            at = queue.pop()
            if at not in found:
                found.append(at)
                queue += self.parts(at)
        return found


def _way(first: int, last: int, came: dict[int, int]) -> list[int]:
    """From the first step over those that it waits for, back to itself."""
    way = [last]
    while way[-1] != first:
        way.append(came[way[-1]])
    return [*way[::-1], first]


def _named(step: Step) -> str:
    return "the task" if step.number == GOAL else f"step {step.number}"


def _listed(numbers: Iterable[int]) -> str:
    each = list(numbers)
    return f"step{'s' * (len(each) > 1)} {', '.join(map(str, each))}"


def unknown(plan: Plan, value: object) -> InvalidInputError:
    """The error for a step that the task does not have."""
    numbers = [n for n in plan.stored if n != GOAL]
    known = f"its steps: {', '.join(map(str, numbers[:50]))}" if numbers else "it has no steps yet"
    return InvalidInputError(f"the task has no step {value!r:.80}; {known}")
