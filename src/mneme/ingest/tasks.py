"""Tasks of a namespace: each step a cube of type "task", written through the vault.

A step derives from the step that it is a part of, and so down to the task: forgetting or erasing a
step takes its parts along. Each change is one version of one cube, in one transaction that reads
the whole task first: two processes that change a task see each other's steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import (
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    VersionConflictError,
)
from mneme.core.lifecycle import HIDDEN, State
from mneme.core.provenance import SourceSpan
from mneme.govern.retention import is_hidden
from mneme.govern.trust import trust_of
from mneme.ingest import checks
from mneme.memories.plaintext.tasks.plan import MOST_AFTER, MOST_STEPS, Plan, unknown
from mneme.memories.plaintext.tasks.step import GOAL, METHOD, Step, read_step
from mneme.vault.codec import sources_json, sources_of
from mneme.vault.draft import Draft
from mneme.vault.marks import DERIVED
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.ingest.reader import Limits
    from mneme.vault.vault import Vault

TASK = "task"
_LONGEST_TITLE = 2000
_LONGEST_WHY = 8000
_MOST_SOURCES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a verb does to a step, checked; None leaves a field as it is."""

    verb: str
    title: str | None = None
    after: tuple[object, ...] | None = None
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    why: str | None = None
    sources: tuple[str, ...] = ()
    expected: int | None = None


@dataclass(slots=True)
class _Loaded:
    """A task as a transaction sees it: its plan, and the rows behind the steps."""

    plan: Plan
    namespace: Namespace
    rows: dict[int, VersionRow] = field(default_factory=dict)


class _Found(NamedTuple):
    row: VersionRow
    step: Step


