"""Read the turns that were heard, in order, and write what they say.

Two stages: rules read every turn soon after it was said; where there is a language model, it reads
them again in batches, so that a call serves many turns. Each batch is one transaction: derived
cubes, changed validity and the removal from the queue are durable together, or not at all, so that
a crash loses nothing and repeats nothing.
"""

from __future__ import annotations

import json
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import BackendUnavailableError, StoreFullError, UnfitAnswerError
from mneme.core.statement import Reading, Utterance
from mneme.ingest.extract import rules
from mneme.ingest.extract.by_llm import read_with_llm
from mneme.ingest.obey import Obedience
from mneme.ingest.reconcile import Place, Reconciler, Turn
from mneme.vault.codec import sources_of
from mneme.vault.marks import ECHO
from mneme.vault.write import RULES, RULES_LLM, SOURCE, enqueue_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.protocols import LanguageModel
    from mneme.core.rows import JobRow
    from mneme.core.store import Transaction
    from mneme.vault.vault import Vault

    Readings = Callable[[Sequence[Turn], Sequence[Sequence[Turn]]], list[Reading]]

LLM = "llm"  # the stage at which turns wait to be read by a language model
LLM_NOW = "llm_now"  # the same, and nobody shall wait for more turns
_BY_RULES = {RULES: LLM, RULES_LLM: LLM_NOW}  # where turns go from there
_TRIES = 3  # of a batch, before its turns are read one by one
_BATCH = 128
_MOST_AT_ONCE = 500  # statements, but for a turn that has more
_BEFORE = 4  # earlier turns of the session that a reading may look at
_HIDDEN = frozenset({"forgotten", "expired"})


class Patience(NamedTuple):
    """When a language model is asked.

    Attributes:
        turns: As soon as so many turns wait; also the most that one call reads.
        idle_us: Or when nothing was said for so long, in microseconds.
    """

    turns: int = 40
    idle_us: int = 6 * 3600 * 1_000_000


