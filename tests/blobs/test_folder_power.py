"""A folder that is durable, and power that goes at any moment.

What the folder asks of the system is noted while it is really done. Then the disk is put together
as it may be found after a cut: of a file, what was synced, and of the rest any beginning; of a
folder, what was synced, and of the later changes of names any choice.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from mneme.backends.blobs.folder import FolderBlobs
from mneme.testing.blob_contract import BlobStoreContract, got


class TestDurableFolder(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderBlobs:
        return FolderBlobs(tmp_path / "blobs", durable=True)


class Step(NamedTuple):
    """One thing that was asked of the system; `to` is a path, `data` what was written."""

    what: str
    path: str = ""
    to: str = ""
    data: bytes = b""


_REAL = {
    name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "unlink", "mkdir")
}


class Notes:
    """Notes what goes through, and lets it through."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self._paths: dict[int, str] = {}
        for name in _REAL:
            patch.setattr(os, name, getattr(self, name))

    def open(self, path: str | Path, flags: int, *args: int) -> int:
        handle: int = _REAL["open"](path, flags, *args)
        self._paths[handle] = str(path)
        if flags & os.O_CREAT:
            self.steps.append(Step("make", str(path)))
        return handle

    def write(self, handle: int, data: bytes) -> int:
        count: int = _REAL["write"](handle, data)
        if handle in self._paths:
            self.steps.append(Step("write", self._paths[handle], data=bytes(data)[:count]))
        return count

    def fsync(self, handle: int) -> None:
        _REAL["fsync"](handle)
        self.steps.append(Step("sync", self._paths[handle]))

    def replace(self, path: str | Path, to: str | Path) -> None:
        _REAL["replace"](path, to)
        self.steps.append(Step("rename", str(path), to=str(to)))

    def unlink(self, path: str | Path) -> None:
        _REAL["unlink"](path)
        self.steps.append(Step("unlink", str(path)))

    def mkdir(self, path: str | Path, mode: int = 0o777) -> None:
        _REAL["mkdir"](path, mode)
        self.steps.append(Step("mkdir", str(path)))


@dataclass(eq=False)
class File:
    sure: bytes = b""
    now: bytes = b""


@dataclass(eq=False)
class Folder:
    sure: dict[str, File | Folder] = field(default_factory=dict)
    now: dict[str, File | Folder] = field(default_factory=dict)


def after_cut(steps: list[Step], root: Path, chance: random.Random) -> dict[str, bytes]:
    """Files that may be found below a folder that was there and empty, by path."""
    disk = Folder()

    def at(path: str) -> tuple[Folder, str]:
        *way, name = Path(path).relative_to(root).parts
        folder = disk
        for part in way:
            below = folder.now[part]
            assert isinstance(below, Folder)
            folder = below
        return folder, name

    for step in steps:
        if step.what == "sync" and Path(step.path) == root:
            disk.sure = dict(disk.now)
            continue
        folder, name = at(step.path)
        if step.what in {"make", "mkdir"}:
            folder.now[name] = File() if step.what == "make" else Folder()
        elif step.what == "unlink":
            del folder.now[name]
        elif step.what == "rename":
            target, new = at(step.to)
            target.now[new] = folder.now.pop(name)
        else:
            thing = folder.now[name]
            if isinstance(thing, Folder):
                thing.sure = dict(thing.now)
            elif step.what == "sync":
                thing.sure = thing.now
            else:
                thing.now += step.data
    found: dict[str, bytes] = {}
    _find(disk, root, chance, found)
    return found


def _find(folder: Folder, path: Path, chance: random.Random, found: dict[str, bytes]) -> None:
    for name in sorted({*folder.sure, *folder.now}):
        before, now = folder.sure.get(name), folder.now.get(name)
        thing = chance.choice((before, now))
        if isinstance(thing, Folder):
            _find(thing, path / name, chance, found)
        elif thing is not None:
            kept = chance.randint(len(thing.sure), max(len(thing.sure), len(thing.now)))
            found[str(path / name)] = thing.now[:kept]


def histories(
    root: Path, patch: pytest.MonkeyPatch, *, durable: bool
) -> tuple[list[Step], list[tuple[int, dict[str, bytes]]]]:
    """The steps of some puts and drops, and what was there after each, by the number of steps."""
    chance, model = random.Random(0), dict[str, bytes]()
    names = ("aa1", "aa2", "bb1", "cc1")
    with patch.context() as within:
        notes = Notes(within)
        blobs = FolderBlobs(root / "blobs", durable=durable)
        marks: list[tuple[int, dict[str, bytes]]] = [(0, {})]
        for turn in range(12):
            if turn % 4 == 3:
                gone = chance.choice(names)
                blobs.drop([gone])
                model.pop(gone, None)
            else:
                new = {name: chance.randbytes(40) for name in chance.sample(names, 2)}
                blobs.put(new)
                model |= new
            marks.append((len(notes.steps), dict(model)))
        assert got(blobs, list(model)) == list(model.values())
    return notes.steps, marks


def broken(
    steps: list[Step], marks: list[tuple[int, dict[str, bytes]]], root: Path
) -> tuple[int, int]:
    """How often, over many cuts, a file was neither old nor new; and how often one was lost."""
    torn = lost = 0
    for cut in range(len(steps) + 1):
        done = [there for number, there in marks if number <= cut][-1]
        ahead = [there for number, there in marks if number > cut][:1] or [done]
        for seed in range(20):
            files = after_cut(steps[:cut], root, random.Random(1000 * cut + seed))
            seen = {
                Path(path).name: data
                for path, data in files.items()
                if Path(path).parent.name != ".tmp"
            }
            for name in {*seen, *done, *ahead[0]}:
                may_be = {done.get(name), ahead[0].get(name)}
                if seen.get(name) in may_be:
                    continue
                whole = any(seen.get(name) == there.get(name) for _, there in marks)
                torn, lost = torn + (not whole), lost + whole
    return torn, lost


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be synced there")
def test_power_that_goes_at_any_moment_loses_nothing_that_was_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, marks = histories(tmp_path, monkeypatch, durable=True)
    assert broken(steps, marks, tmp_path) == (0, 0)


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be synced there")
def test_without_it_power_cuts_lose_and_tear_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the test above could see it."""
    steps, marks = histories(tmp_path, monkeypatch, durable=False)
    torn, lost = broken(steps, marks, tmp_path)
    assert torn > 0
    assert lost > 0