class Tasks:
    """The tasks of one namespace."""

    def __init__(self, vault: Vault, path: str, limits: Limits) -> None:
        self._vault, self._path, self._limits = vault, path, limits
        self._store, self._clock = vault.parts.store, vault.parts.clock

    def create(self, title: object, inputs: object, session: str | None) -> str:
        """A new task; the id of its cube."""
        goal = Step(
            number=GOAL, id="", version=1, title=title_of(title), inputs=values_of(inputs, "inputs")
        )
        draft = self._draft(goal, session=session)
        return self._vault.writer.add(self._path, [draft])[0].row.id

    def plan(self, task_id: str, as_of: int | None = None) -> Plan:
        """The steps of a task, now or as they were at a past time.

        Raises:
            CubeNotFoundError: There is no such task, or was none then.
            InvalidInputError: The cube is no task.
        """
        with self._store.read() as tx:
            return self._load(tx, task_id, as_of).plan

    def add_step(
        self, task_id: str, title: object, parent: object, after: Sequence[object], inputs: object
    ) -> Step:
        """A new step of a task."""
        said, given = title_of(title), values_of(inputs, "inputs")
        with self._store.write() as tx:
            loaded = self._load(tx, task_id)
            plan = loaded.plan
            if len(plan.stored) > MOST_STEPS:
                raise InvalidInputError(f"a task has at most {MOST_STEPS} steps")
            above = GOAL if parent is None else number_of(parent, plan)
            plan.check_open(above)
            numbers = _numbers(after, plan)
            number = plan.next_number()
            plan.check_after(number, above, numbers)
            of = loaded.rows[above]
            _refuse_frozen(loaded.rows[GOAL])
            step = Step(
                number=number, id="", version=1, title=said, parent=above, after=numbers,
                inputs=given, untrusted=of.trust == "untrusted",
            )  # fmt: skip
            draft = self._draft(step, session=of.session, part_of=(_span(tx, of),))
            namespace = tx.cubes.touch_namespace(self._path)
            row = self._vault.writer.insert(tx, self._path, namespace, [draft])[0]
            return Plan([*plan.stored.values(), replace(step, id=row.id)])[number]

    def change(self, task_id: str, which: object, change: Change) -> Step:
        """Take a step along an edge, or give it other words; the step as it is then.

        Raises:
            StepRefusedError: The other steps do not allow it.
            VersionConflictError: The step is not at the expected version.
            FrozenCubeError: It, or its task, is frozen.
        """
        with self._store.write() as tx:
            loaded = self._load(tx, task_id)
            number = GOAL if which is None else number_of(which, loaded.plan)
            row = loaded.rows[number]
            if change.expected is not None and row.version != change.expected:
                raise VersionConflictError(row.id, change.expected, row.version)
            _refuse_frozen(loaded.rows[GOAL])
            _refuse_frozen(row)
            step = _changed(loaded.plan, number, change)
            row = self._with_sources(tx, loaded, row, change.sources)
            step = replace(step, untrusted=row.trust == "untrusted")
            written = self._write(tx, row, step, change.verb)
            others = [each for n, each in loaded.plan.stored.items() if n != number]
            return Plan([*others, replace(step, version=written.version)])[number]

    # -- within

    def _load(self, tx: Transaction, task_id: str, as_of: int | None = None) -> _Loaded:
        root = self._vault.lives.readable(tx, self._path, task_id)
        namespace = tx.cubes.namespace(self._path)
        if namespace is None:
            raise CubeNotFoundError(task_id, self._path)
        found = self._found(tx, namespace, root, as_of, None)
        if found is None and as_of is not None:
            raise CubeNotFoundError(task_id, self._path)
        if found is None or found.step.number != GOAL:
            raise InvalidInputError(
                f"cube {task_id!r} is not a task as task() makes one; a step is opened by its task"
            )
        each = {GOAL: found}
        queue = [found]
        while queue:
            whole = queue.pop()
            for part in self._parts(tx, namespace, whole, as_of):
                if part.step.number not in each:
                    each[part.step.number] = part
                    queue.append(part)
        plan = Plan(one.step for one in each.values())
        return _Loaded(plan, namespace, {number: one.row for number, one in each.items()})

    def _parts(
        self, tx: Transaction, namespace: Namespace, whole: _Found, as_of: int | None
    ) -> Iterable[_Found]:
        """The steps that a step is made of."""
        children = tx.ledger.children(whole.row.key, SOURCE)
        for row in tx.cubes.current_of_keys(namespace.number, children):
            spans = sources_of(row)
            if row.type == TASK and spans and spans[0].cube_id == whole.row.id:
                found = self._found(tx, namespace, row, as_of, whole.step.number)
                if found is not None:
                    yield found

    def _found(
        self,
        tx: Transaction,
        namespace: Namespace,
        row: VersionRow,
        as_of: int | None,
        parent: int | None,
    ) -> _Found | None:
        """The step behind a current row, now or at a past time; None if it is hidden, or none."""
        if row.type != TASK or is_hidden(row, self._clock.now_us()):
            return None
        if as_of is not None:
            then = tx.cubes.as_of(namespace.number, as_of, row.key)
            if then is None or then.state in HIDDEN:
                return None
            row = then
        text = tx.cubes.body(row.key, row.text_version)[0]
        step = read_step(
            text, row.metadata,
            id=row.id, version=row.version, parent=parent, untrusted=row.trust == "untrusted",
        )  # fmt: skip
        return None if step is None else _Found(row, step)

    def _draft(
        self, step: Step, *, session: str | None, part_of: tuple[SourceSpan, ...] = ()
    ) -> Draft:
        trust = "untrusted" if step.untrusted else "trusted"
        return Draft(
            text=step.text, type=TASK, session=session, metadata=self._metadata(step),
            origin=DERIVED, method=METHOD, trust=trust, sources=part_of,
        )  # fmt: skip

    def _metadata(self, step: Step) -> str | None:
        return checks.metadata_of(step.metadata, max_bytes=self._limits.metadata_bytes)

    def _with_sources(
        self, tx: Transaction, loaded: _Loaded, row: VersionRow, ids: Sequence[str]
    ) -> VersionRow:
        """The row with further cubes that it derives from, and what they do to its trust."""
        if not ids:
            return row
        own = {each.id for each in loaded.rows.values()}
        parents = [self._vault.lives.readable(tx, self._path, each) for each in dict.fromkeys(ids)]
        if any(parent.id in own for parent in parents):
            raise InvalidInputError("a source of a step cannot be a step of the same task")
        spans = (*sources_of(row), *(_span(tx, parent) for parent in parents))
        if len(spans) > _MOST_SOURCES:
            raise InvalidInputError(f"a step derives from at most {_MOST_SOURCES} cubes")
        tx.ledger.add_edges((parent.key, row.key, SOURCE) for parent in parents)
        trust = trust_of(row.origin, [row.trust, *(parent.trust for parent in parents)])
        return row._replace(sources=sources_json(dict.fromkeys(spans)), trust=trust)

    def _write(self, tx: Transaction, row: VersionRow, step: Step, verb: str) -> VersionRow:
        namespace = tx.cubes.touch_namespace(self._path)
        said = None
        if step.text != tx.cubes.body(row.key, row.text_version)[0]:
            said = (step.text, self._vault.lives.entry_of(row, step.text))
        row = row._replace(metadata=self._metadata(step))
        return self._vault.lives.write(tx, self._path, namespace, row, verb, said=said)


