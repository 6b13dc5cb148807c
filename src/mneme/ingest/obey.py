"""Do what a speaker asks of the memory: forget, withhold, keep until, give back on request only.

What is asked in words is done with the verbs of the life cycle: nothing is erased, and `restore`
undoes it. Found is what the words surely mean, or nothing: hiding the wrong memory is worse than
hiding none. All of it happens within the transaction of the caller.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.statement import Statement, Utterance
from mneme.ingest.extract.rules import read
from mneme.ingest.reconcile import metadata_of, slot_in
from mneme.memories.plaintext.sentences import content_of
from mneme.vault.codec import canonical_json
from mneme.vault.draft import Draft
from mneme.vault.marks import DERIVED, GOVERNED, ON_REQUEST, SLOT, mark_of, words_of
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.core.rows import VersionRow
    from mneme.core.statement import Request
    from mneme.ingest.reconcile import Place, Turn
    from mneme.vault.vault import Vault

_CLAUSE = re.compile(r"(?:the fact )?that\s+(?=\S+\s+\S)", re.IGNORECASE)
_OWN = re.compile(r"(?:my|our)\s+", re.IGNORECASE)
_HIDDEN = frozenset({"forgotten", "expired"})
_NOTE = "Forgotten at the user's request: {}. It is not available for the current task."


class _Meant(NamedTuple):
    """A slot that is meant, and what fills it, where that is said."""

    slot: str
    object: str | None


class Obedience:
    """Carries out requests."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def obey(self, place: Place, turn: Turn, request: Request, before: Turn | None) -> None:
        """Do one request of a turn.

        Args:
            place: Where.
            turn: The turn that asks.
            request: What it asks.
            before: What the same speaker said before it in its session, if anything.
        """
        meant = self._meant(place, turn, request, before)
        if request.wish == "withhold":
            self._forget(place, meant or [turn.row])
        elif request.wish in {"forget", "retract"}:
            if request.about is not None and (request.value is not None or _states(request)):
                meant = [*meant, turn.row]  # the request itself repeats what is to be forgotten
            elif request.wish == "retract" and not place.tx.ledger.children(turn.row.key, SOURCE):
                meant = [*meant, turn.row]  # it says nothing but that something is over
            self._forget(place, meant)
            if request.wish == "forget" and not _states(request):
                self._note(place, turn, request, meant)
        elif request.wish == "until":
            rows = self._with_derived(place, meant or [turn.row])
            self._change(place, rows, expires_at=request.until)
        else:
            self._label(place, self._with_derived(place, meant or [turn.row]))

    def _meant(
        self, place: Place, turn: Turn, request: Request, before: Turn | None
    ) -> list[VersionRow]:
        if request.previous:
            return [] if before is None else [before.row]
        if request.about is None:
            return []
        facts = self._facts_about(place, turn, request)
        if request.value is not None:
            facts = [row for row in facts if _has_words(metadata_of(row), request.value)] or facts
        return [row for row in self._with_turns(place, facts) if row.key != turn.row.key]

    def _facts_about(self, place: Place, turn: Turn, request: Request) -> list[VersionRow]:
        """Facts whose subject, or subject and relation, are what the request names."""
        found = {
            row.key: row for meant in _named(turn, request) for row in self._said(place, meant)
        }
        wanted = set(content_of(request.about or ""))
        if not found and wanted and not _states(request):
            rows = (r for r in self._extracted(place) if wanted == _subject(metadata_of(r)))
            found = {row.key: row for row in rows}
        return [row for row in found.values() if row.state not in _HIDDEN]

    def _said(self, place: Place, meant: _Meant) -> list[VersionRow]:
        """The facts of a slot, of one object where one is named; those that ended, too."""
        number, secret = place.namespace.number, self._vault.parts.secret
        keys = place.tx.written.marked(number, SLOT, mark_of(SLOT, meant.slot, secret))
        rows = place.tx.cubes.current_of_keys(number, keys)
        return [
            row
            for row in rows
            if metadata_of(row).get("slot") == meant.slot
            and (meant.object is None or _has_words(metadata_of(row), meant.object))
        ]

    def _extracted(self, place: Place) -> Iterable[VersionRow]:
        claims = {claim.child for claim in place.tx.written.claims(place.namespace.number, 0)}
        return place.tx.cubes.current_of_keys(place.namespace.number, sorted(claims))

    def _with_turns(self, place: Place, facts: list[VersionRow]) -> list[VersionRow]:
        """Facts, in place of which their turns go where these say nothing else."""
        doomed = {row.key: row for row in facts}
        for fact in facts:
            parents = place.tx.ledger.parents(fact.key, SOURCE)
            for row in place.tx.cubes.current_of_keys(place.namespace.number, parents):
                said = place.tx.ledger.children(row.key, SOURCE)
                if row.state not in _HIDDEN and set(said) <= {f.key for f in facts}:
                    doomed[row.key] = row
        return list(doomed.values())

    def _with_derived(self, place: Place, rows: Iterable[VersionRow]) -> list[VersionRow]:
        """Cubes, and what was taken from them already."""
        found = {row.key: row for row in rows}
        for key in list(found):
            children = place.tx.ledger.children(key, SOURCE)
            for row in place.tx.cubes.current_of_keys(place.namespace.number, children):
                if row.state not in _HIDDEN:
                    found.setdefault(row.key, row)
        return list(found.values())

    def _forget(self, place: Place, rows: Iterable[VersionRow]) -> None:
        hidden: set[int] = set()
        for row in sorted(rows, key=lambda row: row.origin == DERIVED):  # sources take theirs along
            now = place.tx.cubes.current_of_keys(place.namespace.number, [row.key])[0]
            if now.state not in _HIDDEN and not now.hold:
                self._vault.lives.hide(place.tx, place.path, place.namespace, now, hidden)

    def _note(self, place: Place, turn: Turn, request: Request, meant: list[VersionRow]) -> None:
        """Keep that something was forgotten, by name and never by content."""
        if request.about is None or not meant:
            return
        text = _NOTE.format(request.about)
        metadata = canonical_json({"subject": request.about})
        draft = Draft(
            text=text, type="note", session=turn.row.session, role="system",
            event_at=turn.row.event_at, origin=DERIVED, method=GOVERNED, metadata=metadata,
            trust=turn.row.trust,
        )  # fmt: skip
        self._vault.writer.insert(place.tx, place.path, place.namespace, [draft])

    def _change(self, place: Place, rows: Iterable[VersionRow], **changes: object) -> None:
        for row in rows:
            now = place.tx.cubes.current_of_keys(place.namespace.number, [row.key])[0]
            changed = now._replace(**changes)  # type: ignore[arg-type]
            self._vault.lives.write(place.tx, place.path, place.namespace, changed, "update")

    def _label(self, place: Place, rows: Iterable[VersionRow]) -> None:
        for row in rows:
            labels = set(json.loads(row.labels)) if row.labels else set()
            self._change(place, [row], labels=canonical_json(sorted(labels | {ON_REQUEST})))


