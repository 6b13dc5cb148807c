"""Tables of a namespace: cubes of type "table", and their rows, written through the vault.

Each change is one new version of the table's cube, its rows and its audit entry, in one
transaction. The idea is that of ChatDB (arXiv:2306.03901): a model asks a database with SQL
instead of reading all of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import (
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    VersionConflictError,
)
from mneme.core.lifecycle import SEARCHED, State
from mneme.core.tabular import TableRow, TableView
from mneme.govern.retention import is_hidden
from mneme.memories.plaintext.tables.cells import cell_of, column_of, pack, unpack, value_of
from mneme.memories.plaintext.tables.shape import METHOD, Shape, read_shape
from mneme.memories.plaintext.tables.where import meets, parse_where
from mneme.vault.draft import Draft
from mneme.vault.marks import DERIVED, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.core.tabular import Cell
    from mneme.vault.vault import Vault

MOST_TABLES = 64
MOST_ROWS = 100_000
MOST_AT_ONCE = 10_000


class Opened(NamedTuple):
    """A table: its cube and its shape."""

    row: VersionRow
    shape: Shape


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        number: Within the table; in SQL it is the `rowid`.
        cells: By column.
        source: Id of the cube that it came from, if one was named.
        trust: "untrusted" if that cube was.
    """

    number: int
    cells: Mapping[str, Cell]
    source: str | None
    trust: str


