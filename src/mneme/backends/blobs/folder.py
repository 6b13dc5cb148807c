"""Blobs as files in a folder, fanned out by the first two characters of their names.

Written to a temporary file in `.tmp` of the same folder, then renamed: a reader sees a whole file,
or none. A writer holds a lock on its temporary file, so what a dead one left is known, and removed
by the next who opens the folder or drops a blob.

Without `durable` there is no fsync: a checksum finds what a power cut broke, and the text is still
there to compute it again (design/007). To sync file and folder would make a file of 262 kB take
6 ms instead of 0.1 (benchmarks/kv_tiers.py, on a virtual machine of two cores that others used
too). With `durable` that is paid: for what costs much to make again (design/008).
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from mneme.core.blob_names import checked, fits
from mneme.core.errors import BackendUnavailableError, StoreFullError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAPPED_BYTES = 4 << 20  # Python keeps a file handle for each map: smaller files are read
_TRIES = 8  # to put a file
OLD_S = 3600.0  # where there are no locks: a temporary file of this age is nobody's
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_THERE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ELOOP,
    errno.ENXIO,
}
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no links, no pipes
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_WRITE |= getattr(os, "O_BINARY", 0)


class FolderBlobs:
    """Files of a folder, shared by any number of processes.

    A file that cannot be read (permissions, a damaged disk) counts as not there: it is made again,
    and takes its place.
    """

    def __init__(self, folder: Path, *, name: str = "disk", durable: bool = False) -> None:
        """Open it; made with the first file that is put.

        Args:
            folder: Of the files.
            name: What errors and figures call it.
            durable: `put` returns when the files and their names are on the disk, so that a power
                cut loses none of them, and `drop` when the names are gone for good.

        Raises:
            BackendUnavailableError: It cannot be read.
        """
        self._folder, self._name, self._durable = Path(folder), name, durable
        self._waiting = self._folder / ".tmp"
        with self._answering():
            self._sweep()

    @property
    def name(self) -> str:
        return self._name

    def put(self, blobs: Mapping[str, bytes]) -> None:
        names = checked(blobs)
        with self._answering():
            for name in names:
                self._put(name, blobs[name])
            if self._durable:
                self._sync_folders(names)

    def get(self, names: Sequence[str]) -> list[memoryview | None]:
        with self._answering():
            return [self._read(name) for name in checked(names)]

    def drop(self, names: Iterable[str]) -> None:
        names = checked(names)
        with self._answering():
            for name in names:
                with suppress(FileNotFoundError, NotADirectoryError):
                    self._path(name).unlink()
            if self._durable:
                self._sync_folders(names)
            self._sweep()

    def names(self) -> Iterator[str]:
        """In lexical order of their first two characters."""
        for entry in self._files():
            yield entry.name

    def total_bytes(self) -> int:
        total = 0
        for entry in self._files():
            with suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
        return total

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _put(self, name: str, data: bytes) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._write(name, data)
            except FileNotFoundError:  # no folder yet, or any more; or somebody took us for dead
                if not left:
                    raise
                self._waiting.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                return

    def _write(self, name: str, data: bytes) -> None:
        path, waiting = self._path(name), self._waiting / token_hex(8)
        handle = os.open(waiting, _WRITE, 0o600)
        try:
            if sys.platform != "win32":
                fcntl.flock(handle, fcntl.LOCK_EX)
            _write_all(handle, data)
            if self._durable:
                os.fsync(handle)  # before it has its name: a file of that name is whole
            try:
                waiting.replace(path)
            except FileNotFoundError:  # the first of its two characters
                path.parent.mkdir(mode=0o700, exist_ok=True)
                waiting.replace(path)
        except BaseException:
            waiting.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)

    def _sync_folders(self, names: Sequence[str]) -> None:
        """Make names durable: theirs in their folders, and those folders' in this one and its own.

        Whoever made a folder may have died before it was synced, so all are, each time.
        """
        if sys.platform == "win32":
            return  # NTFS keeps names in its journal; a folder cannot be opened
        for folder in sorted({self._path(name).parent for name in names}):
            _sync_folder(folder)
        for folder in (self._folder, self._folder.parent) if names else ():
            _sync_folder(folder)

    def _read(self, name: str) -> memoryview | None:
        try:
            handle = os.open(self._path(name), _READ)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        try:
            return _contents(handle)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        finally:
            os.close(handle)

    def _files(self) -> Iterator[os.DirEntry[str]]:
        with self._answering(), suppress(FileNotFoundError):
            for first in sorted(path for path in self._folder.iterdir() if fits(path.name)):
                with suppress(FileNotFoundError, NotADirectoryError), os.scandir(first) as found:
                    yield from (entry for entry in found if fits(entry.name))

    def _sweep(self) -> None:
        """Remove temporary files of writers that are no more."""
        with suppress(FileNotFoundError), os.scandir(self._waiting) as found:
            for entry in found:
                with suppress(FileNotFoundError, PermissionError):
                    if _is_left(entry):
                        os.unlink(entry.path)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Errors of the file system as Mneme's."""
        try:
            yield
        except OSError as error:
            if isinstance(error, (StoreFullError, BackendUnavailableError)):
                raise
            if error.errno in _FULL:
                raise StoreFullError(
                    f"no room for a file in {self._folder} ({error.strerror}); free some"
                ) from error
            raise BackendUnavailableError(
                f"the folder {self._folder} cannot be used: {error.strerror}; check that it is "
                "there and that you may write to it"
            ) from error


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data).cast("B")
    while left:
        left = left[os.write(handle, left) :]


def _sync_folder(folder: Path) -> None:
    """What is in a folder; one that is not there has nothing in it."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _contents(handle: int) -> memoryview | None:
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        return None
    if about.st_size >= MAPPED_BYTES:
        return memoryview(mmap.mmap(handle, about.st_size, access=mmap.ACCESS_READ))
    data = os.read(handle, about.st_size)
    while len(data) < about.st_size and (more := os.read(handle, about.st_size - len(data))):
        data += more
    return memoryview(data)


def _is_left(entry: os.DirEntry[str]) -> bool:
    """Whether nobody writes a temporary file any longer."""
    if sys.platform == "win32":
        return time.time() - entry.stat().st_mtime > OLD_S
    handle = os.open(entry.path, _READ)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
