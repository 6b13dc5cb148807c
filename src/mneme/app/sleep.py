"""The verbs of sleep on a namespace, and what the scheduler is given to do it with."""

from __future__ import annotations

import json
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.core.strict import strict
from mneme.core.tokens import EstimatedCounter
from mneme.ingest import checks
from mneme.recall import asking
from mneme.recall.search import Searcher
from mneme.schedule.policies import consolidation, forgetting
from mneme.transform.report import ConsolidationReport, Rules, Undone
from mneme.transform.runs import CONSOLIDATE, Run
from mneme.transform.sleep import Sleep, job_name, payload_of
from mneme.transform.written import keep_summary, related_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.shared import Shared
    from mneme.core.cube import MemCube
    from mneme.core.protocols import LanguageModel
    from mneme.core.rows import JobRow
    from mneme.transform.fading import Worth
    from mneme.vault.vault import Vault

_LONGEST_QUIET_S = 10 * 365 * 86_400.0


class SleepVerbs:
    """Consolidation: what is tidied up while nobody waits, and how it is undone."""

    path: str
    _shared: Shared

    @strict
    def consolidate(
        self,
        *,
        dry_run: bool = False,
        wait: bool = True,
        archive: bool = False,
        quiet_s: float = consolidation.QUIET_S,
    ) -> ConsolidationReport:
        """Sum up sessions that are over, keep profiles and notes, merge near-repeats.

        Nothing is destroyed, and `undo` turns it back. A run that a crash interrupts is finished by
        whoever opens the store next.

        Args:
            dry_run: Only say what would be done.
            wait: Whether to do it now; else a job does.
            archive: Whether to archive derived cubes that the forgetting curve gives up.
            quiet_s: Seconds since its last turn after which a session is over.
        """
        quiet_s, archive = _quiet_of(quiet_s), checks.flag_of(archive, name="archive")
        vault, rules = self._shared.vault, rules_of(quiet_s, archive=archive)
        sleep = sleep_of(vault, self._shared.model)
        if checks.flag_of(dry_run, name="dry_run"):
            return sleep.preview(self.path, rules)
        payload = payload_of(self.path, quiet_s, archive=archive)
        if checks.flag_of(wait, name="wait"):
            self._shared.usage.flush()
            report = sleep.run(self.path, rules, payload=payload)
            self._shared.wake()
            return report
        with vault.parts.store.write() as tx:
            tx.ledger.enqueue(CONSOLIDATE, job_name(self.path), payload, vault.parts.clock.now_us())
        self._shared.wake()
        return ConsolidationReport(finished=False)

    @strict
    def undo(self, run_id: str) -> Undone:
        """Turn a consolidation back; what was changed since then is left alone and named.

        Raises:
            InvalidInputError: There is no such run, it was undone, or a later one has to be first.
        """
        sleep = sleep_of(self._shared.vault)
        return sleep.undo(self.path, checks.id_of(run_id))

    @strict
    def consolidations(self) -> Sequence[Run]:
        """The runs of consolidation, oldest first."""
        vault = self._shared.vault
        with vault.parts.store.read() as tx:
            known = tx.cubes.namespace(self.path)
            sleep = sleep_of(vault)
            return tuple(sleep.runs.all(tx, known)) if known is not None else ()

    @strict
    def summarise(self, text: str, *, of: str | Sequence[str]) -> MemCube:
        """Keep a summary that the caller wrote of some cubes, if they support it.

        Raises:
            GateFailedError: A sentence of it is not covered by them or contradicts them; nothing
                was kept.
        """
        limit = self._shared.limits.turn_bytes
        checked = checks.text_of(text, name="text", max_bytes=limit)
        return keep_summary(self._shared.vault, self.path, checked, checks.ids_of(of))

    @strict
    def related(self, id: str) -> Sequence[MemCube]:  # noqa: A002 (as everywhere)
        """The notes that a note is linked with, by names in common and by likeness."""
        return related_to(self._shared.vault, self.path, checks.id_of(id))


def rules_of(quiet_s: float = consolidation.QUIET_S, *, archive: bool = False) -> Rules:
    """What is due for consolidation."""
    return Rules(
        is_quiet=partial(consolidation.is_quiet, quiet_s=quiet_s),
        fewest_turns=consolidation.FEWEST_TURNS,
        fewest_for_model=consolidation.FEWEST_FOR_MODEL,
        least_statements=consolidation.LEAST_STATEMENTS,
        least_mentions=consolidation.LEAST_MENTIONS,
        gives_up=_gives_up,
        archive=archive,
    )


def sleep_of(vault: Vault, model: LanguageModel | None = None) -> Sleep:
    """Consolidation with the search that proves that nothing is lost."""
    searcher = Searcher(vault, EstimatedCounter())

    def find(path: str, text: str, type_: str, limit: int) -> list[str]:
        given = {"query": text, "types": [type_], "limit": limit}
        asked = asking.asked_of(given, UTC, vault.parts.clock.now_us())
        return [hit.cube.id for hit in searcher.search(path, asked)]

    return Sleep(vault, find, model)


def consolidating(
    vault: Vault, model: LanguageModel | None, keep_on: Callable[[JobRow], bool]
) -> Callable[[JobRow], None]:
    """The handler of jobs of the kind `transform.runs.CONSOLIDATE`."""
    sleep = sleep_of(vault, model)

    def consolidate(job: JobRow) -> None:
        told = json.loads(job.payload)
        rules = rules_of(told["quiet_s"], archive=told["archive"])
        sleep.run(told["namespace"], rules, payload=job.payload, keep_on=lambda: keep_on(job))

    return consolidate


def _gives_up(worth: Worth, now: int) -> str | None:
    row = worth.row
    known = forgetting.Known(
        row.id, row.type, worth.uses, worth.utility, row.priority, worth.links, worth.unique,
        worth.used_at, bool(row.hold),
    )  # fmt: skip
    verdict = forgetting.judge(known, now)
    return verdict.why if verdict.archive else None


def _quiet_of(value: object) -> float:
    seconds = checks.seconds_of(value, name="quiet_s")
    if seconds is None or seconds > _LONGEST_QUIET_S:
        raise InvalidInputError(f"quiet_s takes seconds from 0 to {_LONGEST_QUIET_S:.0f}")
    return seconds
