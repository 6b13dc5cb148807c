"""The rows of the tables that users keep, each with the versions of the cube between which it held.

All tables share one SQL table: a table of its own for each would leave its name in the pages of
the schema after an erasure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.schema import VERSIONS
from mneme.core.tabular import TableRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_ROW = "row, since, until, source, untrusted, value"
_HIDDEN = (  # sources of a table that no read may show
    "SELECT DISTINCT r.source FROM table_row r JOIN cube c ON c.key = r.source "
    f"JOIN version v ON v.vid = c.key * {VERSIONS} + c.version WHERE r.key = ?1 "
    "AND r.source IS NOT NULL AND (c.state IN ('forgotten', 'expired') OR v.expires_at <= ?2) "
    "ORDER BY r.source"
)


class TableRows:
    """The rows of tables, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    def put(self, key: int, rows: Iterable[TableRow]) -> None:
        """Write rows of a table; those that are there stay."""
        self._run_many(
            "INSERT OR IGNORE INTO table_row VALUES (?,?,?,?,?,?,?)", [(key, *row) for row in rows]
        )

    def end(self, key: int, numbers: Iterable[int], version: int) -> None:
        """Let rows hold no longer from a version on."""
        self._run_many(
            "UPDATE table_row SET until = ? WHERE key = ? AND row = ? AND until IS NULL",
            [(version, key, number) for number in numbers],
        )

    def at(self, key: int, version: int) -> list[TableRow]:
        """The rows that held at a version, by number."""
        sql = (
            f"SELECT {_ROW} FROM table_row WHERE key = ?1 AND since <= ?2 "
            "AND (until IS NULL OR until > ?2) ORDER BY row"
        )
        return [TableRow(*row) for row in self._run(sql, (key, version))]

    def all(self, key: int) -> list[TableRow]:
        """Every row that a table ever had."""
        sql = f"SELECT {_ROW} FROM table_row WHERE key = ? ORDER BY row, since"
        return [TableRow(*row) for row in self._run(sql, (key,))]

    def of_source(self, source: int) -> list[str]:
        """What the rows say that came from a cube."""
        sql = "SELECT value FROM table_row WHERE source = ? ORDER BY key, row, since"
        return [value for (value,) in self._run(sql, (source,))]

    def next_row(self, key: int) -> int:
        """A number that no row of the table has."""
        sql = "SELECT ifnull(max(row), 0) + 1 FROM table_row WHERE key = ?"
        return int(self._run(sql, (key,)).fetchone()[0])

    def live(self, key: int) -> int:
        """How many rows a table has now."""
        sql = "SELECT count(*) FROM table_row WHERE key = ? AND until IS NULL"
        return int(self._run(sql, (key,)).fetchone()[0])

    def tainted(self, key: int, version: int) -> set[int | None]:
        """The sources of the untrusted rows that held at a version."""
        sql = (
            "SELECT DISTINCT source FROM table_row WHERE key = ?1 AND untrusted = 1 "
            "AND since <= ?2 AND (until IS NULL OR until > ?2)"
        )
        return {source for (source,) in self._run(sql, (key, version))}

    def stamp(self, key: int, now: int) -> tuple[int, tuple[int, ...]]:
        """How many rows have a source, and the sources among them that are hidden now.

        Together with the version this tells whether a table is what it was: an erasure of a source
        takes its rows away and writes no version.
        """
        sql = "SELECT count(*) FROM table_row WHERE key = ? AND source IS NOT NULL"
        count = self._run(sql, (key,)).fetchone()[0]
        return int(count), tuple(source for (source,) in self._run(_HIDDEN, (key, now)))

    def roll_back(self, key: int, to_version: int, version: int) -> None:
        """Let the rows that held at one version hold again from another on, and no others."""
        wanted = {row.row: row for row in self.at(key, to_version)}
        now = {row.row: row for row in self.at(key, version - 1)}
        self.end(key, [n for n, row in now.items() if wanted.get(n) != row], version)
        back = [row for n, row in wanted.items() if now.get(n) != row]
        self.put(key, [row._replace(since=version, until=None) for row in back])
