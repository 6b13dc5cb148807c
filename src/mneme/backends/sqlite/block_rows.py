"""Blocks of keys and values as rows; their bytes lie in files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.core.rows import BlockRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_BLOCK = (
    "number, engine, key, parent, content, form, tokens, start, size, checksum, cost_s, uses, "
    "used_at"
)
_DROPS = "block_drops"  # in `meta`: rises whenever a block goes


class BlockRows:
    """Blocks, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    def add(self, ns: int, cube: int, rows: Iterable[BlockRow]) -> None:
        """Keep blocks (those that are there in that form stay), held by a cube."""
        for row in rows:
            self._run(
                "INSERT OR IGNORE INTO block(ns, engine, key, parent, content, form, tokens, "
                "start, size, checksum, cost_s, uses, used_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (ns, *row[1:]),
            )
            self._run(
                "INSERT OR IGNORE INTO block_of(cube, block) SELECT ?, number FROM block "
                "WHERE ns = ? AND engine = ? AND key = ? AND form = ?",
                (cube, ns, row.engine, row.key, row.form),
            )
            self.undoom([row.name])  # the file is there again

    def of_keys(self, ns: int, engine: str, keys: Iterable[bytes]) -> list[BlockRow]:
        """The blocks of these keys, in all forms, by start."""
        return self._by("key", ns, engine, keys)

    def children(self, ns: int, engine: str, parent: bytes) -> list[BlockRow]:
        """The blocks that follow one."""
        return self._by("parent", ns, engine, [parent])

    def of_contents(self, ns: int, engine: str, contents: Iterable[bytes]) -> list[BlockRow]:
        """The blocks of these tokens, wherever they stood."""
        return self._by("content", ns, engine, contents)

    def of_cube(self, cube: int) -> list[BlockRow]:
        """The blocks that a cube holds, by start."""
        sql = (
            f"SELECT {_BLOCK} FROM block WHERE number IN (SELECT block FROM block_of "
            "WHERE cube = ?) ORDER BY start, number"
        )
        return [BlockRow(*row) for row in self._run(sql, (cube,))]

    def release(self, cube: int) -> int:
        """Let a cube hold no block any longer; how many blocks went."""
        held = [n for (n,) in self._run("SELECT block FROM block_of WHERE cube = ?", (cube,))]
        self._run("DELETE FROM block_of WHERE cube = ?", (cube,))
        free = [
            number
            for number in held
            if self._run("SELECT 1 FROM block_of WHERE block = ?", (number,)).fetchone() is None
        ]
        self.drop(free)
        return len(free)

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete blocks, whoever holds them; their files are doomed."""
        some = False
        for number in numbers:
            sql = f"DELETE FROM block WHERE number = ? RETURNING {_BLOCK}"
            gone = self._run(sql, (number,)).fetchall()
            self._run("DELETE FROM block_of WHERE block = ?", (number,))
            self._run_many(
                "INSERT OR IGNORE INTO doomed VALUES (?)", [(BlockRow(*r).name,) for r in gone]
            )
            some = some or bool(gone)
        if some:
            self._run(
                "INSERT INTO meta VALUES (?, '1') ON CONFLICT(name) "
                "DO UPDATE SET value = value + 1",
                (_DROPS,),
            )

    def used(self, numbers: Iterable[int], at: int) -> None:
        """Count a use of each."""
        self._run_many(
            "UPDATE block SET uses = uses + 1, used_at = max(used_at, ?) WHERE number = ?",
            [(at, number) for number in numbers],
        )

    def all(self) -> list[BlockRow]:
        """Every block of the store."""
        return [BlockRow(*r) for r in self._run(f"SELECT {_BLOCK} FROM block ORDER BY number")]

    def names(self) -> set[str]:
        """The names of all files that belong to a block."""
        return {BlockRow(*r).name for r in self._run(f"SELECT {_BLOCK} FROM block")}

    def total_bytes(self) -> int:
        """Bytes of all files of blocks."""
        return int(self._run("SELECT ifnull(sum(size), 0) FROM block").fetchone()[0])

    def doomed(self, limit: int) -> list[str]:
        """Names of files that are still to be removed."""
        return [name for (name,) in self._run("SELECT name FROM doomed LIMIT ?", (limit,))]

    def undoom(self, names: Iterable[str]) -> None:
        """Say that files are gone, or wanted again."""
        self._run_many("DELETE FROM doomed WHERE name = ?", [(name,) for name in names])

    def drops(self) -> int:
        """A counter that rises whenever a block goes."""
        found = self._run("SELECT value FROM meta WHERE name = ?", (_DROPS,)).fetchone()
        return int(found[0]) if found else 0

    def _by(self, column: str, ns: int, engine: str, keys: Iterable[bytes]) -> list[BlockRow]:
        wanted = json.dumps([key.hex() for key in keys])
        sql = (
            f"SELECT {_BLOCK} FROM block WHERE ns = ? AND engine = ? AND {column} IN "
            "(SELECT unhex(value) FROM json_each(?)) ORDER BY start, number"
        )
        return [BlockRow(*row) for row in self._run(sql, (ns, engine, wanted))]
