"""The rows of tables, out of a store and into one; their cubes go before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mneme.core.tabular import TableRow
from mneme.vault.marks import TABLE
from mneme.vault.moving import id_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.parts import Parts


class MovedRow(NamedTuple):
    """A row on its way; its source is named by id."""

    row: int
    since: int
    until: int | None
    source: str | None
    untrusted: int
    value: str


class MovedRows(NamedTuple):
    """Rows of one table: the id of its cube, the version that it is at, and the rows."""

    table: str
    version: int
    rows: tuple[MovedRow, ...]


def table_rows(parts: Parts, path: str, tables: Mapping[str, int]) -> Iterator[MovedRows]:
    """The rows of tables as they were up to a version; not those whose source is hidden.

    Args:
        parts: The store.
        path: Of the namespace.
        tables: The versions of the tables' cubes, by id.
    """
    for table, version in tables.items():
        with parts.store.read() as tx:
            rows = _readable(tx, parts, path, (table, version))
        if rows:
            yield MovedRows(table, version, tuple(rows))


def _readable(tx: Transaction, parts: Parts, path: str, table: tuple[str, int]) -> list[MovedRow]:
    known = tx.cubes.namespace(path)
    cube = tx.cubes.current(known.number, table[0]) if known else None
    if known is None or cube is None:  # it was erased meanwhile
        return []
    hidden = set(tx.tables.stamp(cube.key, parts.clock.now_us())[1])
    rows = [r for r in tx.tables.all(cube.key) if r.since <= table[1] and r.source not in hidden]
    sources = dict.fromkeys(r.source for r in rows if r.source is not None)
    ids = {each.key: each.id for each in tx.cubes.current_of_keys(known.number, sources)}
    return [
        MovedRow(
            r.row,
            r.since,
            r.until if r.until is not None and r.until <= table[1] else None,
            None if r.source is None else ids.get(r.source),
            r.untrusted,
            r.value,
        )
        for r in rows
    ]


def insert_rows(parts: Parts, path: str, moved: MovedRows) -> None:
    """Write the rows of a table whose cube was imported, all or none.

    A table that has rows, or that has changed since, is left as it is.
    """
    with parts.store.write() as tx:
        known = tx.cubes.namespace(path)
        cube = None if known is None else _imported(tx, known, path, moved.table)
        if known is None or cube is None or (cube.type, cube.version) != (TABLE, moved.version):
            return
        if tx.tables.all(cube.key):
            return
        tx.cubes.touch_namespace(path)
        tx.tables.put(cube.key, [_arrived(tx, known, path, row) for row in moved.rows])


def _arrived(tx: Transaction, known: Namespace, path: str, row: MovedRow) -> TableRow:
    source = None if row.source is None else _imported(tx, known, path, row.source)
    tainted = row.untrusted or int(source is not None and source.trust == "untrusted")
    key = None if source is None else source.key
    return TableRow(row.row, row.since, row.until, key, tainted, row.value)


def _imported(tx: Transaction, known: Namespace, path: str, cube_id: str) -> VersionRow | None:
    """A cube under its own id, or under the one that its copy got."""
    own = tx.cubes.current(known.number, cube_id)
    return own or tx.cubes.current(known.number, id_within(path, cube_id))