class Tables:
    """The tables of one namespace."""

    def __init__(self, vault: Vault, path: str, zone: tzinfo) -> None:
        self._vault, self._path, self._zone = vault, path, zone
        self._store, self._clock = vault.parts.store, vault.parts.clock

    # -- the table itself

    def create(self, shape: Shape) -> Opened:
        """Make a table, or open the one that has this name and these columns.

        Raises:
            InvalidInputError: There is one of this name with other columns, or too many.
        """
        with self._store.write() as tx:
            known = tx.cubes.namespace(self._path)
            there = list(self._all(tx, known))
            for opened in there:
                if opened.shape.name.casefold() == shape.name.casefold():
                    return _same(opened, shape)
            if len(there) >= MOST_TABLES:
                raise InvalidInputError(f"the namespace has {MOST_TABLES} tables, which is most")
            draft = Draft(
                text=shape.text, type=TABLE, metadata=shape.metadata, origin=DERIVED, method=METHOD
            )
            namespace = tx.cubes.touch_namespace(self._path)
            return Opened(self._vault.writer.insert(tx, self._path, namespace, [draft])[0], shape)

    def named(self, name: str) -> Opened:
        """The table of a name.

        Raises:
            InvalidInputError: There is none; the message names those that there are.
        """
        with self._store.read() as tx:
            there = list(self._all(tx, tx.cubes.namespace(self._path)))
        for opened in there:
            if opened.shape.name.casefold() == name.casefold():
                return opened
        known = ", ".join(str(opened.shape) for opened in there) or "none yet"
        raise InvalidInputError(
            f"no table {name!r:.80}; there are: {known}; give columns to make a new one"
        )

    def opened(self, cube_id: str) -> Opened:
        """The table whose cube has this id."""
        with self._store.read() as tx:
            return self._opened(tx, cube_id)

    # -- its rows

    def insert(
        self,
        cube_id: str,
        rows: Sequence[object],
        source: str | None = None,
        expected: int | None = None,
    ) -> list[int]:
        """Write rows, all or none; their numbers.

        Args:
            cube_id: Of the table.
            rows: Mappings from columns to values.
            source: Id of the cube that they were taken from; they go when it is erased.
            expected: The version that the table must have.
        """
        if len(rows) > MOST_AT_ONCE:
            raise InvalidInputError(f"{len(rows)} rows; at most {MOST_AT_ONCE} go at once")
        shape = self.opened(cube_id).shape
        values = [pack(value_of(row, shape, self._zone)) for row in rows]
        if not values:
            return []
        with self._store.write() as tx:
            opened = self._to_change(tx, cube_id, expected)
            key = opened.row.key
            if tx.tables.live(key) + len(values) > MOST_ROWS:
                raise InvalidInputError(f"a table has at most {MOST_ROWS} rows")
            origin = None if source is None else self._vault.lives.readable(tx, self._path, source)
            first = tx.tables.next_row(key)
            written = self._written(tx, opened.row, "insert rows")
            tainted = int(origin is not None and origin.trust == "untrusted")
            of = None if origin is None else origin.key
            tx.tables.put(
                key,
                (
                    TableRow(first + n, written.version, None, of, tainted, value)
                    for n, value in enumerate(values)
                ),
            )
        return list(range(first, first + len(values)))

    def update(
        self,
        cube_id: str,
        where: object,
        changes: Mapping[str, object],
        expected: int | None = None,
    ) -> int:
        """Give the rows that are meant other cells; how many they are."""
        shape = self.opened(cube_id).shape
        cells = {}
        for name, value in changes.items():
            column = column_of(name, shape)
            cells[column.name] = cell_of(value, column, self._zone)

        def changed(row: TableRow) -> TableRow:
            return row._replace(value=pack({**unpack(row.value, shape.columns), **cells}))

        return self._replace(cube_id, (where, changed), "update rows", expected)

    def delete(self, cube_id: str, where: object, expected: int | None = None) -> int:
        """Remove the rows that are meant; how many they were. `as_of` still finds them."""
        return self._replace(cube_id, (where, None), "delete rows", expected)

    def rows(self, cube_id: str, where: object, limit: int, as_of: int | None = None) -> list[Row]:
        """The rows that are meant, in order of writing."""
        with self._store.read() as tx:
            opened = self._opened(tx, cube_id, as_of)
            tests = parse_where(where, opened.shape, self._zone)
            found = []
            for row in self._visible(tx, opened.row):
                cells = unpack(row.value, opened.shape.columns)
                if meets(cells, tests):
                    found.append(self._row(tx, row, cells))
                if len(found) == limit:
                    break
        return found

    def views(self, as_of: int | None = None) -> list[TableView]:
        """The tables as the door to them shows them, now or as they were at a past time."""
        with self._store.read() as tx:
            known = tx.cubes.namespace(self._path)
            views: dict[str, TableView] = {}
            for opened in self._all(tx, known):
                if opened.row.state in SEARCHED:
                    then = _at(tx, known, opened, as_of)
                    if then is not None:
                        view = self._view(tx, then, views)
                        views[view.name.casefold()] = view
        return list(views.values())

    # -- within

    def _all(self, tx: Transaction, known: Namespace | None) -> Iterator[Opened]:
        """The readable tables of the namespace, in order of writing."""
        if known is None:
            return
        now = self._clock.now_us()
        keys = tx.written.marked(known.number, TABLE, 0)
        for row in tx.cubes.current_of_keys(known.number, keys):
            shape = read_shape(row.metadata)
            if row.type == TABLE and shape is not None and not is_hidden(row, now):
                yield Opened(row, shape)

    def _opened(self, tx: Transaction, cube_id: str, as_of: int | None = None) -> Opened:
        row = self._vault.lives.readable(tx, self._path, cube_id)
        shape = read_shape(row.metadata) if row.type == TABLE else None
        if shape is None:
            raise InvalidInputError(
                f"cube {cube_id!r} is no table, or says no longer what its columns are; "
                "roll it back, or make a table with columns"
            )
        then = _at(tx, tx.cubes.namespace(self._path), Opened(row, shape), as_of)
        if then is None:
            raise CubeNotFoundError(cube_id, self._path)
        return then

    def _to_change(self, tx: Transaction, cube_id: str, expected: int | None) -> Opened:
        opened = self._opened(tx, cube_id)
        if expected is not None and opened.row.version != expected:
            raise VersionConflictError(cube_id, expected, opened.row.version)
        if opened.row.state == State.FROZEN:
            raise FrozenCubeError(cube_id, "changes of its rows")
        return opened

    def _written(self, tx: Transaction, row: VersionRow, verb: str) -> VersionRow:
        namespace = tx.cubes.touch_namespace(self._path)
        return self._vault.lives.write(tx, self._path, namespace, row, verb)

    def _replace(
        self,
        cube_id: str,
        meant: tuple[object, Callable[[TableRow], TableRow] | None],
        verb: str,
        expected: int | None,
    ) -> int:
        """End the rows that are meant and write what they become, if they become anything."""
        where, changed = meant
        with self._store.write() as tx:
            opened = self._to_change(tx, cube_id, expected)
            tests = parse_where(where, opened.shape, self._zone)
            rows = [
                row
                for row in self._visible(tx, opened.row)
                if meets(unpack(row.value, opened.shape.columns), tests)
            ]
            if changed is not None:
                rows = [row for row in rows if changed(row) != row]
            if not rows:
                return 0
            version = self._written(tx, opened.row, verb).version
            tx.tables.end(opened.row.key, [row.row for row in rows], version)
            if changed is not None:
                tx.tables.put(
                    opened.row.key, (changed(row)._replace(since=version) for row in rows)
                )
        return len(rows)

    def _visible(self, tx: Transaction, row: VersionRow) -> list[TableRow]:
        """The rows of a version of a table, without those whose source is hidden now."""
        hidden = set(tx.tables.stamp(row.key, self._clock.now_us())[1])
        return [each for each in tx.tables.at(row.key, row.version) if each.source not in hidden]

    def _row(self, tx: Transaction, row: TableRow, cells: Mapping[str, Cell]) -> Row:
        source = None
        if row.source is not None:
            known = tx.cubes.namespace(self._path)
            rows = tx.cubes.current_of_keys(known.number, [row.source]) if known else []
            source = rows[0].id if rows else None
        return Row(row.row, cells, source, "untrusted" if row.untrusted else "trusted")

    def _view(self, tx: Transaction, opened: Opened, taken: Mapping[str, object]) -> TableView:
        """A table as the door shows it; its rows are read only if the door wants them."""
        row, shape = opened
        count, hidden = tx.tables.stamp(row.key, self._clock.now_us())
        tainted = tx.tables.tainted(row.key, row.version) - set(hidden)
        return TableView(
            name=_free(shape.name, taken),
            columns=shape.columns,
            stamp=(row.key, row.version, shape, count, hidden),
            untrusted=row.trust == "untrusted" or bool(tainted),
            load=partial(self._cells, opened, frozenset(hidden)),
        )

    def _cells(
        self, opened: Opened, hidden: frozenset[int | None]
    ) -> Iterator[tuple[int, list[Cell]]]:
        with self._store.read() as tx:
            rows = tx.tables.at(opened.row.key, opened.row.version)
        for row in rows:
            if row.source not in hidden:
                yield row.row, list(unpack(row.value, opened.shape.columns).values())


def _same(opened: Opened, shape: Shape) -> Opened:
    """The table that is there, if it has the columns that are asked for."""
    if opened.shape.columns != shape.columns:
        raise InvalidInputError(
            f"there is a table {opened.shape} with other columns or types; "
            "open it by its name alone, or choose another name"
        )
    return opened


def _at(
    tx: Transaction, known: Namespace | None, opened: Opened, as_of: int | None
) -> Opened | None:
    """A table as it was at a past time; None where it was not there yet."""
    if as_of is None or known is None:
        return opened
    row = tx.cubes.as_of(known.number, as_of, opened.row.key)
    shape = read_shape(row.metadata) if row is not None and row.type == TABLE else None
    return None if row is None or shape is None else Opened(row, shape)


def _free(name: str, taken: Mapping[str, object]) -> str:
    """A name that no other table of the door has: two may share one after a `restore`."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}_{number}"
    return free
