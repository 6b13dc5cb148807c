"""Runs of an agent into memory: the run verbatim, procedures and lessons distilled from it.

All of one `learn` is one transaction: the run, what is new, what is refined, and the counts by
which experience is judged. A procedure comes from successes (Memp, arXiv:2508.06433): the concrete
steps of the shortest run, and a script with slots once two runs of a like task differ. A lesson
comes from a failure (ReMe, arXiv:2512.10696), compared with a success of a like task if there is
one, also if that success comes later. No language model takes part unless one is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mneme.core.errors import IdempotencyConflictError
from mneme.core.lifecycle import State
from mneme.core.provenance import SourceSpan
from mneme.core.rows import Selection
from mneme.govern.retention import is_hidden
from mneme.govern.trust import trust_of
from mneme.ingest import checks
from mneme.ingest.experience_book import TYPES, Book, Item, Run, item_of
from mneme.memories.plaintext.experience import render
from mneme.memories.plaintext.experience.lessons import contrasted, lesson_of
from mneme.memories.plaintext.experience.scoring import SAME_WAY, gist_of, likeness
from mneme.memories.plaintext.experience.steps import text_of
from mneme.memories.plaintext.experience.template import (
    aligned,
    merged,
    share_aligned,
    template_of,
    worked,
)
from mneme.vault.draft import Draft
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.ingest.lesson_writer import LessonWriter
    from mneme.memories.plaintext.experience.lessons import Lesson
    from mneme.memories.plaintext.experience.scoring import Gist
    from mneme.memories.plaintext.experience.steps import Trajectory
    from mneme.memories.plaintext.experience.template import Template
    from mneme.vault.vault import Vault

    Written = list[tuple[VersionRow, str]]

SUCCESS: Final = 0.5  # the outcome from which a run is worth copying
BOUND: Final = 0.3  # procedures of less utility are put aside ...
LEAST_USES: Final = 5  # ... once so many runs were counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One run, as the caller tells it; checked.

    Attributes:
        run: What was done.
        outcome: 0 (failed) to 1 (succeeded).
        session: Which session it belongs to; None for one of its own.
        at: When it ended; None if unknown.
        key: The caller's name for this request.
        advised: Ids of the experience that the run was told of.
        most_bytes: That the text of the run may have.
    """

    run: Trajectory
    outcome: float
    session: str | None = None
    at: int | None = None
    key: str | None = None
    advised: tuple[str, ...] = ()
    most_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Pruned:
    """Experience that is, or would be, put aside."""

    id: str
    type: str
    utility: float
    uses: float


class Learner:
    """Learns from runs, within one namespace at a time.

    Args:
        vault: Where experience is kept.
        writer: Words lessons with a language model; None: by rules alone.
    """

    def __init__(self, vault: Vault, writer: LessonWriter | None = None) -> None:
        self._vault, self._writer = vault, writer

    def learn(self, path: str, told: Told) -> Written:
        """Keep a run and what is to be learned from it: the versions written, the run first.

        Raises:
            InvalidInputError: The run is too long; nothing was written.
            IdempotencyConflictError: The key was used for another run.
            CubeNotFoundError: `advised` names what is not there; nothing was written.
        """
        text, spans = render.verbatim(told.run, told.outcome)
        checks.text_of(text, name="the trajectory", max_bytes=told.most_bytes)
        lesson = None if told.outcome >= SUCCESS else lesson_of(told.run)
        if lesson is not None and self._writer is not None:
            lesson = self._writer.word(told.run, lesson)
        draft = _draft(told, text)
        with self._vault.parts.store.write() as tx:
            namespace = tx.cubes.touch_namespace(path)
            if told.key is not None and (known := self._repeated(tx, namespace, draft)):
                return known
            for cube_id in told.advised:
                self._vault.lives.readable(tx, path, cube_id)
            row = self._vault.writer.insert(tx, path, namespace, [draft])[0]
            book = Book(self._vault, tx, path, namespace)
            at = row.recorded_at if told.at is None else told.at
            if lesson is None:
                counted = _succeeded(book, told, _run(row, spans, None), at)
            else:
                model = None if self._writer is None or not lesson.worded else self._writer.model
                counted = _failed(book, told, (lesson, model), _run(row, spans, lesson), at)
            _advised(book, told, counted, at)
            return [(row, text), *book.write()]

    def _repeated(self, tx: Transaction, namespace: Namespace, draft: Draft) -> Written:
        """What an earlier request of the same name wrote; empty where there is none."""
        hashed = self._vault.writer.hashed
        found = tx.ledger.request(namespace.number, hashed(draft.request or ""))
        if found is None:
            return []
        key, content = found
        if content != hashed(draft.request_content):
            raise IdempotencyConflictError((draft.request or "").split(":", 1)[1][:-2])
        now = self._vault.parts.clock.now_us()
        rows = tx.cubes.current_of_keys(namespace.number, [key])
        drawn = tx.cubes.current_of_keys(namespace.number, tx.ledger.children(key, SOURCE))
        rows += [row for row in drawn if not is_hidden(row, now)]
        return [(row, tx.cubes.body(row.key, row.text_version)[0]) for row in rows]


