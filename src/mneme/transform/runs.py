"""Runs of consolidation: what each did, unit by unit, and how it is undone.

A run works in units, such as one session. Each unit is one transaction: its changes, and beside
them a record of ids and version numbers from which each change can be turned back. So a run that is
killed goes on where it was, nothing happens twice, and `undo` needs no copy of any text: old
versions are never overwritten. The records are values of the store's table `meta`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import InvalidInputError
from mneme.core.lifecycle import HIDDEN, State
from mneme.vault.codec import canonical_json, sources_of
from mneme.vault.marks import marks_of
from mneme.vault.write import SOURCE, embedder_number, enqueue_followers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.draft import Draft
    from mneme.vault.entries import Entry
    from mneme.vault.vault import Vault

CONSOLIDATE = "consolidate"  # the job that finishes a run, and the verb in the audit log
RELATED = "related"  # edge: two notes speak of the same; the newer one is the child
OPEN, DONE, UNDOING, UNDONE = "open", "done", "undoing", "undone"

_SALT_BYTES = 16
_RELATIONS = frozenset({SOURCE, RELATED})
_UNDONE_AT_ONCE = 50  # units in one transaction of an undo


class Run(NamedTuple):
    """A run of consolidation in one namespace.

    units: Transactions that it made; while it is being undone, those that are left.
    """

    id: str
    state: str
    units: int


class Place(NamedTuple):
    """Where a unit happens: a namespace within a transaction."""

    tx: Transaction
    path: str
    namespace: Namespace


class Kept(NamedTuple):
    """A change that an undo left alone, since somebody changed the cube afterwards."""

    id: str
    why: str


class Unit:
    """The changes of one transaction of a run, each noted with what undoes it."""

    def __init__(self, vault: Vault, place: Place, run_id: str) -> None:
        self._vault, self.place, self.run_id = vault, place, run_id
        self._made: list[list[object]] = []

    @property
    def effects(self) -> list[list[object]]:
        """[id, version before or None, version after] and [relation, id, ids of parents before]."""
        return self._made

    def make(self, draft: Draft) -> VersionRow:
        """Write a new derived cube."""
        tx, path, namespace = self.place
        row = self._vault.writer.insert(tx, path, namespace, [draft])[0]
        self._made.append([row.id, None, row.version])
        return row

    def rewrite(self, row: VersionRow, text: str, entry: Entry) -> VersionRow:
        """Write the next version of a derived cube with another text."""
        tx = self.place.tx
        parts = self._vault.parts
        row = row._replace(text_version=row.version + 1)
        number = None if entry.vectors is None else embedder_number(tx, parts)
        salt = parts.random_bytes(_SALT_BYTES)
        tx.cubes.add_texts([entry.row(row.key, row.text_version, (text, salt), number)])
        enqueue_followers(tx, parts, [], [entry])
        written = self.change(row)
        self.relate(written, SOURCE, parents_of(self.place, written))
        return written

    def change(self, row: VersionRow) -> VersionRow:
        """Write the next version of a cube, with another header."""
        tx, path, namespace = self.place
        written = self._vault.lives.write(tx, path, namespace, row, CONSOLIDATE)
        mark_again(self._vault, self.place, written)
        self._made.append([row.id, row.version, written.version])
        return written

    def relate(self, row: VersionRow, relation: str, parents: Iterable[int]) -> None:
        """Replace what a cube derives from, or the older notes that it is linked with."""
        tx, _, namespace = self.place
        keys, wanted = tx.ledger.parents(row.key, relation), sorted(set(parents))
        if keys != wanted:
            before = [known.id for known in tx.cubes.current_of_keys(namespace.number, keys)]
            self._made.append([relation, row.id, before])
            tx.ledger.set_parents(row.key, relation, wanted)


class Runs:
    """The runs of all namespaces of a vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def all(self, tx: Transaction, namespace: Namespace) -> list[Run]:
        """The runs of a namespace, oldest first."""
        found = tx.ledger.meta(_header(namespace))
        return [Run(*each) for each in json.loads(found)] if found else []

    def open(self, place: Place) -> Run:
        """The unfinished run of a namespace, or a new one."""
        runs = self.all(place.tx, place.namespace)
        if runs and runs[-1].state == OPEN:
            return runs[-1]
        if runs and runs[-1].state == UNDOING:
            raise InvalidInputError(f"run {runs[-1].id!r} is half undone; undo it first")
        run = Run(self._vault.parts.ids.make(), OPEN, 0)
        self._write(place, [*runs, run])
        return run

    def commit(self, unit: Unit) -> None:
        """Record what a unit did, in its transaction."""
        if not unit.effects:
            return
        place = unit.place
        runs = self.all(place.tx, place.namespace)
        run = next(run for run in runs if run.id == unit.run_id)
        if run.state != OPEN:
            raise InvalidInputError(f"run {run.id!r} is {run.state}; start another one")
        name = _record(place.namespace, run.id, run.units)
        place.tx.ledger.set_meta(name, canonical_json(unit.effects))
        self._put(place, runs, run._replace(units=run.units + 1))

    def close(self, place: Place, run_id: str) -> None:
        """Mark a run as finished."""
        runs = self.all(place.tx, place.namespace)
        for run in runs:
            if run.id == run_id and run.state == OPEN:
                self._put(place, runs, run._replace(state=DONE))

    def undo(self, path: str, run_id: str) -> tuple[int, list[Kept]]:
        """Turn a run back; the number of changes turned back, and those that were left alone.

        Raises:
            InvalidInputError: There is no such run, it was undone, or a later one has to be first.
        """
        turned, kept = 0, []
        more = True
        while more:
            with self._vault.parts.store.write() as tx:
                known = tx.cubes.namespace(path)
                run = self._to_undo(tx, known, run_id)
                place = Place(tx, path, tx.cubes.touch_namespace(path))
                first = max(0, run.units - _UNDONE_AT_ONCE)
                for number in range(run.units - 1, first - 1, -1):
                    count, left = self._turn_back(place, run, number)
                    turned += count
                    kept += left
                more = first > 0
                state = UNDOING if more else UNDONE
                runs = self.all(tx, place.namespace)
                self._put(place, runs, Run(run_id, state, first))
        return turned, kept

    def _to_undo(self, tx: Transaction, known: Namespace | None, run_id: str) -> Run:
        runs = self.all(tx, known) if known is not None else []
        found = next((run for run in runs if run.id == run_id), None)
        if found is None:
            raise InvalidInputError(f"there is no consolidation run {run_id!r} in this namespace")
        if found.state == UNDONE:
            raise InvalidInputError(f"run {run_id!r} is undone already")
        later = [run for run in runs[runs.index(found) + 1 :] if run.state != UNDONE]
        if later:
            raise InvalidInputError(f"undo the later run {later[-1].id!r} first")
        return found

    def _turn_back(self, place: Place, run: Run, number: int) -> tuple[int, list[Kept]]:
        found = place.tx.ledger.meta(_record(place.namespace, run.id, number))
        effects = json.loads(found) if found else []
        kept = []
        for one, before, after in reversed(effects):
            if one in _RELATIONS:
                self._relate(place, one, before, after)
            elif not self._restore(place, one, before, after):
                kept.append(Kept(one, "it was changed after the run"))
        return len(effects) - len(kept), kept

    def _relate(self, place: Place, relation: str, cube_id: str, parents: Sequence[str]) -> None:
        cubes, number = place.tx.cubes, place.namespace.number
        row = cubes.current(number, cube_id)
        rows = [cubes.current(number, parent) for parent in parents]
        if row is not None:
            keys = [parent.key for parent in rows if parent is not None]
            place.tx.ledger.set_parents(row.key, relation, keys)

    def _restore(self, place: Place, cube_id: str, before: int | None, after: int) -> bool:
        """Give a cube back what it was before; False if it is no longer what the run left."""
        tx, path, namespace = place
        row = tx.cubes.current(namespace.number, cube_id)
        if row is None:  # erased: nothing is left to be turned back
            return True
        versions = {version.version: version for version in tx.cubes.versions(row.key)}
        if before is None and row.state in HIDDEN:
            return True
        if _content(row) != _content(versions[after]):
            return False
        if before is None:
            back = row._replace(state=State.FORGOTTEN, prior_state=row.state)
            tx.ledger.set_parents(row.key, RELATED, [])
        else:
            back = versions[before]._replace(version=row.version)
        written = self._vault.lives.write(tx, path, namespace, back, "undo")
        if before is None:
            tx.written.drop_marks(row.key)  # a later run makes it anew
        else:
            mark_again(self._vault, place, written)
        return True

    def _put(self, place: Place, runs: Sequence[Run], run: Run) -> None:
        self._write(place, [run if each.id == run.id else each for each in runs])

    def _write(self, place: Place, runs: Sequence[Run]) -> None:
        place.tx.ledger.set_meta(_header(place.namespace), canonical_json([list(r) for r in runs]))


def mark_again(vault: Vault, place: Place, row: VersionRow) -> None:
    """Let a derived cube be found by what its newest version says."""
    tx, _, namespace = place
    tx.written.drop_marks(row.key)
    text = tx.cubes.body(row.key, row.text_version)[0]
    tx.written.add_marks(
        (namespace.number, kind, mark, row.key)
        for kind, mark in marks_of(row, text, vault.parts.secret)
    )


def parents_of(place: Place, row: VersionRow) -> list[int]:
    """The store's numbers of the cubes that a version names as its sources."""
    ids = dict.fromkeys(span.cube_id for span in sources_of(row))
    found = [place.tx.cubes.current(place.namespace.number, cube_id) for cube_id in ids]
    return [parent.key for parent in found if parent is not None]


def _content(row: VersionRow) -> VersionRow:
    """A version without its number, and without who wrote it when."""
    return row._replace(version=0, recorded_at=0, actor=None)


def _header(namespace: Namespace) -> str:
    return f"sleep {namespace.number}"


def _record(namespace: Namespace, run_id: str, number: int) -> str:
    return f"sleep {namespace.number} {run_id} {number}"
