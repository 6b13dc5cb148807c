"""Turns to notes, one for each name that recurs, and links between them.

In: turns. Out: plans of cubes of type `note`, each with the sentences that say most of a person,
place or thing, and the notes that it is linked with: by names that come in both, and by likeness.
Notes and links change as turns come (A-MEM, arXiv:2502.12110), without a language model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.memories.plaintext.graph import Node, links, recurring
from mneme.memories.plaintext.sentences import names_of
from mneme.memories.plaintext.summary import Weighed, choose
from mneme.transform.ground import SLEEP, digest_of, lines_of, metadata_of, vector_of
from mneme.transform.plans import Plan, at_slot
from mneme.transform.runs import RELATED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.transform.ground import Line, Look
    from mneme.transform.runs import Place, Unit

_SENTENCES = 5
_MOST_NOTES = 200
_MOST_TURNS = 200  # a name that comes more often is spoken to, not of
_MOST_LINES = 120  # sentences of one name that are weighed; the newest
_KEYWORDS = 6  # names beside its own that a note keeps


def plans_of(tx: Transaction, look: Look, secret: bytes, *, least: int) -> list[Plan]:
    """A note for each name that at least `least` turns speak of."""
    lines = [lines_of(tx, row, look.closed) for row in look.turns]
    named = [[names_of(line.text) for line in each] for each in lines]
    per_turn = [[name for found in each for name in found] for each in named]
    known = recurring(per_turn, _sure(look.turns, lines), least)
    often = sorted(known, key=lambda name: (-len(known[name]), name))
    often = [name for name in often if len(known[name]) <= _MOST_TURNS][:_MOST_NOTES]
    found = []
    for name in often:
        about = [
            (line, names)
            for turn in known[name]
            for line, names in zip(lines[turn], named[turn], strict=True)
            if name in names
        ]
        rows = [look.turns[turn] for turn in known[name]]
        digest = digest_of(rows, look, secret, "note")
        found.append(_plan(name, about, known.keys(), digest))
    return found


def note_slot(name: str) -> str:
    """The slot of the note on a name."""
    return f"{SLEEP}\0note\0{name}"


def needs_links(place: Place, plans: Sequence[Plan], secret: bytes) -> bool:
    """Whether any note has other links than it ought to have."""
    return any(
        place.tx.ledger.parents(row.key, RELATED) != older
        for row, older in _wanted(place, plans, secret)
    )


def link_notes(unit: Unit, plans: Sequence[Plan], secret: bytes) -> int:
    """Link the notes that are there; how many notes have other links than before."""
    before = len(unit.effects)
    for row, older in _wanted(unit.place, plans, secret):
        unit.relate(row, RELATED, older)
    return len(unit.effects) - before


def _wanted(
    place: Place, plans: Sequence[Plan], secret: bytes
) -> list[tuple[VersionRow, list[int]]]:
    """Each note with the older notes that it ought to be linked with."""
    rows = [row for plan in plans if (row := _newest(place, plan, secret)) is not None]
    nodes = [
        Node(frozenset(metadata_of(row).get("names", [])), vector_of(place.tx, row)) for row in rows
    ]
    return [
        (row, sorted(rows[i].key for i in linked if rows[i].key < row.key))
        for row, linked in zip(rows, links(nodes), strict=True)
    ]


def related(place: Place, row: VersionRow) -> list[VersionRow]:
    """The notes that a note is linked with."""
    ledger = place.tx.ledger
    keys = [*ledger.parents(row.key, RELATED), *ledger.children(row.key, RELATED)]
    return place.tx.cubes.current_of_keys(place.namespace.number, keys)


def _newest(place: Place, plan: Plan, secret: bytes) -> VersionRow | None:
    rows = [r for r in at_slot(place, plan.slot, secret) if r.state in {"activated", "frozen"}]
    return rows[-1] if rows else None


def _sure(turns: Sequence[VersionRow], lines: Sequence[Sequence[Line]]) -> frozenset[str]:
    """What is a name for sure: those of speakers, and what has a capital within a sentence."""
    speakers = {row.speaker.casefold() for row in turns if row.speaker}
    inner = {name for each in lines for line in each for name in names_of(line.text, first=False)}
    return frozenset(speakers | inner)


def _plan(
    name: str, about: Sequence[tuple[Line, list[str]]], known: Collection[str], digest: str
) -> Plan:
    newest = about[-_MOST_LINES:]
    chosen = [newest[i] for i in choose([Weighed(line.text) for line, _ in newest], _SENTENCES)]
    others = [n for _, names in chosen for n in names if n != name and n in known]
    return Plan(
        slot=note_slot(name),
        digest=digest,
        type="note",
        text="\n".join(_shown(line) for line, _ in chosen),
        sources=tuple(line.span for line, _ in chosen),
        of=[line.turn for line, _ in chosen],
        more={"about": name, "names": [name, *dict.fromkeys(others)][: _KEYWORDS + 1]},
    )


def _shown(line: Line) -> str:
    return f"{line.turn.speaker}: {line.text}" if line.turn.speaker else line.text
