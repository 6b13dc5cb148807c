"""Names of files that are to be removed once it is due, whatever kind of memory they were of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw


class OutboxRows:
    """The table `doomed`, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    def doom(self, names: Iterable[str], due: int) -> None:
        """Have files removed once it is due; the later word counts."""
        self._run_many(
            "INSERT INTO doomed VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET due = excluded.due",
            [(name, due) for name in names],
        )

    def doomed(self, due: int, limit: int = -1) -> list[str]:
        """Names of files that are to be removed by then."""
        sql = "SELECT name FROM doomed WHERE due <= ? LIMIT ?"
        return [name for (name,) in self._run(sql, (due, limit))]

    def next_doom(self) -> int | None:
        """When the next file is due; None where none is doomed."""
        due: int | None = self._run("SELECT min(due) FROM doomed").fetchone()[0]
        return due

    def undoom(self, names: Iterable[str]) -> None:
        """Take names back: their files are there again, or gone from everywhere."""
        self._run_many("DELETE FROM doomed WHERE name = ?", [(name,) for name in names])
