"""What the forgetting curve is told of derived cubes, and archiving those that it gives up.

In: derived cubes that hold. Out: what is known of each; then the cubes that a policy named are
archived, if none of them was changed or used meanwhile. What users wrote is never looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mneme.core.lifecycle import State
from mneme.memories.plaintext.merge import is_like, sketches
from mneme.transform.ground import is_sleeps
from mneme.transform.runs import RELATED
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.transform.runs import Unit


class Worth(NamedTuple):
    """What is known of a derived cube; see `schedule.policies.forgetting.Known`."""

    row: VersionRow
    uses: int
    utility: float
    links: int
    unique: bool
    used_at: int


def worths_of(tx: Transaction, rows: Sequence[VersionRow]) -> list[Worth]:
    """What is known of derived cubes that may be archived."""
    terms = [tx.entries.entry(row.key, row.text_version).terms for row in rows]
    repeated = _repeated(terms)
    found = []
    for i, row in enumerate(rows):
        if row.state != State.ACTIVATED:
            continue
        uses, used_at, utility = tx.ledger.usage(row.key)
        unique = not is_sleeps(row) and i not in repeated  # what sums up is said in its source, too
        last = max(row.recorded_at, used_at or 0)
        found.append(Worth(row, uses, utility, _links(tx, row.key), unique, last))
    return found


def archive(unit: Unit, row: VersionRow, used_at: int) -> bool:
    """Archive a cube, unless it was changed or used since it was judged."""
    tx, number = unit.place.tx, unit.place.namespace.number
    if tx.cubes.current_of_keys(number, [row.key]) != [row]:
        return False
    if (tx.ledger.usage(row.key)[1] or 0) > used_at:
        return False
    unit.change(row._replace(state=State.ARCHIVED))
    return True


def _links(tx: Transaction, key: int) -> int:
    related = [*tx.ledger.parents(key, RELATED), *tx.ledger.children(key, RELATED)]
    return len(related) + len(tx.ledger.children(key, SOURCE))


def _repeated(terms: Sequence[bytes]) -> set[int]:
    """Those that nearly repeat an older one; of each such pair one stays unique."""
    by_band: dict[int, int] = {}
    found = set()
    for i, bands in enumerate(sketches(terms)):
        for band in bands:
            first = by_band.setdefault(band, i)
            if first != i and is_like(terms[first], terms[i]):
                found.add(i)
    return found
