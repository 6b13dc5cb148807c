"""A disk under SQLite that remembers what was written and what was synced, to cut its power.

    disk = PowerDisk()                   # before anything else opens a database in this process
    ... work on a store; disk.mark(n) after the n-th acknowledged change ...
    files = after_power_cut(disk.steps[:cut], random.Random(1))

What a sync covered is there afterwards. Of what was written since, each sector of 512 bytes may be
there or not, whatever the order of writing; a file may have its new size without the bytes; and an
entry of a folder (a file made or deleted) may be missing until the folder was synced, which
SQLite does when it first syncs a new log (os_unix.c, UNIXFILE_DIRSYNC).

Registered as SQLite's default before the checksumming layer is loaded, it lies below that layer,
so that what is tested is what ships.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import apsw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

SECTOR = 512
_LOGS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL

What = Literal["make", "write", "truncate", "sync", "sync folder", "delete", "mark"]


class Step(NamedTuple):
    """One thing that was asked of the disk."""

    what: What
    path: str = ""
    at: int = 0  # where it was written, the size after a truncation, the number of a mark
    data: bytes = b""


class PowerDisk(apsw.VFS):
    """SQLite's disk with a memory of its steps.

    Attributes:
        steps: All that was asked, in order.
        fault: Called with what is about to be done and the path; may raise apsw.FullError or
            apsw.IOError, and then nothing is done.
    """

    def __init__(self, name: str = "power", *, base: str = "unix") -> None:
        self.name, self.base = name, base
        self.steps: list[Step] = []
        self.fault: Callable[[What, str], None] | None = None
        super().__init__(name, base, makedefault=True)

    def mark(self, number: int) -> None:
        """Note that a change was acknowledged."""
        self.steps.append(Step("mark", at=number))

    def note(self, what: What, path: str, at: int = 0, data: bytes = b"") -> None:
        """Note a step that is about to be done, unless it is to fail."""
        if self.fault is not None:
            self.fault(what, path)
        self.steps.append(Step(what, path, at, data))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        is_new = path is not None and not Path(path).exists()
        if is_new and flags[0] & apsw.SQLITE_OPEN_CREATE:
            self.note("make", str(path))
        return _PowerFile(self, name, flags, is_new=is_new)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.note("delete", filename)
        super().xDelete(filename, syncdir)
        if syncdir:
            self.note("sync folder", filename)


class _PowerFile(apsw.VFSFile):
    def __init__(
        self,
        disk: PowerDisk,
        name: str | apsw.URIFilename | None,
        flags: list[int],
        *,
        is_new: bool,
    ) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = path or ""
        self._syncs_folder = is_new and bool(flags[0] & _LOGS)
        super().__init__(disk.base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.note("write", self._path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.note("truncate", self._path, newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.note("sync", self._path)
        super().xSync(flags)
        if self._syncs_folder:
            self._syncs_folder = False
            self._disk.note("sync folder", self._path)


@dataclass
class _File:
    """What surely lies on the disk, and what was asked since the last sync."""

    sure: bytearray = field(default_factory=bytearray)
    pending: list[Step] = field(default_factory=list)


def after_power_cut(steps: Sequence[Step], chance: Random) -> dict[str, bytes]:
    """The files that may be found after the power went at the end of the steps, by path."""
    files: dict[str, _File] = {}
    sure_entries: dict[str, _File] = {}  # as the folder says on the disk
    for step in steps:
        _take(step, files, sure_entries)
    kept = chance.choice((0.0, 1.0, chance.random()))
    found = {}
    for path in sorted({*files, *sure_entries}):
        now, before = files.get(path), sure_entries.get(path)
        file = now if now is before or chance.random() < kept else before
        if file is not None:
            found[path] = _survived(file, kept, chance)
    return found


def _take(step: Step, files: dict[str, _File], sure_entries: dict[str, _File]) -> None:
    if step.what == "make":
        files[step.path] = _File()
    elif step.what == "delete":
        files.pop(step.path, None)
    elif step.what == "sync folder":
        sure_entries.clear()
        sure_entries.update(files)
    elif step.what == "sync":
        file = files[step.path]
        for pending in file.pending:
            _apply(file.sure, pending)
        file.pending.clear()
    elif step.what != "mark":
        files[step.path].pending.append(step)


def _apply(data: bytearray, step: Step) -> None:
    if step.what == "truncate":
        del data[step.at :]
        return
    if len(data) < step.at:
        data.extend(bytes(step.at - len(data)))
    data[step.at : step.at + len(step.data)] = step.data


def _survived(file: _File, kept: float, chance: Random) -> bytes:
    """The file with some of what was not synced, whole sectors of it at a time."""
    data = bytearray(file.sure)
    grown = len(data)
    for step in file.pending:
        if step.what == "truncate":
            if chance.random() < kept:
                _apply(data, step)
                grown = min(grown, step.at)
            continue
        grown = max(grown, step.at + len(step.data))
        for at in _sectors(step):
            if chance.random() < kept:
                start, end = max(at, step.at), min(at + SECTOR, step.at + len(step.data))
                piece = step.data[start - step.at : end - step.at]
                _apply(data, Step("write", step.path, start, piece))
    if len(data) < grown and chance.random() < kept:  # the new size without the bytes
        missing = grown - len(data)
        data.extend(chance.choice((bytes(missing), chance.randbytes(missing))))
    return bytes(data)


def _sectors(step: Step) -> range:
    return range(step.at // SECTOR * SECTOR, step.at + len(step.data), SECTOR)
