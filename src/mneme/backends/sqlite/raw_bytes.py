"""The bytes of a store's files, read without dropping the locks that SQLite holds on them.

POSIX drops every lock of a process on a file as soon as the process closes any descriptor of that
file ("How To Corrupt An SQLite Database File", section 2.2). Then another process takes itself for
the last one, removes the log, and what is acknowledged after that is lost. So the database is read
through SQLite's own file layer, which puts such a close off, and the shared-memory file, which
holds page numbers and no content, is not opened at all.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from mneme.core.rows import TENSORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POSIX_VFS = "unix"
_FLAGS = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY
_CHUNK = 1 << 20
SHARED_MEMORY = "-shm"
BLOCKS = "activation"  # the folder of blocks of keys and values


@contextmanager
def reading(path: Path) -> Iterator[tuple[int, Callable[[int, int], bytes]]]:
    """The size of a file, and a function that gives `size` bytes from `start` on."""
    if _POSIX_VFS not in apsw.vfs_names():
        with path.open("rb") as plain:

            def read_plain(start: int, size: int) -> bytes:
                plain.seek(start)
                return plain.read(size)

            yield path.stat().st_size, read_plain
        return
    file = apsw.VFSFile(_POSIX_VFS, str(path.resolve()), [_FLAGS, 0])
    try:
        yield file.xFileSize(), lambda start, size: file.xRead(size, start)
    finally:
        file.xClose()


def pieces(path: Path, overlap: int) -> Iterator[bytes]:
    """A file in pieces, each beginning with the last `overlap` bytes of the one before."""
    with reading(path) as (size, read):
        for start in range(0, size, _CHUNK):
            first = max(0, start - overlap)
            yield read(first, min(start + _CHUNK, size) - first)


def sizes_of(folder: Path, *, without: str | None = None) -> Iterator[tuple[Path, int]]:
    """The files of a folder with their sizes; one that goes meanwhile is left out.

    Args:
        folder: Looked through to the bottom.
        without: Name of a folder in it that is not entered.
    """
    for root, folders, names in os.walk(folder):
        if Path(root) == folder and without in folders:
            folders.remove(without)
        folders.sort()
        for name in sorted(names):
            with suppress(FileNotFoundError):
                about = os.stat(os.path.join(root, name))
                if stat.S_ISREG(about.st_mode):
                    yield Path(root, name), about.st_size


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a store that may hold content as text.

    Not those of blocks of keys and values, nor the tensors of adapters, which are looked for by
    name: they hold neither texts nor tokens, and there may be gigabytes of them. The other files
    of adapters are looked into: a ledger holds texts.
    """
    for file, size in sizes_of(folder, without=BLOCKS):
        if size and not file.name.endswith((SHARED_MEMORY, TENSORS)):
            yield file
