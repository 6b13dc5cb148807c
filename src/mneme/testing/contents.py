"""All that a store holds, to compare one state of it with another.

In: a memory. Out: by cube id its namespace, every version's header and every text, what is hidden
included; equal if and only if the stores hold the same cubes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mneme.app.memory import MemoryOS
    from mneme.core.rows import VersionRow

_BATCH = 512


class Held(NamedTuple):
    """One cube with its past."""

    namespace: str
    versions: tuple[VersionRow, ...]
    texts: tuple[tuple[int, str], ...]  # number of the version that brought it, and the text


def contents_of(memory: MemoryOS) -> dict[str, Held]:
    """What the store holds, by cube id."""
    held: dict[str, Held] = {}
    with memory.vault.parts.store.read() as tx:
        texts: dict[int, list[tuple[int, str]]] = {}
        after = (0, 0)
        while rows := tx.entries.texts(after, _BATCH):
            for row in rows:
                texts.setdefault(row.key, []).append((row.version, row.body))
            after = rows[-1][:2]
        for key, bodies in texts.items():
            found = tx.cubes.version_at(key, bodies[0][0])
            if found is not None:
                path, first = found
                held[first.id] = Held(path, tuple(tx.cubes.versions(key)), tuple(bodies))
    return held