def _states(request: Request) -> bool:
    """Whether a request states what it means: "forget that I live in Oslo"."""
    return _CLAUSE.match(request.about or "") is not None


def _named(turn: Turn, request: Request) -> list[_Meant]:
    """The slots that a request names: "the door code", "my address", "that I live in Oslo"."""
    about = request.about or ""
    clause, own = _CLAUSE.match(about), _OWN.match(about)
    if clause is not None:
        said = Utterance(
            id=turn.row.id, text=about[clause.end() :], role="user", speaker=turn.row.speaker,
            at=turn.at,
        )  # fmt: skip
        statements = read(said).statements
    elif own is not None:
        rest = about[own.end() :]
        statements = (_statement(subject="user", relation=rest), _statement(rest, "is"))
    else:
        statements = (_statement(about, "is"),)
    slots = ((slot_in(turn, each), each.object) for each in statements)
    return [_Meant(slot, object_) for slot, object_ in slots if slot is not None]


def _statement(subject: str, relation: str) -> Statement:
    return Statement(type="fact", text="", start=0, end=0, subject=subject, relation=relation)


def _subject(facts: dict[str, object]) -> set[int]:
    return set(content_of(str(facts.get("subject") or "")))


def _has_words(facts: dict[str, object], value: str) -> bool:
    known, wanted = words_of(str(facts.get("object") or "")), words_of(value)
    return known[: len(wanted)] == wanted or wanted[: len(known)] == known
