"""What a namespace says that is newer than a shard, of the same subject and relation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.rows import Selection
from mneme.vault.carried import may_be_said
from mneme.vault.read import LISTED
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from mneme.core.rows import VersionRow
    from mneme.memories.parametric.facts import FactLedger
    from mneme.memories.parametric.phrasings import Bank
    from mneme.vault.vault import Vault


_PARTS = ("subject", "relation", "object")


def conflicts_in(vault: Vault, path: str, ledger: FactLedger, bank: Bank) -> list[str]:
    """Ids of cubes that fill a slot of the ledger with something else, and later.

    Only slots that hold one thing at a time can be in conflict.
    """
    slots = {
        (fact.subject.casefold(), bank.of(fact.relation).relation): fact
        for fact in (entry.fact for entry in ledger.entries)
    }
    own = set(ledger.cube_ids)
    now = vault.parts.clock.now_us()
    with vault.parts.store.read() as tx:
        namespace = tx.cubes.namespace(path)
        if namespace is None:
            return []
        rows = tx.cubes.select(namespace.number, Selection(states=LISTED, now=now))
        written = {row.id: row for row in rows if row.id in own}
    found = []
    for row in rows:
        said = facts_of(row) if row.id not in own and may_be_said(row, now) else {}
        subject, relation, object_ = (str(said.get(name) or "") for name in _PARTS)
        if not (subject and relation and object_ and said.get("single")):
            continue
        fact = slots.get((subject.casefold(), bank.of(relation).relation))
        if fact is not None and fact.object.casefold() != object_.casefold():
            source = written.get(fact.cube_id)
            if source is None or _when(row) > _when(source):
                found.append(row.id)
    return found


def _when(row: VersionRow) -> int:
    return row.valid_from or row.event_at or row.recorded_at
