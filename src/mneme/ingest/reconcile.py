"""Bring what a turn says together with what is known: add, supersede, merge, or keep both.

Nothing is deleted. Of a slot that holds one thing at a time, the older fact gets an end to the time
in which it holds; the same thing said again becomes another source of the same fact; what a speaker
does not vouch for stands beside what is known and ends nothing. Facts are ordered by when they
began to hold, not by when they were heard: old news fills in the past.

All of it happens within the transaction of the caller.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.provenance import SourceSpan
from mneme.ingest.extract.rules import slot_of
from mneme.vault.bonds import SUPERSEDES
from mneme.vault.codec import canonical_json, sources_json, sources_of
from mneme.vault.draft import Draft
from mneme.vault.marks import (
    DERIVED,
    ECHO,
    ECHO_WORDS,
    SAID,
    SLOT,
    WORD,
    mark_of,
    said_as,
    words_of,
)
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.statement import Reading, Statement
    from mneme.core.store import Transaction
    from mneme.vault.vault import Vault

_MOST_STATEMENTS = 5000  # of one turn
_MOST_SPANS = 8  # sources that a fact names; further ones are linked without a span
_HIDDEN = frozenset({"forgotten", "expired"})


class Turn(NamedTuple):
    """A turn that was read."""

    row: VersionRow
    text: str

    @property
    def at(self) -> int:
        """When it was said, or else recorded."""
        return self.row.event_at if self.row.event_at is not None else self.row.recorded_at

    def span(self, start: int, end: int) -> SourceSpan:
        """Some of its characters as a source."""
        return SourceSpan(cube_id=self.row.id, version=self.row.version, start=start, end=end)


class Place(NamedTuple):
    """Where a reconciliation happens: a namespace within a transaction."""

    tx: Transaction
    path: str
    namespace: Namespace


class Reconciler:
    """Turns statements into facts, one turn after another."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._secret = vault.parts.secret

    def take(self, place: Place, turn: Turn, reading: Reading, model: str | None = None) -> None:
        """Write what a turn says; of a list without end the first few thousand lines."""
        for statement in reading.statements[:_MOST_STATEMENTS]:
            self._take(place, turn, statement, model)

    def _take(self, place: Place, turn: Turn, said: Statement, model: str | None) -> None:
        slot = slot_in(turn, said)
        rivals = self._open(place, slot)
        same = self._same(place, turn, said, rivals)
        if same is not None:
            self._add_source(place, same, turn.span(said.start, said.end), turn.row.key)
            return
        if said.ends:
            rivals = [row for row in rivals if _fits(said, row)]
        begins = turn.at if said.valid_from is None else said.valid_from
        if said.corrects and rivals:
            begins = min(_began(row) for row in rivals)
        heard = max(begins, turn.at)  # "I moved last month" ends what was said since
        older = [] if said.hedged else [r for r in rivals if _ends(said, r, heard)]
        until = said.valid_to
        if said.single and not said.hedged and any(_began(row) > heard for row in rivals):
            until, before = self._in_the_past(place, slot, begins)
            older = older or before
        kept = None if said.ends else slot  # that something ended fills no slot
        fact = self._write(place, turn, said, _Header(kept, begins, until, model, older, rivals))
        for row in older:
            ends = _began(row) if said.corrects else max(begins, _began(row))
            self._end(place, row, ends, fact.key)

    def echo_marks(self, reading: Reading) -> set[int]:
        """The marks of the objects of a reading that are long enough to be known again."""
        objects = [words_of(said.object or "") for said in reading.statements]
        starts = [" ".join(o[:ECHO_WORDS]) for o in objects if len(o) >= ECHO_WORDS]
        return {mark_of(ECHO, start, self._secret) for start in starts}

    def echoes(self, place: Place, turn: Turn, known: set[int]) -> None:
        """Note where a turn repeats the words of a known object: it goes when that fact goes.

        Args:
            place: Where.
            turn: The turn.
            known: The marks of all objects long enough to be known again.
        """
        words = [(m.start(), m.end(), m.group().casefold()) for m in WORD.finditer(turn.text)]
        for i in range(len(words) - ECHO_WORDS + 1):
            mark = mark_of(ECHO, " ".join(w for _, _, w in words[i : i + ECHO_WORDS]), self._secret)
            if mark in known:
                self._echo(place, turn, words[i:], mark)

    def _echo(
        self, place: Place, turn: Turn, words: Sequence[tuple[int, int, str]], mark: int
    ) -> None:
        keys = place.tx.written.marked(place.namespace.number, ECHO, mark)
        for row in place.tx.cubes.current_of_keys(place.namespace.number, keys):
            spelled = words_of(str(metadata_of(row).get("object")))
            if [word for _, _, word in words[: len(spelled)]] != spelled:
                continue
            span = turn.span(words[0][0], words[len(spelled) - 1][1])
            if not any(_within(span, s) for s in sources_of(row)):
                self._add_source(place, row, span, turn.row.key)

    def _same(
        self, place: Place, turn: Turn, said: Statement, rivals: Sequence[VersionRow]
    ) -> VersionRow | None:
        """The fact that says this already and still holds, by its slot or word for word."""
        if not said.ends:
            for row in rivals:
                facts = metadata_of(row)
                alike = _object(facts.get("object")) == _object(said.object)
                if alike and bool(facts.get("hedged")) == said.hedged:
                    return row
        mark = mark_of(SAID, said_as(said.type, said.text), self._secret)
        keys = place.tx.written.marked_open(place.namespace.number, SAID, mark)
        for row in reversed(place.tx.cubes.current_of_keys(place.namespace.number, keys)):
            # the same words without a name may be those of anybody, as where a memory is quoted
            ours = turn.row.speaker in {None, row.speaker}
            slot = None if said.ends else slot_of(said)
            if ours and _without_speaker(metadata_of(row).get("slot")) == slot:
                return row
        return None

    def _open(self, place: Place, slot: str | None) -> list[VersionRow]:
        """The facts of a slot that still hold."""
        if slot is None:
            return []
        number = place.namespace.number
        keys = place.tx.written.marked_open(number, SLOT, mark_of(SLOT, slot, self._secret))
        rows = place.tx.cubes.current_of_keys(number, keys)
        return [row for row in rows if metadata_of(row).get("slot") == slot]

    def _in_the_past(
        self, place: Place, slot: str | None, begins: int
    ) -> tuple[int | None, list[VersionRow]]:
        """For old news: when it ceased to hold, and the fact that it put an end to before that."""
        number = place.namespace.number
        keys = place.tx.written.marked(number, SLOT, mark_of(SLOT, slot or "", self._secret))
        rows = [
            row
            for row in place.tx.cubes.current_of_keys(number, keys)
            if metadata_of(row).get("slot") == slot
            and row.state not in _HIDDEN
            and not metadata_of(row).get("hedged")
        ]
        until = min((_began(row) for row in rows if _began(row) > begins), default=None)
        before = [row for row in rows if _began(row) <= begins]
        last = max(before, key=_began, default=None)
        ends = last is not None and (last.valid_to is None or last.valid_to > begins)
        return until, [last] if ends and last is not None else []

    def _write(self, place: Place, turn: Turn, said: Statement, header: _Header) -> VersionRow:
        row = turn.row
        facts = {
            "subject": said.subject,
            "relation": said.relation,
            "object": said.object,
            "slot": header.slot,
            "single": said.single or None,
            "hedged": said.hedged or None,
            "supersedes": [older.id for older in header.older] or None,
            "conflicts_with": [rival.id for rival in header.rivals if said.hedged] or None,
        }
        draft = Draft(
            text=said.text, type=said.type, session=row.session, role=row.role,
            speaker=row.speaker, event_at=row.event_at, origin=DERIVED, method="extracted",
            metadata=canonical_json({k: v for k, v in facts.items() if v is not None}),
            trust=row.trust, labels=row.labels, expires_at=row.expires_at, model=header.model,
            valid_from=header.begins, valid_to=header.until,
            sources=(turn.span(said.start, said.end),),
        )  # fmt: skip
        return self._vault.writer.insert(place.tx, place.path, place.namespace, [draft])[0]

    def _end(self, place: Place, row: VersionRow, at: int, by: int) -> None:
        """Give a fact an end; what ended it is linked, so that the end goes when that goes."""
        ended = row._replace(valid_to=at)
        self._vault.lives.write(place.tx, place.path, place.namespace, ended, "supersede")
        place.tx.ledger.add_edges([(by, row.key, SUPERSEDES)])

    def _add_source(self, place: Place, row: VersionRow, span: SourceSpan, key: int) -> None:
        """Make a turn another source of a fact."""
        spans = sources_of(row)
        if any(_within(span, known) for known in spans):
            return
        place.tx.ledger.add_edges([(key, row.key, SOURCE)])
        if len(spans) < _MOST_SPANS:
            more = row._replace(sources=sources_json((*spans, span)))
            self._vault.lives.write(place.tx, place.path, place.namespace, more, "merge")
        else:
            place.tx.entries.mark_changed([row.key])


