"""Blocks of keys and values as rows; their bytes lie in files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.outbox_rows import OutboxRows
from mneme.backends.sqlite.schema import VERSIONS
from mneme.core.rows import BlockRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_BLOCK = "number, engine, key, parent, form, tokens, start, size, checksum, cost_s, uses, used_at"
_VISIBLE = (
    "{cube}.state NOT IN ('forgotten', 'expired', 'erased') AND "
    "({version}.expires_at IS NULL OR {version}.expires_at > :now)"
)
_OF = f"JOIN version {{version}} ON {{version}}.vid = {{cube}}.key * {VERSIONS} + {{cube}}.version"
_HELD = (  # by a cube that reads may show, all of whose sources they may show, too
    f"EXISTS (SELECT 1 FROM block_of o JOIN cube c ON c.key = o.cube "
    f"{_OF.format(cube='c', version='v')} "
    f"WHERE o.block = block.number AND {_VISIBLE.format(cube='c', version='v')} "
    "AND NOT EXISTS (SELECT 1 FROM edge e JOIN cube p ON p.key = e.parent "
    f"{_OF.format(cube='p', version='w')} WHERE e.child = c.key AND e.relation = 'carries' "
    f"AND NOT ({_VISIBLE.format(cube='p', version='w')})))"
)
_DROPS = "block_drops"  # in `meta`: rises whenever a block goes
_DIGITS = 64  # of the key at the beginning of a name


class BlockRows:
    """Blocks, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany
        self._outbox = OutboxRows(connection)

    # -- what is there

    def add(self, ns: int, cube: int, rows: Iterable[BlockRow]) -> None:
        """Let a cube hold blocks; those without a number are written, or written anew.

        A row with a number was read here before; if the block went meanwhile, it stays gone.
        """
        for row in rows:
            if not row.number:
                self._run(
                    "INSERT INTO block(ns, engine, key, parent, form, tokens, start, size, "
                    "checksum, cost_s, uses, used_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) "
                    "ON CONFLICT(key, form) DO UPDATE SET size = excluded.size, "
                    "checksum = excluded.checksum, cost_s = excluded.cost_s "
                    "WHERE ns = excluded.ns AND engine = excluded.engine",
                    (ns, *row[1:]),
                )
                self._outbox.undoom([row.name])  # the file is there again
            self._run(
                "INSERT OR IGNORE INTO block_of(cube, block) SELECT ?, number FROM block "
                "WHERE key = ? AND form = ? AND ns = ? AND engine = ?",
                (cube, row.key, row.form, ns, row.engine),
            )

    def of_keys(
        self, ns: int, engine: str, keys: Iterable[bytes], now: int | None = None
    ) -> list[BlockRow]:
        """The blocks of these keys, in all forms, by start."""
        return self._by("key", (ns, engine), keys, now)

    def children(
        self, ns: int, engine: str, parent: bytes, now: int | None = None
    ) -> list[BlockRow]:
        """The blocks that follow one."""
        return self._by("parent", (ns, engine), [parent], now)

    def of_cube(self, cube: int) -> list[BlockRow]:
        """The blocks that a cube holds, by start."""
        sql = (
            f"SELECT {_BLOCK} FROM block WHERE number IN (SELECT block FROM block_of "
            "WHERE cube = ?) ORDER BY start, number"
        )
        return [BlockRow(*row) for row in self._run(sql, (cube,))]

    def held(self, cube: int) -> tuple[int, int]:
        """How many blocks a cube holds, and the bytes of their files."""
        sql = (
            "SELECT count(*), ifnull(sum(b.size), 0) FROM block_of o JOIN block b "
            "ON b.number = o.block WHERE o.cube = ?"
        )
        found: tuple[int, int] = self._run(sql, (cube,)).fetchone()
        return found

    def all(self) -> list[BlockRow]:
        """Every block of the store."""
        return [BlockRow(*r) for r in self._run(f"SELECT {_BLOCK} FROM block ORDER BY number")]

    def names(self) -> set[str]:
        """The names of all files that belong to a block."""
        return {f"{k.hex()}-{form}" for k, form in self._run("SELECT key, form FROM block")}

    def present(self, names: Iterable[str]) -> set[str]:
        """Those of the names that belong to a block."""
        sql = "SELECT 1 FROM block WHERE key = ? AND form = ?"
        return {name for name in names if self._run(sql, _parted(name)).fetchone() is not None}

    def says(self, tokens: bytes) -> bool:
        """Whether any block holds this run of tokens."""
        sql = "SELECT 1 FROM block WHERE instr(tokens, ?) LIMIT 1"
        return self._run(sql, (tokens,)).fetchone() is not None

    def total_bytes(self) -> int:
        """Bytes of all files of blocks."""
        return int(self._run("SELECT ifnull(sum(size), 0) FROM block").fetchone()[0])

    def used(self, uses: Iterable[tuple[int, int]], at: int) -> None:
        """Add (number, uses)."""
        self._run_many(
            "UPDATE block SET uses = uses + ?, used_at = max(used_at, ?) WHERE number = ?",
            [(count, at, number) for number, count in uses],
        )

    # -- what goes

    def release(self, cube: int, keep: Iterable[str] = ()) -> list[BlockRow]:
        """Let a cube hold no block any longer, save those named; the blocks that went."""
        kept = set(keep)
        held = [row for row in self.of_cube(cube) if row.name not in kept]
        self._run_many(
            "DELETE FROM block_of WHERE cube = ? AND block = ?", [(cube, r.number) for r in held]
        )
        sql = "SELECT 1 FROM block_of WHERE block = ?"
        free = [row for row in held if self._run(sql, (row.number,)).fetchone() is None]
        self.drop(row.number for row in free)
        return free

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete blocks, whoever holds them; their files are doomed."""
        names: list[str] = []
        for number in numbers:
            gone = self._run(
                "DELETE FROM block WHERE number = ? RETURNING key, form", (number,)
            ).fetchall()
            self._run("DELETE FROM block_of WHERE block = ?", (number,))
            names += [f"{key.hex()}-{form}" for key, form in gone]
        self._outbox.doom(names, 0)
        if names:
            self._run(
                "INSERT INTO meta VALUES (?, '1') ON CONFLICT(name) "
                "DO UPDATE SET value = value + 1",
                (_DROPS,),
            )

    def drops(self) -> int:
        """A counter that rises whenever a block goes."""
        found = self._run("SELECT value FROM meta WHERE name = ?", (_DROPS,)).fetchone()
        return int(found[0]) if found else 0

    # -- within

    def _by(
        self, column: str, whose: tuple[int, str], keys: Iterable[bytes], now: int | None
    ) -> list[BlockRow]:
        sql = (
            f"SELECT {_BLOCK} FROM block WHERE {column} IN "
            "(SELECT unhex(value) FROM json_each(:keys)) AND ns = :ns AND engine = :engine "
        )
        wanted = json.dumps([key.hex() for key in keys])
        values: dict[str, Any] = {"keys": wanted, "ns": whose[0], "engine": whose[1]}
        if now is not None:
            sql += f"AND {_HELD} "
            values["now"] = now
        return [BlockRow(*row) for row in self._run(sql + "ORDER BY start, number", values)]


def _parted(name: str) -> tuple[bytes, str]:
    """The key and the form in a name; what is no name of a block gives no key."""
    try:
        return bytes.fromhex(name[:_DIGITS]), name[_DIGITS + 1 :]
    except ValueError:
        return b"", ""
