"""Tasks of a namespace: a goal, its steps, their order, and a prompt from the active path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.errors import InvalidInputError
from mneme.core.moments import optional_us
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.ingest.tasks import Change, Tasks, sources_given, title_of, values_of, why_of
from mneme.memories.plaintext.tasks import render
from mneme.recall.asking import budget_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mneme.app.shared import Shared
    from mneme.memories.plaintext.tasks.plan import Plan
    from mneme.memories.plaintext.tasks.step import Step

    Moment = datetime | str | None
    Which = Step | int | str | None  # a step, its number, the id of its cube; None: the task itself
    Values = Mapping[str, Any] | str | None


class Task:
    """One task of a namespace. It keeps no state: each call reads what is stored.

    Attributes:
        id: Of the task's cube: `history`, `rollback`, `forget` and `erase` take it, and they take
            the ids of steps, too.
    """

    def __init__(self, tasks: Tasks, shared: Shared, task_id: str) -> None:
        self._tasks, self._shared = tasks, shared
        self.id = task_id

    def __repr__(self) -> str:
        return f"Task({self.id!r})"

    # -- changing

    @strict
    def add_step(
        self,
        title: str,
        *,
        parent: Which = None,
        after: Iterable[Step | int | str] = (),
        inputs: Values = None,
    ) -> Step:
        """Add a step: a part of `parent`, to be done after the steps in `after`."""
        step = self._tasks.add_step(self.id, title, parent, _several(after), inputs)
        self._shared.wake()
        return step

    @strict
    def start(self, step: Which = None, *, expected_version: int | None = None) -> Step:
        """Begin to work on a step; refused while it waits for others, or if it is active."""
        return self._change(step, "start", expected_version)

    @strict
    def finish(
        self,
        step: Which = None,
        *,
        outputs: Values = None,
        sources: str | Sequence[str] = (),
        expected_version: int | None = None,
    ) -> Step:
        """Say what came out of a step; refused before what it waits for, and its parts, are done.

        `sources` are ids of cubes that the outputs were taken from: if one of them is untrusted,
        so is the step.
        """
        outcome = None if outputs is None else values_of(outputs, "outputs")
        given = sources_given(sources)
        return self._change(step, "finish", expected_version, outputs=outcome, sources=given)

    @strict
    def fail(self, step: Which = None, *, why: str, expected_version: int | None = None) -> Step:
        """Say that a step went wrong; `start` tries it again."""
        return self._change(step, "fail", expected_version, why=why_of(why))

    @strict
    def block(self, step: Which = None, *, why: str, expected_version: int | None = None) -> Step:
        """Say that something outside of the task is in the way; `start` goes on."""
        return self._change(step, "block", expected_version, why=why_of(why))

    @strict
    def drop(
        self, step: Which = None, *, why: str | None = None, expected_version: int | None = None
    ) -> Step:
        """Say that a step is not needed; nobody waits for it any more."""
        reason = None if why is None else why_of(why)
        return self._change(step, "drop", expected_version, why=reason)

    @strict
    def reopen(self, step: Which = None, *, expected_version: int | None = None) -> Step:
        """Put a step back to open, with its outputs as they are."""
        return self._change(step, "reopen", expected_version)

    @strict
    def revise(
        self,
        step: Which = None,
        *,
        title: str | None = None,
        inputs: Values = None,
        after: Iterable[Step | int | str] | None = None,
        expected_version: int | None = None,
    ) -> Step:
        """Give a step another title, other inputs, or another place in the order."""
        if title is None and inputs is None and after is None:
            raise InvalidInputError("nothing to revise: give title, inputs or after")
        return self._change(
            step,
            "revise",
            expected_version,
            title=None if title is None else title_of(title),
            inputs=None if inputs is None else values_of(inputs, "inputs"),
            after=None if after is None else _several(after),
        )

    # -- reading

    @strict
    def goal(self, *, as_of: Moment = None) -> Step:
        """The task itself, as the step of number 0."""
        return self._plan(as_of).goal

    @strict
    def steps(self, *, as_of: Moment = None) -> list[Step]:
        """All steps by number, now or as they were at a past time."""
        return self._plan(as_of).steps()

    @strict
    def ready(self) -> list[Step]:
        """The steps that may be started now."""
        plan = self._plan(None)
        return [plan[number] for number in plan.ready()]

    @strict
    def tree(self, *, as_of: Moment = None) -> str:
        """All steps as text, each under the one that it is a part of."""
        return render.tree(self._plan(as_of))

    @strict
    def prompt(self, *, budget_tokens: int = 800) -> str:
        """What an agent must know for its next step; never above the budget.

        The goal, the way from it to the active step, what that step builds on, what is done, what
        stands beside it and what comes next; steps off the way are one line.
        """
        budget = budget_of(budget_tokens)
        return render.prompt(self._plan(None), self._shared.counter, budget)

    def _plan(self, as_of: Moment) -> Plan:
        then = optional_us(as_of, self._shared.limits.zone, name="as_of")
        return self._tasks.plan(self.id, then)

    def _change(self, step: Which, verb: str, expected: int | None, **fields: Any) -> Step:  # noqa: ANN401
        version = checks.version_of(expected, name="expected_version")
        changed = self._tasks.change(self.id, step, Change(verb=verb, expected=version, **fields))
        self._shared.wake()
        return changed


class TaskVerbs:
    """The verb on tasks, for Namespace."""

    path: str
    _shared: Shared

    @strict
    def task(
        self,
        title: str | None = None,
        *,
        id: str | None = None,  # noqa: A002 (the contract's name)
        inputs: Values = None,
        session: str | None = None,
    ) -> Task:
        """Make a task of this title, or open the one of this id.

        Raises:
            CubeNotFoundError: There is no cube of this id.
            InvalidInputError: That cube is no task.
        """
        tasks = Tasks(self._shared.vault, self.path, self._shared.limits)
        if (title is None) == (id is None):
            raise InvalidInputError("give a title, to make a task, or an id, to open one")
        if id is not None:
            if inputs is not None or session is not None:
                raise InvalidInputError("inputs and session are for a new task; use revise()")
            known = checks.id_of(id)
            tasks.plan(known)
            return Task(tasks, self._shared, known)
        made = tasks.create(title, inputs, checks.name_of(session, name="session"))
        self._shared.wake()
        return Task(tasks, self._shared, made)


def _several(after: object) -> tuple[object, ...]:
    return tuple(checks.items_of(after))
