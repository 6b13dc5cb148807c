"""The vault's tables in one SQLite file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

from mneme.backends.sqlite import upkeep
from mneme.backends.sqlite.adapter_rows import AdapterRows
from mneme.backends.sqlite.block_rows import BlockRows
from mneme.backends.sqlite.connection import Connections, checksum_vfs, our_errors
from mneme.backends.sqlite.cube_rows import CubeRows
from mneme.backends.sqlite.entry_rows import EntryRows
from mneme.backends.sqlite.ledger_rows import LedgerRows
from mneme.backends.sqlite.outbox_rows import OutboxRows
from mneme.backends.sqlite.raw_bytes import sizes_of
from mneme.backends.sqlite.schema import NEWEST, VERSIONS
from mneme.backends.sqlite.table_rows import TableRows
from mneme.backends.sqlite.written_rows import WrittenRows
from mneme.core.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "mneme.db"


class SqliteTransaction:
    """The rows of a store within one transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.cubes = CubeRows(connection)
        self.entries = EntryRows(connection)
        self.ledger = LedgerRows(connection)
        self.written = WrittenRows(connection)
        self.tables = TableRows(connection)
        self.blocks = BlockRows(connection)
        self.adapters = AdapterRows(connection)
        self.outbox = OutboxRows(connection)
        self._run: Any = connection.execute

    def erase(self, seq: int, key: int) -> dict[str, int]:
        """Delete every row of a cube but its bare id, and what it alone held in files."""
        gone = {"block": len(self.blocks.release(key))}
        gone |= {"adapter_file": len(self.adapters.release(key)), "shard": self.adapters.leave(key)}
        return self.ledger.erase(seq, key, VERSIONS) | gone

    def counts(self) -> dict[str, int]:
        """Rows and bytes for `stats`."""
        one = {
            "cubes": "SELECT count(*) FROM cube WHERE state != 'erased'",
            "versions": "SELECT count(*) FROM version",
            "namespaces": "SELECT count(*) FROM namespace",
            "audit_entries": "SELECT count(*) FROM audit",
            "table_rows": "SELECT count(*) FROM table_row WHERE until IS NULL",
            "texts": "SELECT count(*) FROM text",
            "blocks": "SELECT count(*) FROM block",
            "activation_bytes": "SELECT ifnull(sum(size), 0) FROM block",
            "adapter_files": "SELECT count(*) FROM adapter_file",
            "parametric_bytes": "SELECT ifnull(sum(size), 0) FROM "
            "(SELECT DISTINCT digest, part, size FROM adapter_file)",
            "text_bytes": "SELECT ifnull(sum(octet_length(body)), 0) FROM text",
            "index_bytes": "SELECT ifnull(sum(octet_length(terms) + octet_length(spans)), 0) "
            "FROM entry",
            "vector_bytes": "SELECT ifnull(sum(octet_length(vectors)), 0) FROM entry",
        }
        return {name: int(self._run(sql).fetchone()[0]) for name, sql in one.items()}

    def states(self) -> dict[str, int]:
        """How many cubes are in each state."""
        sql = "SELECT state, count(*) FROM cube WHERE state != 'erased' GROUP BY state"
        return dict(self._run(sql).fetchall())

    def types(self) -> dict[str, int]:
        """How many current cubes of plaintext are of each type."""
        sql = (
            "SELECT v.type, count(*) FROM cube c JOIN version v "
            f"ON v.vid = c.key * {VERSIONS} + c.version WHERE v.kind = 'plaintext' "
            "GROUP BY v.type"
        )
        return dict(self._run(sql).fetchall())

    def dangling(self) -> list[str]:
        """Rows that point to rows that are not there."""
        checks = {
            "cubes without their current version": "SELECT count(*) FROM cube c WHERE state != "
            f"'erased' AND NOT EXISTS (SELECT 1 FROM version v WHERE v.vid = c.key * {VERSIONS} + "
            "c.version AND v.state = c.state)",
            "versions without their text": "SELECT count(*) FROM version v WHERE NOT EXISTS "
            f"(SELECT 1 FROM text t WHERE t.vid = (v.vid / {VERSIONS}) * {VERSIONS} + "
            "v.text_version)",
            "cubes whose versions have a gap": "SELECT count(*) FROM cube c WHERE state != "
            "'erased' AND c.version != (SELECT count(*) FROM version v WHERE v.vid > c.key * "
            f"{VERSIONS} AND v.vid < (c.key + 1) * {VERSIONS})",
            "texts without an index entry": "SELECT count(*) FROM text t WHERE NOT EXISTS "
            "(SELECT 1 FROM entry e WHERE e.vid = t.vid)",
            "rows of erased cubes": "SELECT count(*) FROM cube c WHERE state = 'erased' AND EXISTS "
            f"(SELECT 1 FROM text t WHERE t.vid > c.key * {VERSIONS} AND t.vid < (c.key + 1) * "
            f"{VERSIONS})",
            "rows of tables that are not there": "SELECT count(*) FROM table_row r WHERE NOT "
            f"EXISTS (SELECT 1 FROM version v WHERE v.vid = r.key * {VERSIONS} + r.since)",
            "blocks that no cube holds": "SELECT count(*) FROM block WHERE number NOT IN "
            "(SELECT block FROM block_of)",
            "holders of blocks that are not there": "SELECT count(*) FROM block_of WHERE block "
            "NOT IN (SELECT number FROM block) OR cube NOT IN (SELECT key FROM cube WHERE state "
            "!= 'erased')",
            "parametric cubes without a number": "SELECT count(*) FROM cube c WHERE state != "
            f"'erased' AND (SELECT kind FROM version v WHERE v.vid = c.key * {VERSIONS} + "
            "c.version) = 'parametric' AND key NOT IN (SELECT cube FROM shard)",
            "numbers of parametric cubes that are not there": "SELECT count(*) FROM shard WHERE "
            "cube NOT IN (SELECT key FROM cube WHERE state != 'erased')",
            "files of adapters of cubes that are not there": "SELECT count(*) FROM adapter_file "
            "WHERE cube NOT IN (SELECT key FROM cube WHERE state != 'erased')",
            "edges to cubes that are not there": "SELECT count(*) FROM edge WHERE parent NOT IN "
            "(SELECT key FROM cube) OR child NOT IN (SELECT key FROM cube)",
        }
        counts = {what: self._run(sql).fetchone()[0] for what, sql in checks.items()}
        return [f"{count} {what}" for what, count in counts.items() if count]