class Listener:
    """Runs the job that reads what was heard in a namespace."""

    def __init__(
        self,
        vault: Vault,
        *,
        model: LanguageModel | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._vault, self._model = vault, model
        self._patience = patience or Patience()
        self._reconciler, self._obedience = Reconciler(vault), Obedience(vault)

    def run(self, job: JobRow, keep_on: Callable[[], bool] = bool) -> None:
        """Read all that waits in the namespace of a job."""
        path = json.loads(job.payload)["namespace"]
        for stage in (RULES, RULES_LLM):
            while self._read(path, stage, rules_readings, None):
                keep_on()
        if self._model is not None:
            ask = _asking(self._model)
            self._ask(path, _one_by_one(ask) if job.tries > _TRIES else ask, keep_on)

    def catch_up(self, path: str, most_s: float) -> None:
        """Read by rules what waits in a namespace now, for about so many seconds at most.

        A store that is full or busy is left alone: the job goes on later.
        """
        end = monotonic() + most_s
        try:
            for stage in _BY_RULES:
                while monotonic() < end and self._read(path, stage, rules_readings, None):
                    pass
        except (StoreFullError, BackendUnavailableError):
            return

    def _ask(self, path: str, ask: Readings, keep_on: Callable[[], bool]) -> None:
        """Have the model read what waits for it, if it is enough or has waited long enough."""
        while due := self._due(path):
            if due > self._vault.parts.clock.now_us():
                with self._vault.parts.store.write() as tx:
                    enqueue_reading(tx, path, due)
                return
            for stage in (LLM_NOW, LLM):
                self._read(path, stage, ask, self._model.id if self._model else None)
            keep_on()

    def _due(self, path: str) -> int | None:
        """When the model is to be asked next; None if nothing waits for it."""
        with self._vault.parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            if known is None:
                return None
            if tx.written.heard_count(LLM_NOW, known.number):
                return 1
            newest = tx.written.heard_since(known.number, LLM)
            if newest is None:
                return None
            enough = tx.written.heard_count(LLM, known.number) >= self._patience.turns
            return 1 if enough else newest + self._patience.idle_us

    def _read(self, path: str, stage: str, read: Readings, model: str | None) -> bool:
        """Read one batch of a stage; False if nothing waits there."""
        most = _BATCH if stage in _BY_RULES else self._patience.turns
        with self._vault.parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            keys = tx.written.heard(known.number, stage, most) if known else []
            turns = _turns(tx, known.number, keys) if known else []
            before = [_before(tx, known.number, turn) for turn in turns] if known else []
        if not keys:
            return False
        readings = read(turns, before)
        known_keys = {turn.row.key for turn in turns}
        turns = turns[: _as_many(readings)]
        with self._vault.parts.store.write() as tx:
            namespace = tx.cubes.touch_namespace(path)
            place = Place(tx, path, namespace)
            waiting = set(tx.written.heard(namespace.number, stage, most))
            batch = [
                _Heard(turn, reading, earlier)
                for turn, reading, earlier in zip(turns, readings, before, strict=False)
                if turn.row.key in waiting and _is_as_read(place, turn)
            ]
            self._write(place, batch, stage, model)
            gone = set(keys) - known_keys
            done = [heard.turn.row.key for heard in batch]
            tx.written.unhear([*done, *gone])
            if stage in _BY_RULES and self._model is not None:
                after, now = _BY_RULES[stage], self._vault.parts.clock.now_us()
                tx.written.hear(namespace.number, done, after, now)
        return True

    def _write(self, place: Place, batch: Sequence[_Heard], stage: str, model: str | None) -> None:
        by_rules = stage in _BY_RULES
        known = place.tx.written.marks(place.namespace.number, ECHO) if by_rules else set()
        for turn, reading, earlier in batch:
            self._forget_stale(place, turn)
            self._reconciler.take(place, turn, reading, model)
            if not by_rules:
                continue  # rules did the rest
            known |= self._reconciler.echo_marks(reading)
            if known:
                self._reconciler.echoes(place, turn, known)
            last = next((t for t in reversed(earlier) if t.row.role == turn.row.role), None)
            for request in reading.requests:
                self._obedience.obey(place, turn, request, last)

    def _forget_stale(self, place: Place, turn: Turn) -> None:
        """Hide what was taken from an older text of the turn."""
        children = place.tx.ledger.children(turn.row.key, SOURCE)
        for row in place.tx.cubes.current_of_keys(place.namespace.number, children):
            spans = [span for span in sources_of(row) if span.cube_id == turn.row.id]
            stale = spans and not any(_is_current(place, turn, span.version) for span in spans)
            if row.method == "extracted" and stale and row.state not in _HIDDEN:
                self._vault.lives.hide(place.tx, place.path, place.namespace, row, set())


class _Heard(NamedTuple):
    """A turn, what it says, and what was said before it."""

    turn: Turn
    reading: Reading
    earlier: Sequence[Turn]


def _as_many(readings: Sequence[Reading]) -> int:
    """How many turns one transaction takes: others wait for the store while it writes."""
    statements = 0
    for number, reading in enumerate(readings):
        statements += len(reading.statements)
        if number and statements > _MOST_AT_ONCE:
            return number
    return len(readings)


def rules_readings(turns: Sequence[Turn], before: Sequence[Sequence[Turn]]) -> list[Reading]:
    """What rules make of turns."""
    return [
        rules.read(_utterance(turn), [_utterance(each) for each in earlier])
        for turn, earlier in zip(turns, before, strict=True)
    ]


def _asking(model: LanguageModel) -> Readings:
    def read(turns: Sequence[Turn], before: Sequence[Sequence[Turn]]) -> list[Reading]:
        same = len({turn.row.session for turn in turns}) == 1
        earlier = [_utterance(each) for each in before[0]] if same else []
        return list(read_with_llm(model, [_utterance(turn) for turn in turns], before=earlier))

    return read


def _one_by_one(ask: Readings) -> Readings:
    """Read turns singly; one to which no model finds an answer stays with what rules read."""

    def read(turns: Sequence[Turn], before: Sequence[Sequence[Turn]]) -> list[Reading]:
        readings = []
        for turn, earlier in zip(turns, before, strict=True):
            try:
                readings += ask([turn], [earlier])
            except UnfitAnswerError:
                readings.append(Reading())
        return readings

    return read


def _turns(tx: Transaction, ns: int, keys: Sequence[int]) -> list[Turn]:
    """The readable turns behind keys."""
    rows = tx.cubes.current_of_keys(ns, keys)
    return [
        Turn(row, tx.cubes.body(row.key, row.text_version)[0])
        for row in rows
        if row.state not in _HIDDEN
    ]


def _before(tx: Transaction, ns: int, turn: Turn) -> list[Turn]:
    return _turns(tx, ns, tx.written.said_before(ns, turn.row.session, turn.row.key, _BEFORE))


def _is_as_read(place: Place, turn: Turn) -> bool:
    rows = place.tx.cubes.current_of_keys(place.namespace.number, [turn.row.key])
    return bool(rows) and rows[0].text_version == turn.row.text_version


def _is_current(place: Place, turn: Turn, version: int) -> bool:
    """Whether an older version of a turn has the text that it has now."""
    if version >= turn.row.text_version == turn.row.version:
        return True
    found = place.tx.cubes.version_at(turn.row.key, version)
    return found is not None and found[1].text_version == turn.row.text_version


def _utterance(turn: Turn) -> Utterance:
    row = turn.row
    return Utterance(id=row.id, text=turn.text, role=row.role, speaker=row.speaker, at=turn.at)
