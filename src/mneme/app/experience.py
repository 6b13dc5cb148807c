"""The verbs of experience: learning from runs of an agent, and advice for the next one."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.core.moments import optional_us
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.ingest.experience import Learner, Pruned, Told, prune
from mneme.ingest.lesson_writer import LessonWriter
from mneme.memories.plaintext.experience.reading import trajectory_of
from mneme.recall import advice as advising
from mneme.recall import asking
from mneme.recall.advice import Advice
from mneme.vault.codec import cube_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mneme.app.shared import Shared
    from mneme.core.cube import MemCube

    Moment = datetime | str | None

_OUTCOMES: Mapping[str, float] = {"success": 1.0, "failure": 0.0}


class ExperienceVerbs:
    """What a namespace learns from runs. A part of `Namespace`."""

    path: str
    _shared: Shared

    @strict
    def learn(
        self,
        trajectory: object,
        *,
        outcome: str | float = "success",
        task: str | None = None,
        session: str | None = None,
        at: Moment = None,
        advice: object = None,
        idempotency_key: str | None = None,
    ) -> list[MemCube]:
        """Keep a run of an agent and what is to be learned from it; durable on return.

        Args:
            trajectory: A list of steps `{"action", "observation"?, "thought"?, "error"?}`, where an
                action is a text or `{"name", "arguments"}`; or chat messages with tool calls; or a
                mapping with `steps` or `messages`, and perhaps `task`.
            outcome: "success", "failure", or a number from 0 to 1.
            task: What was to be done; else what the trajectory says, or its first user message.
            session: Which session it belongs to.
            at: When it ended.
            advice: What the run was told of, as `advise` gave it, or ids: its outcome counts for
                each of them.
            idempotency_key: Names this request, so that its repetition writes nothing.

        Returns:
            The run, verbatim, then the procedures and lessons that are new or were refined.

        Raises:
            InvalidInputError: The trajectory is malformed; the message names the step.
        """
        limits, parts = self._shared.limits, self._shared.vault.parts
        told = Told(
            run=trajectory_of(trajectory, _task_of(task)),
            outcome=_outcome_of(outcome),
            session=checks.name_of(session, name="session"),
            at=optional_us(at, limits.zone, name="at"),
            key=checks.name_of(idempotency_key, name="idempotency_key"),
            advised=_advised(advice),
            most_bytes=limits.turn_bytes,
        )
        model = self._shared.model
        learner = Learner(self._shared.vault, None if model is None else LessonWriter(model))
        written = learner.learn(self.path, told)
        self._shared.wake()
        with parts.store.read() as tx:
            uses = [tx.ledger.uses(row.key) for row, _ in written]
        return [
            cube_of(row, self.path, text, used)
            for (row, text), used in zip(written, uses, strict=True)
        ]

    @strict
    def advise(self, task: str, *, limit: int = 5, budget_tokens: int | None = None) -> Advice:
        """What worked and what failed in runs of like tasks, ready for a prompt."""
        vault, searcher = self._shared.vault, self._shared.searcher
        now = vault.parts.clock.now_us()
        given = {"query": task, "limit": limit, "types": advising.TYPES}
        asked = asking.asked_of(given, self._shared.limits.zone, now)
        budget = None if budget_tokens is None else asking.budget_of(budget_tokens)
        found = advising.advise(searcher, searcher.counter, self.path, asked, budget)
        ids = [hit.cube.id for hit in found.hits]
        self._shared.usage.count(vault.lives.keys_of(self.path, ids))
        return found

    @strict
    def prune_experience(self, *, dry_run: bool = False) -> list[Pruned]:
        """Archive procedures and lessons that did not help; `activate` brings one back.

        Args:
            dry_run: Only say which.
        """
        now = self._shared.vault.parts.clock.now_us()
        dry = checks.flag_of(dry_run, name="dry_run")
        return prune(self._shared.vault, self.path, now=now, dry_run=dry)


def _task_of(value: object) -> str | None:
    if value is None:
        return None
    return checks.text_of(value, name="task", max_bytes=32_768)


def _outcome_of(value: object) -> float:
    if isinstance(value, str) and value in _OUTCOMES:
        return _OUTCOMES[value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or not 0 <= value <= 1:  # type: ignore[arg-type,operator]
        raise InvalidInputError(
            f"outcome takes 'success', 'failure' or a number from 0 to 1, not {value!r:.80}"
        )
    return float(value)  # type: ignore[arg-type]


def _advised(value: object) -> tuple[str, ...]:
    """Ids of what a run was told of."""
    if value is None:
        return ()
    if isinstance(value, Advice):
        value = value.hits
    return tuple(checks.ids_of(list(asking.ids_of(value))))