class SqliteStore:
    """One folder with one database file.

    Args:
        folder: Where the file lies; it must exist.
        busy_timeout_s: How long to wait for another writer.
        vfs: SQLite's name of the disk to use; a test may pass its own.
    """

    def __init__(self, folder: Path, *, busy_timeout_s: float, vfs: str | None = None) -> None:
        self.folder, self._path = folder, folder / FILE_NAME
        self._busy_timeout_s = busy_timeout_s
        self._connections = Connections(self._path, busy_timeout_s=busy_timeout_s, vfs=vfs)

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """One consistent state of the store."""
        with self._connections.reading() as connection:
            yield SqliteTransaction(connection)

    @contextmanager
    def write(self) -> Iterator[SqliteTransaction]:
        """Changes that are durable together at the end, or not made."""
        with self._connections.writing() as connection:
            yield SqliteTransaction(connection)

    def scrub(self) -> bool:
        """Leave no byte of what was deleted; False while a reader is in the way."""
        self._connections.release_readers()
        with self._connections.alone() as connection:
            return upkeep.scrub(connection, self._path, self._busy_timeout_s)

    def occurrences(self, patterns: list[bytes]) -> int:
        """How often any of the patterns stands in any file of the store."""
        return upkeep.occurrences(self.folder, patterns)

    def problems(self) -> list[str]:
        """What is wrong with the file and between its rows; empty if nothing is."""
        try:
            with self._connections.alone() as connection:
                found = upkeep.problems(connection)
            with self.read() as transaction:
                return found + transaction.dangling()
        except StoreCorruptError as error:
            return [str(error)]

    def copy_to(self, folder: Path) -> set[str]:
        """A consistent copy in another folder, while this one is in use.

        Returns:
            The names of the files of adapters that the copy's rows name; they are not copied.
        """
        with self._connections.alone() as connection, our_errors(folder):
            return upkeep.copy_to(connection, folder / FILE_NAME)

    def facts(self) -> dict[str, str]:
        """Versions, for `doctor`."""
        return {
            "sqlite": apsw.sqlite_lib_version(),
            "apsw": apsw.apsw_version(),
            "schema": str(NEWEST),
            "page checksums": "on" if checksum_vfs() else "off",
        }

    def bytes_on_disk(self) -> int:
        """Bytes of all files of the folder."""
        return sum(size for _, size in sizes_of(self.folder))

    def close(self) -> None:
        """Close the file; waiting jobs stay for the next to open it."""
        self._connections.close()
