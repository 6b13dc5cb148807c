"""What a namespace says now, as one hash: to prove that an undo restores it.

In: a memory and a namespace. Out: a hash over all readable cubes with their text, state, validity,
header, sources, and what they derive from and are linked with. Numbers of versions and times of
writing are left out, since a change that is turned back is two more versions.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mneme.core.lifecycle import HIDDEN, State
from mneme.core.rows import Selection
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from mneme.app.memory import MemoryOS

_READABLE = tuple(state.value for state in State if state not in HIDDEN)
_RELATIONS = ("source", "related", "supersedes", "repeats")


def state_hash(memory: MemoryOS, path: str) -> str:
    """The hash of what can be read in a namespace."""
    digest = hashlib.sha256()
    now = memory.vault.parts.clock.now_us()
    with memory.vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        rows = tx.cubes.select(known.number, Selection(states=_READABLE, now=now)) if known else []
        shown = {row.key for row in rows}
        for row in rows:
            text = tx.cubes.body(row.key, row.text_version)[0]
            header = row._replace(version=0, text_version=0, recorded_at=0, actor=None)
            links = [
                [parent for parent in tx.ledger.parents(row.key, relation) if parent in shown]
                for relation in _RELATIONS
            ]
            digest.update(canonical_json([list(header), text, links]).encode())
    return digest.hexdigest()