def credit(
    vault: Vault, tx: Transaction, path: str, namespace: Namespace, outcomes: Mapping[str, float]
) -> None:
    """Count outcomes, 0 to 1, for the experience among the cubes with these ids."""
    book, at = Book(vault, tx, path, namespace), vault.parts.clock.now_us()
    for item in book.named(set(outcomes)):
        assert item.row is not None
        item.count(outcomes[item.row.id], at, advised=True)
    book.write()


def prune(
    vault: Vault,
    path: str,
    *,
    now: int,
    dry_run: bool,
    bound: float = BOUND,
    least_uses: float = LEAST_USES,
) -> list[Pruned]:
    """Archive experience that did not help; it is never erased, and `activate` brings it back.

    Args:
        vault: Where it is kept.
        path: The namespace.
        now: Microseconds since 1970; what is expired by then is left alone.
        dry_run: Only say what would be archived.
        bound: Utility below which experience goes.
        least_uses: Runs that must have been counted before.
    """
    with vault.parts.store.write() as tx:
        known = tx.cubes.namespace(path)
        if known is None:
            return []
        selection = Selection(types=TYPES, states=(State.ACTIVATED.value,), now=now)
        found = []
        for row in tx.cubes.select(known.number, selection):
            item = item_of(row)
            if item is None or row.hold:
                continue
            uses = item.record.successes + item.record.failures
            if uses >= least_uses and item.record.utility < bound:
                found.append((row, Pruned(row.id, row.type, item.record.utility, uses)))
        if found and not dry_run:
            namespace = tx.cubes.touch_namespace(path)
            for row, _ in found:
                gone = row._replace(state=State.ARCHIVED)
                vault.lives.write(tx, path, namespace, gone, "archive")
        return [pruned for _, pruned in found]


def _draft(told: Told, text: str) -> Draft:
    """The run as it is kept: a tool speaks in it, or else only the agent."""
    origin = "tool" if told.run.observed else "assistant"
    facts = {"task": told.run.task, "outcome": told.outcome, "steps": len(told.run.steps)}
    return Draft(
        text=text, type="event", session=told.session, role="assistant", event_at=told.at,
        origin=origin, trust=trust_of(origin), metadata=checks.canonical(facts),
        request=None if told.key is None else f"key:{told.key}#0",
        request_content=checks.canonical([text, told.session, list(told.advised)]),
    )  # fmt: skip


def _run(row: VersionRow, spans: Sequence[tuple[int, int]], lesson: Lesson | None) -> Run:
    """The run as a source: all its steps, or the one after which it failed."""
    first, last = (spans[0], spans[-1]) if lesson is None else (spans[lesson.number - 1],) * 2
    span = SourceSpan(cube_id=row.id, version=row.version, start=first[0], end=last[1])
    return Run(row, span)


def _succeeded(book: Book, told: Told, run: Run, at: int) -> set[int]:
    """Refine the procedure of a like task, or begin one; the items that were counted."""
    gist, own = _gist(told.run), template_of(told.run)
    steps = _same_procedure(book, told.run, gist)
    if steps is None:
        steps = Item(level="steps", family=run.row.id, task=told.run.task, template=own, seen=0)
        steps.runs = []
        book.add(steps)
        scripts: list[Item] = []
    else:
        scripts = book.of_family(steps.family, "script")
    known = steps.template
    assert known is not None
    if not scripts and steps.row is not None:
        script = merged(known, told.run)
        if script.varies:
            scripts = [_script(book, steps, script)]
    else:
        for item in scripts:
            assert item.template is not None
            item.template = merged(item.template, told.run)
    if len(own.steps) < len(known.steps):
        steps.template, steps.task = own, told.run.task
    for item in (steps, *scripts):
        item.runs.append(run)
        item.seen += 1
        item.count(told.outcome, at)
    for lesson in _open_lessons(book, gist):
        assert lesson.lesson is not None
        success = scripts[0].template if scripts else steps.template
        _contrast(lesson, success)
    return {id(item) for item in (steps, *scripts)}


