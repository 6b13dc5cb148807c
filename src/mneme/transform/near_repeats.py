"""Derived statements that nearly repeat one another to one statement with all their sources.

Only what Mneme extracted is merged, never what a user wrote. Two statements are the same if they
share most of their words, all numbers and names, polarity, type, slot and the time in which they
hold. The oldest stays and takes over the sources of the others, which become `merged`: out of
default search, still readable, and activated again by an undo.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.lifecycle import State
from mneme.memories.plaintext.merge import is_like, sketches
from mneme.memories.plaintext.summary import is_same
from mneme.transform.ground import metadata_of
from mneme.vault.codec import sources_json, sources_of
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.transform.runs import Unit

Find = Callable[[str, str, int], Sequence[str]]  # text, type, how many -> ids in order of rank

FOUND_WITHIN = 10  # places in which a statement must be found again
_TYPES = frozenset({"fact", "preference", "event"})
_MOST_SPANS = 8
_MOST_FOUND = 1000  # that one search gives
_MOST_NEAR = 16  # older statements that share a band of a sketch


class Group(NamedTuple):
    """Statements that say the same; `kept` stays."""

    kept: VersionRow
    others: tuple[VersionRow, ...]
    texts: tuple[str, ...]  # of the others


def groups_of(tx: Transaction, rows: Sequence[VersionRow]) -> list[Group]:
    """The statements that nearly repeat one another."""
    known = [row for row in rows if row.type in _TYPES and row.method == "extracted"]
    known = [row for row in known if row.state == State.ACTIVATED and not row.hold]
    terms = [tx.entries.entry(row.key, row.text_version).terms for row in known]
    texts = [tx.cubes.body(row.key, row.text_version)[0] for row in known]
    leaders: dict[int, list[int]] = defaultdict(list)  # by band: those that repeat no older one
    members: dict[int, list[int]] = defaultdict(list)
    for i, bands in enumerate(sketches(terms)):
        near = dict.fromkeys(leader for band in bands for leader in leaders[band])
        for leader in near:
            alike = is_like(terms[leader], terms[i]) and is_same(texts[leader], texts[i])
            if alike and _key(known[leader]) == _key(known[i]):
                members[leader].append(i)
                break
        else:
            for band in bands:
                leaders[band] = [*leaders[band], i][:_MOST_NEAR]
    return [
        Group(known[leader], tuple(known[i] for i in each), tuple(texts[i] for i in each))
        for leader, each in sorted(members.items())
    ]


def findable(groups: Sequence[Group], find: Find) -> tuple[list[Group], list[Group]]:
    """The groups that lose nothing if all of them are merged, and those that would.

    A group is safe if a search for each text that goes finds the statement that stays among the
    first, those that go left out. A group that is not safe stays, and competes with the others.
    """
    most = min(FOUND_WITHIN + sum(len(group.others) for group in groups), _MOST_FOUND)
    ranked = {
        group.kept.id: [find(text, group.kept.type, most) for text in group.texts]
        for group in groups
    }
    safe, unsafe = list(groups), list[Group]()
    while True:
        gone = {row.id for group in safe for row in group.others}
        lost = [g for g in safe if not all(_finds(g, r, gone) for r in ranked[g.kept.id])]
        if not lost:
            return safe, unsafe
        unsafe += lost
        safe = [group for group in safe if group not in lost]


def _finds(group: Group, ranked: Sequence[str], gone: set[str]) -> bool:
    left = [cube_id for cube_id in ranked if cube_id not in gone]
    return group.kept.id in left[:FOUND_WITHIN]


def merge(unit: Unit, group: Group) -> bool:
    """Merge a group, unless one of it changed since it was looked at."""
    tx, number = unit.place.tx, unit.place.namespace.number
    rows = (group.kept, *group.others)
    if tx.cubes.current_of_keys(number, [row.key for row in rows]) != list(rows):
        return False
    parents = {p for row in rows for p in tx.ledger.parents(row.key, SOURCE)}
    spans = list(dict.fromkeys(span for row in rows for span in sources_of(row)))[:_MOST_SPANS]
    kept = unit.change(group.kept._replace(sources=sources_json(spans)))
    unit.relate(kept, SOURCE, parents)
    for row in group.others:
        unit.change(row._replace(state=State.MERGED))
    return True


def _key(row: VersionRow) -> tuple[object, ...]:
    """What must be equal of two statements beside their words."""
    said = metadata_of(row)
    names = ("subject", "relation", "slot", "single", "hedged")
    header = (row.type, row.speaker, row.trust, row.labels, row.valid_to, row.expires_at)
    return (*header, *(said.get(name) for name in names))
