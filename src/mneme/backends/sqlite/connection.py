"""Connections to one database file: safe settings, page checksums, errors in our own terms.

SQLite below 3.51.3 can corrupt a WAL that two processes write and checkpoint, so the version is
asserted. Every page carries a checksum (SQLite's `cksumvfs`, in apsw's wheel) that each read from
the file verifies: a flipped byte is an error, never another text.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import apsw
import apsw.sqlite_extra

from mneme.backends.sqlite.schema import migrate
from mneme.backends.sqlite.turnstile import Turnstile
from mneme.backends.sqlite.wal_check import refuse_broken_log
from mneme.core.errors import (
    BackendUnavailableError,
    ForbiddenError,
    MnemeError,
    StoreCorruptError,
    StoreFullError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLDEST_SQLITE = 3_051_003
CHECKSUM_VFS = "cksmvfs"
_CHECKSUM_BYTES = 8
_STATEMENTS_CACHED = 256
_IOERR_DATA = apsw.SQLITE_IOERR_DATA
_IOERR_CORRUPT = (_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS, apsw.SQLITE_IOERR_SHORT_READ)
_vfs_lock = Lock()

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL lost acknowledged commits in simulated power cuts
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",  # no content in files elsewhere
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16000",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA trusted_schema = OFF",
)


def checksum_vfs() -> str | None:
    """The name of the checksumming VFS, loaded once for the process; None where apsw lacks it."""
    with _vfs_lock:
        if CHECKSUM_VFS not in apsw.vfs_names():
            if not apsw.sqlite_extra.has("cksumvfs"):
                return None
            apsw.sqlite_extra.load(apsw.Connection(":memory:"), "cksumvfs")
    return CHECKSUM_VFS


@contextmanager
def our_errors(path: Path | str) -> Iterator[None]:
    """Turn the driver's errors into Mneme's; the one place that knows both."""
    try:
        yield
    except MnemeError:
        raise
    except apsw.FullError as error:
        raise StoreFullError(f"no room to write {path}; nothing was changed") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise _corrupt(path) from error
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
        raise ForbiddenError(f"cannot open or write {path}: {error}") from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise BackendUnavailableError(f"{path} is busy with another writer; try again") from error
    except apsw.IOError as error:
        if getattr(error, "extendedresult", 0) in _IOERR_CORRUPT:
            raise _corrupt(path) from error
        raise StoreFullError(f"cannot read or write {path}: {error}; nothing changed") from error


def _corrupt(path: Path | str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path} does not hold what was written to it; keep a copy, run `mneme verify`, "
        "and go back to the newest snapshot"
    )


def connect(path: Path, *, busy_timeout_s: float, vfs: str | None = None) -> apsw.Connection:
    """Open one connection with the settings that keep what was acknowledged.

    Args:
        path: The database file; made if it is not there.
        busy_timeout_s: How long to wait for another writer.
        vfs: SQLite's name of the disk to use; the checksumming one unless a test passes its own.
    """
    if apsw.sqlite3_sourceid() and apsw.SQLITE_VERSION_NUMBER < OLDEST_SQLITE:
        raise BackendUnavailableError(
            f"SQLite {apsw.sqlite_lib_version()} may corrupt a shared store; install a newer apsw"
        )
    with our_errors(path):
        connection = apsw.Connection(
            str(path), vfs=vfs or checksum_vfs() or None, statementcachesize=_STATEMENTS_CACHED
        )
        try:
            connection.set_busy_timeout(int(busy_timeout_s * 1000))
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # never plan again for a value
            connection.reserve_bytes("main", _CHECKSUM_BYTES)  # of a new file; others keep theirs
            for setting in SETTINGS:
                connection.execute(setting)
        except apsw.Error:
            connection.close()
            raise
    return connection


class Connections:
    """One writer and as many readers as threads ask for at once, all on one file."""

    def __init__(self, path: Path, *, busy_timeout_s: float, vfs: str | None = None) -> None:
        self.path = path
        self._busy_timeout_s, self._vfs = busy_timeout_s, vfs
        self._lock = Lock()
        self._write_lock = Lock()
        self._idle: list[apsw.Connection] = []
        self._closed = False
        refuse_broken_log(path)
        self._writer = self._connect()
        try:
            with our_errors(path):
                migrate(self._writer)
        except MnemeError:
            self._writer.close()
            raise
        self._turnstile = Turnstile(path.parent, longest_s=busy_timeout_s)

    def _connect(self) -> apsw.Connection:
        return connect(self.path, busy_timeout_s=self._busy_timeout_s, vfs=self._vfs)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """The writer, in a transaction that commits at the end and is durable then."""
        with self._write_lock, our_errors(self.path):
            self._refuse_if_closed()
            self._begin()
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def _begin(self) -> None:
        try:
            with self._turnstile.passing():
                self._writer.set_busy_handler(self._turnstile.nap)
                self._writer.execute("BEGIN IMMEDIATE")
        finally:
            self._writer.set_busy_timeout(int(self._busy_timeout_s * 1000))

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A reader that sees one state of the store throughout."""
        connection = self._borrow()
        try:
            with our_errors(self.path):
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        finally:
            self._give_back(connection)

    @contextmanager
    def alone(self) -> Iterator[apsw.Connection]:
        """The writer outside of a transaction, for VACUUM, checkpoints and backups."""
        with self._write_lock, our_errors(self.path):
            self._refuse_if_closed()
            yield self._writer

    def release_readers(self) -> None:
        """Close the idle readers, so that none of ours keeps old pages alive."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close all; the last to close a store folds its log into the file."""
        with self._write_lock, our_errors(self.path):
            if self._closed:
                return
            self._closed = True
            self.release_readers()
            self._writer.close()
            self._turnstile.close()

    def _borrow(self) -> apsw.Connection:
        with self._lock:
            self._refuse_if_closed()
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ForbiddenError(f"{self.path} was closed; open the store again")
