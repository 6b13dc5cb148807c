"""Derived statements that nearly repeat one another to one statement with all their sources.

Only what Mneme extracted is merged, never what a user wrote. Two statements are the same if they
share most of their words, all numbers and names, polarity, type, slot and the time in which they
hold. The one with most sources stays and takes over those of the others, which become `merged`:
out of default search, still readable, and activated again by an undo.
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
    group_of = list(range(len(known)))
    for i, j in _pairs(terms):
        one, other = group_of[i], group_of[j]
        alike = is_like(terms[one], terms[j]) and is_same(texts[one], texts[j])
        if one != other and alike and _key(known[one]) == _key(known[j]):
            group_of[j] = one
    members: dict[int, list[int]] = defaultdict(list)
    for i, first in enumerate(group_of):
        if group_of[first] == first:
            members[first].append(i)
    return [_group(known, texts, each) for each in members.values() if len(each) > 1]


def lost(group: Group, find: Find) -> str | None:
    """What would no longer be found: a text for which the kept statement does not come up."""
    gone = {row.id for row in group.others}
    for text in group.texts:
        found = find(text, group.kept.type, FOUND_WITHIN + len(gone))
        left = [cube_id for cube_id in found if cube_id not in gone][:FOUND_WITHIN]
        if group.kept.id not in left:
            return (
                f"{group.kept.id} is not found by {len(text)} characters of what it would stand for"
            )
    return None


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


def _pairs(terms: Sequence[bytes]) -> list[tuple[int, int]]:
    """Pairs that may be alike, since they share a band of their sketches; the older one first."""
    by_band: dict[int, int] = {}
    found = []
    for i, bands in enumerate(sketches(terms)):
        for band in bands:
            first = by_band.setdefault(band, i)
            if first != i:
                found.append((first, i))
    return found


def _key(row: VersionRow) -> tuple[object, ...]:
    """What must be equal of two statements beside their words."""
    said = metadata_of(row)
    names = ("subject", "relation", "slot", "single", "hedged")
    header = (row.type, row.speaker, row.trust, row.labels, row.valid_to, row.expires_at)
    return (*header, *(said.get(name) for name in names))


def _group(rows: Sequence[VersionRow], texts: Sequence[str], members: Sequence[int]) -> Group:
    kept = max(members, key=lambda i: (len(sources_of(rows[i])), -rows[i].key))
    others = [i for i in members if i != kept]
    return Group(rows[kept], tuple(rows[i] for i in others), tuple(texts[i] for i in others))
