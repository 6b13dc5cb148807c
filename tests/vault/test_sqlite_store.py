"""The SQLite store keeps the contract of stores, and SQLite's errors come out as ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from mneme import (
    BackendUnavailableError,
    ForbiddenError,
    MnemeError,
    StoreCorruptError,
    StoreFullError,
)
from mneme.backends.sqlite import upkeep
from mneme.backends.sqlite.connection import our_errors
from mneme.backends.sqlite.raw_bytes import files_of, pieces, reading
from mneme.backends.sqlite.store import SqliteStore
from mneme.testing.store_contract import StoreContract
from mneme.testing.store_rows import add, text_row, version_row


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    folder = tmp_path / "store"
    folder.mkdir()
    store = SqliteStore(folder, busy_timeout_s=0.2)
    yield store
    store.close()


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, sqlite: SqliteStore) -> SqliteStore:
        return sqlite


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (apsw.FullError, StoreFullError),
        (apsw.CorruptError, StoreCorruptError),
        (apsw.NotADBError, StoreCorruptError),
        (apsw.ReadOnlyError, ForbiddenError),
        (apsw.CantOpenError, ForbiddenError),
        (apsw.BusyError, BackendUnavailableError),
        (apsw.IOError, StoreFullError),
    ],
)
def test_errors_of_sqlite_become_ours(raised: type[apsw.Error], ours: type[MnemeError]) -> None:
    with pytest.raises(ours), our_errors("file"):
        raise raised("x")


def test_another_writer_in_the_way_is_said(sqlite: SqliteStore) -> None:
    other = SqliteStore(sqlite.folder, busy_timeout_s=0.1)
    with sqlite.write() as tx:
        add(tx, "a", 1)
        with pytest.raises(BackendUnavailableError, match="busy"), other.write():
            pass
    other.close()


def test_dangling_rows_are_found(sqlite: SqliteStore) -> None:
    with sqlite.write() as tx:
        add(tx, "a", 1, 2, 3, 4)
        for sql in (
            "DELETE FROM version WHERE vid / 1048576 = 1",
            "DELETE FROM entry WHERE vid / 1048576 = 2",
            "INSERT INTO edge VALUES (3, 99, 'source')",
            "UPDATE cube SET state = 'erased' WHERE key = 4",
        ):
            tx._run(sql)
    found = "; ".join(sqlite.problems())
    for words in ("without their current version", "without an index entry", "erased", "edges"):
        assert words in found


def test_a_missing_text_is_damage(sqlite: SqliteStore) -> None:
    with sqlite.write() as tx:
        add(tx, "a", 1)
        tx._run("DELETE FROM text")
        with pytest.raises(StoreCorruptError):
            tx.cubes.body(1, 1)
        with pytest.raises(StoreCorruptError):
            tx.entries.entry(1, 1)
        assert tx.entries.terms(9) == b""


def test_residue_of_re_packed_pages_is_found_and_goes(sqlite: SqliteStore) -> None:
    """Rows of changing sizes make SQLite re-pack pages, which leaves copies in their gaps."""
    path = sqlite.folder / "mneme.db"
    with sqlite.write() as tx:
        namespace = tx.cubes.touch_namespace("a")
        keys = range(1, 200)
        bodies = {key: f"secret{key}-" + "x" * (key * 37 % 1500) for key in keys}
        rows = [version_row(key) for key in keys]
        tx.cubes.add(namespace, rows, [text_row(key, body=bodies[key]) for key in keys])
    with sqlite.write() as tx:
        for key in range(1, 200, 2):
            tx.erase(tx.cubes.touch_namespace("a").seq, key)
    assert sqlite.scrub()
    assert not upkeep.has_residue(path)
    patterns = [bodies[key][:30].encode() for key in range(51, 200, 2)]
    assert sqlite.occurrences(patterns) == 0
    assert sqlite.occurrences([bodies[2].encode()]) == 1


def test_pieces_overlap(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes((1 << 20) - 3) + b"needle" + bytes(100))
    assert any(b"needle" in piece for piece in pieces(file, 5))
    with reading(file) as (size, read):
        assert size == (1 << 20) + 103
        assert read((1 << 20) - 3, 6) == b"needle"
    (tmp_path / "file-shm").write_bytes(b"x")
    (tmp_path / "empty").write_bytes(b"")
    assert list(files_of(tmp_path)) == [file]
    assert not upkeep.has_residue(tmp_path / "empty")