def _changed(plan: Plan, number: int, change: Change) -> Step:
    """The stored step after a change, if the plan allows it."""
    step = plan.stored[number]
    if change.verb == "revise":
        after = step.after if change.after is None else _numbers(change.after, plan)
        if change.after is not None:
            plan.check_after(number, step.parent, after)
        title = step.title if change.title is None else change.title
        inputs = step.inputs if change.inputs is None else change.inputs
        return replace(step, title=title, after=after, inputs=inputs)
    status = plan.check_move(number, change.verb)
    outputs = step.outputs if change.outputs is None else change.outputs
    return replace(step, status=status, outputs=outputs, why=change.why)


def _refuse_frozen(row: VersionRow) -> None:
    if row.state == State.FROZEN:
        raise FrozenCubeError(row.id, "changes of its steps")


def _span(tx: Transaction, row: VersionRow) -> SourceSpan:
    """All of a cube's text."""
    text = tx.cubes.body(row.key, row.text_version)[0]
    return SourceSpan(cube_id=row.id, version=row.version, start=0, end=len(text))


def number_of(which: object, plan: Plan) -> int:
    """The number of a step that is given as a Step, a number or the id of its cube."""
    if isinstance(which, Step):
        which = which.id
    if isinstance(which, str):
        found = [number for number, step in plan.stored.items() if step.id == which]
        if found:
            return found[0]
    elif isinstance(which, int) and not isinstance(which, bool) and which in plan.stored:
        return which
    raise unknown(plan, which)


def _numbers(after: Iterable[object], plan: Plan) -> tuple[int, ...]:
    numbers = tuple(dict.fromkeys(number_of(each, plan) for each in after))
    if len(numbers) > MOST_AFTER:
        raise InvalidInputError(f"a step comes after at most {MOST_AFTER} others")
    return numbers


def title_of(value: object) -> str:
    """A title: one line."""
    return " ".join(checks.text_of(value, name="title", max_bytes=_LONGEST_TITLE).split())


def why_of(value: object) -> str:
    """A reason."""
    return " ".join(checks.text_of(value, name="why", max_bytes=_LONGEST_WHY).split())


def values_of(value: object, name: str) -> Mapping[str, Any]:
    """Inputs or outputs: a JSON object; a string alone is its `result`."""
    if value is None:
        return {}
    if isinstance(value, str):
        value = {"result": value}
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{name} takes a mapping or a string, not {type(value).__name__}")
    return dict(value)


def sources_given(value: object) -> tuple[str, ...]:
    """Ids of cubes that something was taken from."""
    return tuple(checks.ids_of(value))
