"""Numbers of shards, and files of adapters, as rows; the bytes lie in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.outbox_rows import OutboxRows
from mneme.core.rows import AdapterFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_FILE = "digest, part, size, checksum"
_DROPS = "adapter_drops"  # in `meta`: rises whenever a cube lets go of files
_FREE = (  # the least number above 0 that no shard of the namespace has
    "SELECT min(number) FROM (SELECT 1 AS number WHERE NOT EXISTS "
    "(SELECT 1 FROM shard WHERE ns = ?1 AND number = 1) "
    "UNION ALL SELECT s.number + 1 FROM shard s WHERE s.ns = ?1 AND NOT EXISTS "
    "(SELECT 1 FROM shard n WHERE n.ns = ?1 AND n.number = s.number + 1))"
)
_DIGITS = 64  # of the digest at the beginning of a name


class AdapterRows:
    """Parametric cubes and the files that their versions name, within one transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany
        self._outbox = OutboxRows(connection)

    def enter(self, ns: int, cube: int, wanted: int = 0) -> int:
        """Give a new parametric cube its number: the one that is wanted, if it is free."""
        if wanted > 0:
            sql = "INSERT INTO shard VALUES (?,?,?) ON CONFLICT DO NOTHING RETURNING number"
            found = self._run(sql, (ns, wanted, cube)).fetchone()
            if found is not None:
                return int(found[0])
        number = int(self._run(_FREE, (ns,)).fetchone()[0])
        self._run("INSERT INTO shard VALUES (?,?,?)", (ns, number, cube))
        return number

    def cubes(self, ns: int) -> list[int]:
        """The parametric cubes of a namespace, in order of writing."""
        return [
            key for (key,) in self._run("SELECT cube FROM shard WHERE ns = ? ORDER BY cube", (ns,))
        ]

    def leave(self, cube: int) -> int:
        """Give back the number of a cube that goes; how many rows that were."""
        return len(self._run("DELETE FROM shard WHERE cube = ? RETURNING 1", (cube,)).fetchall())

    def add(self, cube: int, version: int, files: Iterable[AdapterFile]) -> None:
        """Let a cube hold files, from this version of it on."""
        files = list(files)
        self._run_many(
            "INSERT OR IGNORE INTO adapter_file(digest, part, cube, version, size, checksum) "
            "VALUES (?,?,?,?,?,?)",
            [(f.digest, f.part, cube, version, f.size, f.checksum) for f in files],
        )
        self._outbox.undoom(file.name for file in files)

    def of_digest(self, cube: int, digest: str) -> list[AdapterFile]:
        """The files of that name that a cube holds, by part."""
        sql = f"SELECT {_FILE} FROM adapter_file WHERE cube = ? AND digest = ? ORDER BY part"
        return [AdapterFile(*row) for row in self._run(sql, (cube, digest))]

    def of_cube(self, cube: int) -> list[AdapterFile]:
        """All files that a cube holds for any of its versions."""
        sql = f"SELECT {_FILE} FROM adapter_file WHERE cube = ? ORDER BY version, digest, part"
        return [AdapterFile(*row) for row in self._run(sql, (cube,))]

    def release(self, cube: int) -> list[AdapterFile]:
        """Let a cube hold no file any longer; those it held. What nobody holds is doomed."""
        held = self.of_cube(cube)
        if not held:
            return []
        self._run("DELETE FROM adapter_file WHERE cube = ?", (cube,))
        names = {file.name for file in held}
        self._outbox.doom(names - self.present(names), 0)
        self._run(
            "INSERT INTO meta VALUES (?, '1') ON CONFLICT(name) DO UPDATE SET value = value + 1",
            (_DROPS,),
        )
        return held

    def all(self) -> list[AdapterFile]:
        """Every file that any cube holds, once."""
        sql = f"SELECT DISTINCT {_FILE} FROM adapter_file ORDER BY digest, part"
        return [AdapterFile(*row) for row in self._run(sql)]

    def names(self) -> set[str]:
        """The names of all files that a cube holds."""
        return {f"{d}-{p}" for d, p in self._run("SELECT digest, part FROM adapter_file")}

    def present(self, names: Iterable[str]) -> set[str]:
        """Those of the names that belong to a version."""
        sql = "SELECT 1 FROM adapter_file WHERE digest = ? AND part = ?"
        return {
            name
            for name in names
            if self._run(sql, (name[:_DIGITS], name[_DIGITS + 1 :])).fetchone() is not None
        }

    def digests(self, wanted: Iterable[str]) -> set[str]:
        """Those of the digests that name files of any version."""
        sql = "SELECT 1 FROM adapter_file WHERE digest = ?"
        return {each for each in wanted if self._run(sql, (each,)).fetchone() is not None}

    def drops(self) -> int:
        """A counter that rises whenever a cube lets go of files."""
        found = self._run("SELECT value FROM meta WHERE name = ?", (_DROPS,)).fetchone()
        return int(found[0]) if found else 0
