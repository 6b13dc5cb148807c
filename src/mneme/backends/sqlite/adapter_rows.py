"""Files of adapters as rows; their bytes lie in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.outbox_rows import OutboxRows
from mneme.core.rows import AdapterFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_FILE = "digest, part, size, checksum"
_DROPS = "adapter_drops"  # in `meta`: rises whenever a cube lets go of files
_DIGITS = 64  # of the digest at the beginning of a name


class AdapterRows:
    """Which files the versions of parametric cubes name, within one transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany
        self._outbox = OutboxRows(connection)

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
