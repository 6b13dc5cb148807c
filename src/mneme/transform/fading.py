"""What the forgetting curve is told of derived cubes, and archiving those that it gives up.

In: derived cubes that hold. Out: what is known of each; then the cubes that a policy named are
archived, if none of them was changed or used meanwhile. What users wrote is never looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mneme.core.lifecycle import State
from mneme.memories.plaintext.merge import is_like, sketches
from mneme.memories.plaintext.summary import is_same
from mneme.transform.ground import is_sleeps
from mneme.transform.runs import RELATED
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.transform.runs import Unit

    _Pairs = dict[int, int]


class Worth(NamedTuple):
    """What is known of a derived cube; see `schedule.policies.forgetting.Known`."""

    row: VersionRow
    uses: int
    utility: float
    links: int
    twin: VersionRow | None  # a cube that stays and says nearly the same
    used_at: int

    @property
    def unique(self) -> bool:
        """Whether it says what no other cube says: what sums up is said by its sources, too."""
        return self.twin is None and not is_sleeps(self.row)


def worths_of(tx: Transaction, rows: Sequence[VersionRow]) -> list[Worth]:
    """What is known of derived cubes that may be archived."""
    terms = [tx.entries.entry(row.key, row.text_version).terms for row in rows]
    texts = [tx.cubes.body(row.key, row.text_version)[0] for row in rows]
    repeated = _repeated(rows, texts, terms)
    found = []
    for i, row in enumerate(rows):
        if row.state != State.ACTIVATED:
            continue
        uses, used_at, utility = tx.ledger.usage(row.key)
        twin = rows[repeated[i]] if i in repeated else None
        last = max(row.recorded_at, used_at or 0)
        found.append(Worth(row, uses, utility, _links(tx, row.key), twin, last))
    return found


def archive(unit: Unit, worth: Worth) -> bool:
    """Archive a cube, unless it or its twin was changed, or it was used, since it was judged."""
    row, twin = worth.row, worth.twin
    tx, number = unit.place.tx, unit.place.namespace.number
    seen = [row] if twin is None else [row, twin]
    if tx.cubes.current_of_keys(number, [each.key for each in seen]) != seen:
        return False
    if (tx.ledger.usage(row.key)[1] or 0) > worth.used_at:
        return False
    unit.change(row._replace(state=State.ARCHIVED))
    return True


def _links(tx: Transaction, key: int) -> int:
    related = [*tx.ledger.parents(key, RELATED), *tx.ledger.children(key, RELATED)]
    return len(related) + len(tx.ledger.children(key, SOURCE))


def _repeated(rows: Sequence[VersionRow], texts: Sequence[str], terms: Sequence[bytes]) -> _Pairs:
    """Those that nearly repeat an older one of their type, which stays, with its number."""
    by_band: dict[int, int] = {}
    found: dict[int, int] = {}
    for i, bands in enumerate(sketches(terms)):
        for band in bands:
            first = by_band.setdefault(band, i)
            alike = first != i and rows[first].type == rows[i].type
            if alike and is_like(terms[first], terms[i]) and is_same(texts[first], texts[i]):
                found[i] = first
    return {i: first for i, first in found.items() if first not in found}
