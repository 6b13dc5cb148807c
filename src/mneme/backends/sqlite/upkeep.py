"""Care for the file: checks, snapshots, and no deleted byte left in it.

`secure_delete` zeroes what is deleted where it lies, but a page that SQLite re-packed may keep an
older copy of a row in its unallocated middle. `has_residue` looks there, in every page; where it
finds something, VACUUM writes the file anew.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

from mneme.backends.sqlite.adapter_rows import AdapterRows
from mneme.backends.sqlite.connection import connect
from mneme.backends.sqlite.raw_bytes import files_of, pieces, reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BTREE_PAGES = {2: 12, 5: 12, 10: 8, 13: 8}  # type byte -> length of the page's header
_INTERIOR = 5  # the type byte of a table's page that points to others
_FILE_HEADER = 100
_PAGES_AT_ONCE = 256
_CHECKPOINT_WAIT_MS = 200
_NOT_COPIED = (  # files of blocks stay with the store that made them: a copy computes its own
    "DELETE FROM block_of",
    "DELETE FROM block",
    "DELETE FROM doomed",
    "DELETE FROM job WHERE kind = 'sweep'",
    "DELETE FROM meta WHERE name IN ('block_places', 'block_space', 'block_looked_at')",
)


def has_residue(path: Path) -> bool:
    """Whether any b-tree page holds bytes that belong to no row (SQLite file format, 1.6)."""
    with reading(path) as (length, read):
        if length == 0:
            return False
        size = int.from_bytes(read(16, 2), "big")
        size = 65536 if size == 1 else size
        ours = _schema_pages(lambda number: read((number - 1) * size, size))
        return any(
            _page_residue(pages[at : at + size], _FILE_HEADER if first + at == 0 else 0)
            for first in range(0, length, size * _PAGES_AT_ONCE)
            for pages in [read(first, min(size * _PAGES_AT_ONCE, length - first))]
            for at in range(0, len(pages), size)
            if (first + at) // size + 1 not in ours
        )


def _schema_pages(page: Callable[[int], bytes]) -> set[int]:
    """The pages of the table of tables, where it has grown beyond the first page.

    They hold the text of our own schema and nothing else; VACUUM itself leaves copies of it there.
    """
    first = page(1)
    if first[_FILE_HEADER] != _INTERIOR:
        return set()
    cells = int.from_bytes(first[_FILE_HEADER + 3 : _FILE_HEADER + 5], "big")
    start = _FILE_HEADER + _BTREE_PAGES[_INTERIOR]
    places = [int.from_bytes(first[start + 2 * i : start + 2 * i + 2], "big") for i in range(cells)]
    last = int.from_bytes(first[_FILE_HEADER + 8 : _FILE_HEADER + 12], "big")
    return {1, last, *(int.from_bytes(first[place : place + 4], "big") for place in places)}


def _page_residue(page: bytes, at: int) -> bool:
    header = _BTREE_PAGES.get(page[at])
    if header is None:
        return False
    cells = int.from_bytes(page[at + 3 : at + 5], "big")
    content = int.from_bytes(page[at + 5 : at + 7], "big") or 65536
    gap = page[at + header + 2 * cells : content]
    if gap.count(0) != len(gap):
        return True
    block = int.from_bytes(page[at + 1 : at + 3], "big")
    while block:
        size = int.from_bytes(page[block + 2 : block + 4], "big")
        body = page[block + 4 : block + size]
        if body.count(0) != len(body):
            return True
        after = int.from_bytes(page[block : block + 2], "big")
        block = after if after > block else 0  # the list rises, unless the page is damaged
    return False


def fold_log(connection: apsw.Connection, busy_timeout_s: float) -> bool:
    """Move the log into the file and empty it; False while a reader needs it."""
    connection.set_busy_timeout(_CHECKPOINT_WAIT_MS)
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except (apsw.BusyError, apsw.LockedError):
        return False
    finally:
        connection.set_busy_timeout(int(busy_timeout_s * 1000))
    return True


def scrub(connection: apsw.Connection, path: Path, busy_timeout_s: float) -> bool:
    """Leave no byte of what was deleted; False while a reader is in the way."""
    if not fold_log(connection, busy_timeout_s):
        return False
    if has_residue(path):
        connection.execute("VACUUM")
        return fold_log(connection, busy_timeout_s)
    return True


def occurrences(folder: Path, patterns: list[bytes]) -> int:
    """How often any of the patterns stands in any file of the folder."""
    overlap = max(map(len, patterns), default=1) - 1
    found = 0
    for file in files_of(folder):
        seen = {i for piece in pieces(file, overlap) for i, p in enumerate(patterns) if p in piece}
        found += len(seen)
    return found


def problems(connection: apsw.Connection) -> list[str]:
    """What SQLite finds wrong with the file; empty if nothing is."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
    return [] if found == ["ok"] else found


def copy_to(connection: apsw.Connection, target: Path) -> set[str]:
    """Write a consistent copy, whole or not at all; the names of files that its rows name.

    Not by VACUUM INTO: what does not fit into its cache it writes before the first page, which
    tells the checksumming VFS that there are checksums, so that copies above 16 MB had none.
    """
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        copy = connect(part, busy_timeout_s=0)
        try:
            with copy.backup("main", connection, "main") as backup:
                backup.step(-1)
            for sql in _NOT_COPIED:
                copy.execute(sql)
            copy.execute("VACUUM")  # leaves behind what was deleted
            names = AdapterRows(copy).names()
        finally:
            copy.close()
        sync(part)
        part.replace(target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return names


def sync(path: Path) -> None:
    """Make a file or the entries of a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