class _Header(NamedTuple):
    """What reconciliation found out about a new fact."""

    slot: str | None
    begins: int
    until: int | None
    model: str | None
    older: list[VersionRow]
    rivals: list[VersionRow]


def slot_in(turn: Turn, said: Statement) -> str | None:
    """The key of the slot, with the name of the speaker in what is said of oneself."""
    key = slot_of(said)
    if key is None:
        return None
    own = said.subject is not None and said.subject.casefold() == "user"
    return f"{turn.row.speaker.casefold()}\0{key}" if own and turn.row.speaker else key


def _without_speaker(slot: object) -> str | None:
    return None if slot is None else str(slot).rpartition("\0")[2]


def metadata_of(row: VersionRow) -> dict[str, object]:
    """Subject, relation, object, slot and the like of a derived cube."""
    found: dict[str, object] = json.loads(row.metadata) if row.metadata else {}
    return found


def _began(row: VersionRow) -> int:
    return row.recorded_at if row.valid_from is None else row.valid_from


def _ends(said: Statement, row: VersionRow, begins: int) -> bool:
    """Whether a statement puts an end to a fact of the same slot."""
    if not (said.single or said.ends or said.corrects):
        return False
    if metadata_of(row).get("single") is None and not said.ends and not said.corrects:
        return False
    return bool(metadata_of(row).get("hedged")) or said.corrects or _began(row) <= begins


def _fits(said: Statement, row: VersionRow) -> bool:
    """Whether what ends is this fact: the same object, where the statement names one."""
    if said.object is None:
        return True
    ended, known = _object(said.object), _object(metadata_of(row).get("object"))
    return set(ended) <= set(known) or set(known) <= set(ended)


def _object(value: object) -> list[str]:
    """The words of an object, for comparing two of them."""
    words = words_of(str(value or ""))
    return words or [str(value or "").strip()]


def _within(inner: SourceSpan, outer: SourceSpan) -> bool:
    same = inner.cube_id == outer.cube_id
    return same and outer.start <= inner.start and inner.end <= outer.end
