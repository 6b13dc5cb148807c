"""Reads of single cubes, lists, histories and the derivation graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.errors import CubeNotFoundError
from mneme.core.lifecycle import State
from mneme.core.rows import Selection
from mneme.govern.retention import is_hidden
from mneme.vault.codec import cube_of, sources_of
from mneme.vault.stale import CARRIES
from mneme.vault.write import REPEATS, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.core.cube import MemCube
    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.parts import Parts

LISTED = (State.ACTIVATED.value, State.FROZEN.value, State.GENERATED.value)
LISTED_WITH_ARCHIVED = (*LISTED, State.ARCHIVED.value, State.MERGED.value)
_ARCHIVED = frozenset({State.ARCHIVED.value, State.MERGED.value})


class Reader:
    """Reads cubes of a namespace; what is forgotten or past its time is not there."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def get(
        self,
        path: str,
        cube_id: str,
        *,
        version: int | None = None,
        as_of: int | None = None,
        include_archived: bool = True,
    ) -> MemCube:
        """One version of a cube: the current one, a numbered one, or that of a past time.

        Raises:
            CubeNotFoundError: No readable cube of that id, or not that version of it.
        """
        with self._parts.store.read() as tx:
            known, row = self._readable(tx, path, cube_id)
            wanted: VersionRow | None = row
            if as_of is not None:
                wanted = tx.cubes.as_of(known.number, as_of, row.key)
            if version is not None and wanted is not None:
                newest = wanted.version
                numbered = [v for v in tx.cubes.versions(row.key) if v.version == version]
                wanted = numbered[0] if numbered and version <= newest else None
            if wanted is None or (not include_archived and wanted.state in _ARCHIVED):
                raise CubeNotFoundError(cube_id, path)
            return self._cube(tx, path, wanted)

    def header(self, path: str, cube_id: str) -> VersionRow:
        """The current version of a cube, without its text."""
        with self._parts.store.read() as tx:
            return self._readable(tx, path, cube_id)[1]

    def show(self, path: str, row: VersionRow, text: str) -> MemCube:
        """A version that was just written."""
        with self._parts.store.read() as tx:
            return cube_of(row, path, text, tx.ledger.uses(row.key))

    def history(self, path: str, cube_id: str) -> list[MemCube]:
        """All versions, oldest first."""
        with self._parts.store.read() as tx:
            _, row = self._readable(tx, path, cube_id)
            return [self._cube(tx, path, version) for version in tx.cubes.versions(row.key)]

    def select(
        self, path: str, selection: Selection, *, after_key: int = 0, limit: int = -1
    ) -> list[tuple[int, MemCube]]:
        """Current cubes with their numbers, in order of writing."""
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            if known is None:
                return []
            rows = tx.cubes.select(known.number, selection, after_key=after_key, limit=limit)
            return [(row.key, self._cube(tx, path, row)) for row in rows]

    def sources(self, path: str, cube_id: str) -> list[MemCube]:
        """What a cube derives from, in the versions that it names."""
        with self._parts.store.read() as tx:
            known, row = self._readable(tx, path, cube_id)
            found = []
            for span in sources_of(row):
                parent = tx.cubes.current(known.number, span.cube_id)
                if parent is None or is_hidden(parent, self._parts.clock.now_us()):
                    continue
                named = [v for v in tx.cubes.versions(parent.key) if v.version == span.version]
                found.append(self._cube(tx, path, named[0] if named else parent))
            return found

    def derived(self, path: str, cube_id: str) -> list[MemCube]:
        """What derives from a cube, other carriers of its text included."""
        return self._children(path, cube_id, SOURCE, CARRIES)

    def repeats(self, path: str, cube_id: str) -> list[MemCube]:
        """Later cubes that say nearly what this one says."""
        return self._children(path, cube_id, REPEATS)

    def _children(self, path: str, cube_id: str, *relations: str) -> list[MemCube]:
        with self._parts.store.read() as tx:
            known, row = self._readable(tx, path, cube_id)
            keys = [key for each in relations for key in tx.ledger.children(row.key, each)]
            return self._cubes(tx, path, tx.cubes.current_of_keys(known.number, keys))

    def _cubes(self, tx: Transaction, path: str, rows: Iterable[VersionRow]) -> list[MemCube]:
        now = self._parts.clock.now_us()
        return [self._cube(tx, path, row) for row in rows if not is_hidden(row, now)]

    def _readable(self, tx: Transaction, path: str, cube_id: str) -> tuple[Namespace, VersionRow]:
        known = tx.cubes.namespace(path)
        row = tx.cubes.current(known.number, cube_id) if known else None
        if known is None or row is None or is_hidden(row, self._parts.clock.now_us()):
            raise CubeNotFoundError(cube_id, path)
        return known, row

    def _cube(self, tx: Transaction, path: str, row: VersionRow) -> MemCube:
        text, _ = tx.cubes.body(row.key, row.text_version)
        return cube_of(row, path, text, tx.ledger.uses(row.key))
