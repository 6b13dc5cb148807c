"""Consolidation of a namespace: one run, unit by unit.

A unit is one session, one group of near-repeats, some profiles or notes, all links, or one cube to
be archived. Each is planned from a look at the store, and made in one transaction that first checks
that what it was planned from is still so. Nothing is destroyed: what users wrote stays as it is;
derived cubes are added, rewritten as new versions, merged or archived. Whoever comes second, after
a crash or at the same time, finds the first one's cubes in their slots and leaves them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from mneme.transform import fading, near_repeats, notes, profile, sessions
from mneme.transform.ground import Look, by_session, look, metadata_of, said_at
from mneme.transform.plans import at_slot, bring_about, is_there, retire
from mneme.transform.report import ConsolidationReport, Fading, Rules, Undone
from mneme.transform.runs import CONSOLIDATE, OPEN, Place, Runs, Unit
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from mneme.core.protocols import LanguageModel
    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.transform.plans import Plan
    from mneme.vault.vault import Vault

FindIn = Callable[[str, str, str, int], Sequence[str]]  # namespace, text, type, how many -> ids

_AGAIN_US = 120_000_000  # after which another process may finish a run
_PLANS_AT_ONCE = 20


class _Overtaken(Exception):  # noqa: N818 (no error: somebody undid or finished the run)
    """The run that this work belongs to is no longer open."""


class Sleep:
    """Consolidates namespaces of a vault.

    Args:
        vault: Where they are.
        find: Searches for a text among derived cubes of a type.
        model: Writes summaries where there is one; they are checked.
    """

    def __init__(self, vault: Vault, find: FindIn, model: LanguageModel | None = None) -> None:
        self._vault, self._find, self._model = vault, find, model
        self.runs = Runs(vault)

    def run(
        self, path: str, rules: Rules, *, payload: str, keep_on: Callable[[], bool] = lambda: True
    ) -> ConsolidationReport:
        """Do all that is to be done, going on with an unfinished run.

        Args:
            path: The namespace.
            rules: What is due.
            payload: Of the job that finishes the run, should this process end before.
            keep_on: Asked before each unit; False ends the work early.
        """
        work = _Work(self._vault, self.runs, path, payload)
        night = _Night(self._vault, path, rules, self._find, self._model, work)
        try:
            finished = all(keep_on() for _ in night.units())
        except _Overtaken:
            finished = False
        if finished:
            work.close()
        return night.report(finished=finished)

    def preview(self, path: str, rules: Rules) -> ConsolidationReport:
        """What `run` would do; nothing is changed, and no language model is asked."""
        night = _Night(self._vault, path, rules, self._find, None, None)
        for _ in night.units():
            pass
        return night.report(finished=True)

    def undo(self, path: str, run_id: str) -> Undone:
        """Turn a run back."""
        turned, kept = self.runs.undo(path, run_id)
        with self._vault.parts.store.write() as tx:
            tx.ledger.drop_waiting(job_name(path))
        return Undone(turned, tuple(kept))


class _Work:
    """Transactions of one run, which begins with the first that changes something."""

    def __init__(self, vault: Vault, runs: Runs, path: str, payload: str) -> None:
        self._vault, self._runs, self._path, self._payload = vault, runs, path, payload
        self.run_id: str | None = None

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """One transaction, with the record of what it changed."""
        with self._vault.parts.store.write() as tx:
            place = Place(tx, self._path, tx.cubes.touch_namespace(self._path))
            if self.run_id is None:
                self.run_id = self._runs.open(place).id
                due = self._vault.parts.clock.now_us() + _AGAIN_US
                tx.ledger.enqueue(CONSOLIDATE, job_name(self._path), self._payload, due)
            elif not any(
                run.id == self.run_id and run.state == OPEN
                for run in self._runs.all(tx, place.namespace)
            ):
                raise _Overtaken
            unit = Unit(self._vault, place, self.run_id)
            yield unit
            self._runs.commit(unit)

    def close(self) -> None:
        """Mark the run as finished, also one that another process left open."""
        with self._vault.parts.store.read() as tx:
            known = tx.cubes.namespace(self._path)
            runs = self._runs.all(tx, known) if known is not None else []
        if not runs or runs[-1].state != OPEN:
            return
        with self._vault.parts.store.write() as tx:
            place = Place(tx, self._path, tx.cubes.touch_namespace(self._path))
            self.run_id = self.run_id or runs[-1].id
            self._runs.close(place, self.run_id)
            tx.ledger.drop_waiting(job_name(self._path))


class _Night:
    """The units of one consolidation, one after another; made only where there is `work`."""

    def __init__(
        self,
        vault: Vault,
        path: str,
        rules: Rules,
        find: FindIn,
        model: LanguageModel | None,
        work: _Work | None,
    ) -> None:
        self._vault, self._path, self._rules = vault, path, rules
        self._find, self._model, self._work = find, model, work
        self._secret = vault.parts.secret
        self._done: Counter[str] = Counter()
        self._dropped: list[str] = []
        self._refused: list[tuple[str, str]] = []
        self._fading: list[Fading] = []

    def units(self) -> Iterator[None]:
        """Do one unit after another."""
        yield from self._sessions()
        yield from self._repeats()
        seen = self._look()
        if seen is None:
            return
        with self._vault.parts.store.read() as tx:
            least = self._rules.least_statements
            profiles = profile.plans_of(tx, seen, self._secret, least=least)
            noted = notes.plans_of(tx, seen, self._secret, least=self._rules.least_mentions)
        yield from self._outdated(seen, profiles)
        yield from self._plans(profiles)
        yield from self._plans(noted)
        yield from self._links(noted)
        yield from self._fade()

    def report(self, *, finished: bool) -> ConsolidationReport:
        """What was done."""
        return ConsolidationReport(
            run_id=None if self._work is None else self._work.run_id,
            finished=finished,
            done=dict(sorted(self._done.items())),
            dropped=tuple(self._dropped),
            refused=tuple(self._refused),
            fading=tuple(self._fading),
        )

    # -- kinds of units

    def _sessions(self) -> Iterator[None]:
        seen = self._look()
        if seen is None:
            return
        now = self._vault.parts.clock.now_us()
        for name, turns in by_session(seen.turns).items():
            enough = len(turns) >= self._rules.fewest_turns
            if not enough or not self._rules.is_quiet(max(map(said_at, turns)), now):
                continue
            if self._is_summed_up(name, turns, seen):
                continue
            with self._vault.parts.store.read() as tx:
                read = sessions.read_session(tx, name, turns, seen, self._secret)
            written = None
            if self._model is not None and len(turns) >= self._rules.fewest_for_model:
                written = sessions.write_summary(self._model, read)
                if written.refused is not None:
                    self._refused.append((name, written.refused))
            plans = sessions.plans_of(read, seen, self._secret, written)
            self._bring_about(plans, read.turns)
            yield

    def _repeats(self) -> Iterator[None]:
        seen = self._look()
        if seen is None:
            return
        with self._vault.parts.store.read() as tx:
            groups = near_repeats.groups_of(tx, seen.derived)
        safe, unsafe = near_repeats.findable(groups, partial(self._find, self._path))
        self._dropped += [_not_found(group.kept.id) for group in unsafe]
        for group in safe:
            merged = True
            if self._work is not None:
                with self._work.unit() as unit:
                    merged = near_repeats.merge(unit, group)
            self._done[f"{group.kept.type} merged"] += len(group.others) if merged else 0
            yield

    def _outdated(self, seen: Look, profiles: Sequence[Plan]) -> Iterator[None]:
        """Archive the profiles of subjects of which too little is known by now."""
        wanted = {plan.slot for plan in profiles}
        first = profile.profile_slot("")
        old = [
            row
            for row in seen.derived
            if str(slot := metadata_of(row).get("slot")).startswith(first) and slot not in wanted
        ]
        for row in old:
            if self._work is not None:
                with self._work.unit() as unit:
                    if unit.place.tx.cubes.current_of_keys(
                        unit.place.namespace.number, [row.key]
                    ) == [row]:
                        retire(unit, row)
            self._done["profile archived"] += 1
            yield

    def _plans(self, plans: Sequence[Plan]) -> Iterator[None]:
        with self._vault.parts.store.read() as tx:
            place = self._reading(tx)
            due = [p for p in plans if place is None or not is_there(place, p, self._secret)]
        for start in range(0, len(due), _PLANS_AT_ONCE):
            self._bring_about(due[start : start + _PLANS_AT_ONCE], ())
            yield

    def _links(self, plans: Sequence[Plan]) -> Iterator[None]:
        if self._work is None or not plans:
            return
        with self._vault.parts.store.read() as tx:
            place = self._reading(tx)
            stale = place is not None and notes.needs_links(place, plans, self._secret)
        if stale:
            with self._work.unit() as unit:
                self._done["note linked"] += notes.link_notes(unit, plans, self._secret)
            yield

    def _fade(self) -> Iterator[None]:
        seen = self._look()
        if seen is None:
            return
        now = self._vault.parts.clock.now_us()
        with self._vault.parts.store.read() as tx:
            worths = fading.worths_of(tx, seen.derived)
        for worth in worths:
            why = self._rules.gives_up(worth, now)
            if why is None:
                continue
            self._fading.append(Fading(worth.row.id, why))
            if self._rules.archive and self._stands_in(worth):
                archived = True
                if self._work is not None:
                    with self._work.unit() as unit:
                        archived = fading.archive(unit, worth)
                self._done[f"{worth.row.type} archived"] += archived
                yield

    # -- within

    def _stands_in(self, worth: fading.Worth) -> bool:
        """Whether a search for what shall be archived finds the one that says the same."""
        if worth.twin is None:  # it sums up what users wrote, and that stays
            return True
        with self._vault.parts.store.read() as tx:
            text = tx.cubes.body(worth.row.key, worth.row.text_version)[0]
        group = near_repeats.Group(worth.twin, (worth.row,), (text,))
        safe, unsafe = near_repeats.findable([group], partial(self._find, self._path))
        self._dropped += [_not_found(worth.twin.id) for _ in unsafe]
        return bool(safe)

    def _look(self) -> Look | None:
        """The namespace as it is now; None where nothing was ever written."""
        now = self._vault.parts.clock.now_us()
        with self._vault.finder.indexes(self._path) as found:
            claims = found.claims
            with self._vault.parts.store.read() as tx:
                known = tx.cubes.namespace(self._path)
                if known is None:
                    return None
                seen = look(tx, known, {}, now)
            spans = {row.key: claims.closed_spans(row.key, now) for row in seen.turns}
        return seen._replace(closed={key: each for key, each in spans.items() if each})

    def _is_summed_up(self, name: str, turns: Sequence[VersionRow], seen: Look) -> bool:
        digest = sessions.session_digest(turns, seen, self._secret)
        with self._vault.parts.store.read() as tx:
            place = self._reading(tx)
            rows = at_slot(place, sessions.session_slot(name), self._secret) if place else []
        return any(metadata_of(row).get("digest") == digest for row in rows)

    def _bring_about(self, plans: Sequence[Plan], turns: Sequence[VersionRow]) -> None:
        """Make some cubes in one transaction, if the turns that they are made of are unchanged."""
        if self._work is None:
            self._count(plans)
            return
        with self._work.unit() as unit:
            tx, number = unit.place.tx, unit.place.namespace.number
            if tx.cubes.current_of_keys(number, [row.key for row in turns]) != list(turns):
                return
            for plan in plans:
                stale = self._left_over(unit.place, plan)
                outcome = bring_about(unit, plan, self._vault.parts)
                if outcome != "same":
                    self._done[f"{plan.type} {outcome}"] += 1
                for row in stale:
                    self._done[f"{row.type} archived"] += retire(unit, row)

    def _left_over(self, place: Place, plan: Plan) -> list[VersionRow]:
        """The episodes that a session was cut into before and is no longer."""
        wanted = plan.more.get("episodes")
        if not isinstance(wanted, list):
            return []
        slots = {
            slot
            for row in at_slot(place, plan.slot, self._secret)
            for slot in metadata_of(row).get("episodes", [])
        }
        left = sorted(slots - set(wanted))
        return [row for slot in left for row in at_slot(place, slot, self._secret)]

    def _count(self, plans: Sequence[Plan]) -> None:
        with self._vault.parts.store.read() as tx:
            place = self._reading(tx)
            for plan in plans:
                known = place is not None and at_slot(place, plan.slot, self._secret)
                if place is None or not is_there(place, plan, self._secret):
                    self._done[f"{plan.type} {'rewritten' if known else 'made'}"] += 1

    def _reading(self, tx: Transaction) -> Place | None:
        known: Namespace | None = tx.cubes.namespace(self._path)
        return None if known is None else Place(tx, self._path, known)


def _not_found(cube_id: str) -> str:
    return f"a search for what {cube_id} would stand for does not find it; nothing was changed"


def job_name(path: str) -> str:
    """The unique name of the job that consolidates a namespace."""
    return f"{CONSOLIDATE} {path}"


def payload_of(path: str, quiet_s: float, *, archive: bool) -> str:
    """What the job is told."""
    return canonical_json({"namespace": path, "quiet_s": quiet_s, "archive": archive})
