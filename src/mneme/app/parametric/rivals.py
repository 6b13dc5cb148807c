"""What else a namespace says of a subject and relation: facts that no weights may answer alone.

A shard knows what it was written from. What was said since then, and what stays text, it does not
know: a question that such a fact answers, too, is for text.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.app.parametric.reading import triple_of
from mneme.core.lifecycle import State
from mneme.core.rows import Selection
from mneme.vault.carried import may_be_said
from mneme.vault.read import LISTED
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.memories.parametric.facts import Fact, FactLedger
    from mneme.memories.parametric.phrasings import Bank
    from mneme.vault.vault import Vault

    Slot = tuple[str, str]

_TYPES: Final = frozenset({"fact", "preference", "profile", "event", "instruction"})


class _Said(NamedTuple):
    """What one cube says."""

    slot: Slot
    object: str


class _Known(NamedTuple):
    """The facts of a namespace in one of its states, by the numbers of their cubes."""

    seq: int
    said: dict[int, _Said]
    by_slot: dict[Slot, set[int]]


class Rivals:
    """Facts by subject and relation, kept in step with the rows.

    Args:
        vault: Has the cubes.
        bank: Says which relations are one and the same.
    """

    def __init__(self, vault: Vault, bank: Bank) -> None:
        self._vault, self._bank = vault, bank
        self._lock = RLock()
        self._known: dict[str, _Known] = {}

    def of(self, path: str, fact: Fact, own: Collection[str]) -> list[VersionRow]:
        """Cubes that may be said now, and say something else of the same subject and relation.

        Args:
            path: Of the namespace.
            fact: Whose subject and relation.
            own: Ids of the cubes that are known already.
        """
        with self._vault.parts.store.read() as tx, self._lock:
            namespace = tx.cubes.namespace(path)
            if namespace is None:
                return []
            known = self._looked(tx, path, namespace.number, namespace.seq)
            plain = fact.object.casefold()
            keys = [
                key
                for key in known.by_slot.get(self._slot(fact.subject, fact.relation), ())
                if known.said[key].object != plain
            ]
            rows = tx.cubes.current_of_keys(namespace.number, keys)
        now = self._vault.parts.clock.now_us()
        return [row for row in rows if row.id not in own and may_be_said(row, now)]

    def newer(self, path: str, ledger: FactLedger) -> list[str]:
        """Ids of cubes that fill a slot of a ledger with something else, and later.

        Only slots that hold one thing at a time can be in conflict.
        """
        own = set(ledger.cube_ids)
        found: dict[str, None] = {}
        for entry in ledger.entries:
            rivals = [r for r in self.of(path, entry.fact, own) if facts_of(r).get("single")]
            if rivals:
                source = self._vault.reader.header(path, entry.fact.cube_id)
                found |= {row.id: None for row in rivals if _when(row) > _when(source)}
        return list(found)

    def let_go(self, path: str = "") -> None:
        """Forget what was read of a namespace, or of all."""
        with self._lock:
            if path:
                self._known.pop(path, None)
            else:
                self._known.clear()

    def _slot(self, subject: str, relation: str) -> Slot:
        return subject.casefold(), self._bank.of(relation).relation

    def _looked(self, tx: Transaction, path: str, ns: int, seq: int) -> _Known:
        known = self._known.get(path, _Known(0, {}, {}))
        if known.seq == seq:
            return known
        for each in self._changed(tx, ns, known):
            said = self._read(tx, each)
            if said is not None:
                known.said[each.key] = said
                known.by_slot.setdefault(said.slot, set()).add(each.key)
        self._known[path] = known = known._replace(seq=seq)
        return known

    def _changed(self, tx: Transaction, ns: int, known: _Known) -> list[VersionRow]:
        """The facts that came or changed since; what was known of changed ones is forgotten."""
        if not known.seq:
            return tx.cubes.select(ns, Selection(types=tuple(_TYPES), states=LISTED))
        changed = list(tx.entries.rows(ns, known.seq, None))
        for row in changed:
            gone = known.said.pop(row.key, None)
            if gone is not None:
                known.by_slot[gone.slot].discard(row.key)
        keys = [row.key for row in changed if row.live and row.type in _TYPES]
        return tx.cubes.current_of_keys(ns, keys)

    def _read(self, tx: Transaction, row: VersionRow) -> _Said | None:
        if row.state == State.MERGED or row.kind != "plaintext":
            return None
        triple = triple_of(row, tx.cubes.body(row.key, row.text_version)[0], self._bank)
        if triple is None:
            return None
        subject, relation, object_ = triple
        return _Said(self._slot(subject, relation), object_.casefold())


def _when(row: VersionRow) -> int:
    return row.valid_from or row.event_at or row.recorded_at