def _script(book: Book, steps: Item, template: Template) -> Item:
    """The script of a procedure of which so far only the steps were known."""
    item = Item(
        level="script", family=steps.family, task=steps.task, template=template,
        record=steps.record, seen=steps.seen, like=steps.row,
    )  # fmt: skip
    book.add(item)
    return item


def _failed(
    book: Book, told: Told, found: tuple[Lesson, str | None], run: Run, at: int
) -> set[int]:
    """Add a lesson, or count it again; procedures that were followed are counted as failed."""
    (lesson, model), gist = found, _gist(told.run)
    like = book.like(gist)
    procedures = [item for item in like if item.template is not None]
    known = [
        item for item in like if item.lesson and str(item.lesson.culprit) == str(lesson.culprit)
    ]
    if known:
        item, lesson = known[0], _further(known[0], lesson)
        item.seen += 1
    else:
        item = Item(level="lesson", family=run.row.id, task=told.run.task, model=model)
        book.add(item)
    item.lesson, item.changed = lesson, True
    item.runs.append(run)
    if procedures and lesson.instead is None:
        best = max(procedures, key=lambda p: (likeness(p.gist, gist), p.level == "script"))
        _contrast(item, best.template)
    counted = set()
    for procedure in procedures:
        if _followed(procedure, told.run):
            procedure.count(told.outcome, at)
            counted.add(id(procedure))
    return counted


def _further(known: Item, lesson: Lesson) -> Lesson:
    """A known lesson, with what worked in the run that got further."""
    old = known.lesson
    if old is None or len(lesson.worked) <= len(old.worked):
        return lesson if old is None else old
    return replace(old, worked=lesson.worked)


def _advised(book: Book, told: Told, counted: set[int], at: int) -> None:
    """Count the run for the experience that it was told of, as far as it went by it."""
    for item in book.named(set(told.advised)):
        outcome = None if id(item) in counted else _outcome_for(item, told)
        if outcome is None:
            item.record, item.changed = item.record.told(), True
        else:
            item.count(outcome, at, advised=True)


def _outcome_for(item: Item, told: Told) -> float | None:
    """What a run says of what it was told; None if it did not go by it.

    A procedure that was begun and then given up did not work, however the run ended.
    """
    if item.template is None or _followed(item, told.run):
        return told.outcome
    first = item.template.usual[0].action.name
    return 0.0 if told.run.steps[0].action.name == first else None


def _same_procedure(book: Book, run: Trajectory, gist: Gist) -> Item | None:
    """The procedure, at the level of steps, that a run of a like task went by."""
    names = [step.action.name for step in worked(run)]
    best: tuple[float, Item] | None = None
    for item in book.like(gist):
        if item.template is None:
            continue
        alike = likeness(item.gist, gist)
        shared = share_aligned([step.action.name for step in item.template.usual], names)
        if shared >= SAME_WAY and (best is None or alike + shared > best[0]):
            best = alike + shared, item
    if best is None:
        return None
    found = book.of_family(best[1].family, "steps")
    return found[0] if found else None


def _followed(item: Item, run: Trajectory) -> bool:
    """Whether all the usual steps of a procedure worked in a run, in order."""
    assert item.template is not None
    usual = [step.action.name for step in item.template.usual]
    done = [step.action.name for step in run.steps if not step.failed]
    return len(aligned(usual, done)) == len(usual)


def _open_lessons(book: Book, gist: Gist) -> list[Item]:
    """Lessons of like tasks that no success was compared with yet."""
    return [
        item for item in book.like(gist) if item.lesson is not None and item.lesson.instead is None
    ]


def _contrast(item: Item, success: Template | None) -> None:
    assert item.lesson is not None
    if success is None:
        return
    compared = contrasted(item.lesson, success)
    item.changed = item.changed or compared != item.lesson
    item.lesson = compared


def _gist(run: Trajectory) -> Gist:
    return gist_of(text_of(run.task), [step.action for step in run.steps])
