"""A full, failing, read-only or lying disk: typed errors, no false word, no false text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme import ForbiddenError, MnemeError, StoreCorruptError, StoreFullError

CHILDREN = Path(__file__).parent / "children"


def child(name: str, *words: object) -> Any:  # noqa: ANN401 (JSON)
    command = [sys.executable, str(CHILDREN / name), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A mount, where this process may mount; else the test is skipped."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(
    ("seed", "changes"),
    [(1, 60), *(pytest.param(n, 300, marks=pytest.mark.slow) for n in (2, 3, 4))],
)
def test_what_fails_changes_nothing(tmp_path: Path, seed: int, changes: int) -> None:
    result = child("faults.py", tmp_path / "store", seed, changes)
    assert result["wrong"] == []
    assert result["failed"] > changes / 10


def fill(alice: mneme.Namespace, kept: list[str]) -> None:
    for number in range(1000):
        kept += [cube.id for cube in alice.add(f"Line {number}. " + "Much text. " * 2000)]


def test_a_full_disk_refuses_and_room_lets_go_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        with mneme.open(disk / "store") as memory:
            alice = memory.namespace("alice")
            kept: list[str] = []
            with pytest.raises(StoreFullError) as refused:
                fill(alice, kept)
            assert isinstance(refused.value, OSError)
            assert "no room" in str(refused.value)
            assert [cube.id for cube in alice.list(limit=1000).items] == kept
            assert alice.search("Line 3.", limit=1)
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            assert alice.erase(kept.pop()).complete
            memory.drain()
            kept.append(alice.add("There is room again.")[0].id)
        with mneme.open(disk / "store") as memory:
            found = [cube.id for cube in memory.namespace("alice").list(limit=1000).items]
            assert found == kept
            assert memory.verify().ok


def test_a_read_only_disk_is_said_to_be_one(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mneme.open(disk / "store") as memory:
        memory.namespace("alice").add("A line.")
    before = {file: file.read_bytes() for file in (disk / "store").iterdir()}
    with mounted(disk, "--bind", "-o", "ro", str(disk)):
        with pytest.raises(ForbiddenError) as refused:
            mneme.open(disk / "store")
        assert isinstance(refused.value, PermissionError)
        with pytest.raises(ForbiddenError):
            mneme.open(disk / "new")
    assert {file: file.read_bytes() for file in (disk / "store").iterdir()} == before


def test_an_export_or_snapshot_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with mneme.open(tmp_path / "store") as memory:
        alice = memory.namespace("alice")
        alice.add("A line.")
        for act in (
            lambda: alice.export(tmp_path / "none" / "cubes"),
            lambda: memory.snapshot(tmp_path / "store" / "mneme.db"),
            lambda: memory.snapshot(Path("/proc/none/here")),
            lambda: alice.export(Path("/proc/none")),
        ):
            with pytest.raises(MnemeError):
                act()
        assert memory.verify().ok


@pytest.mark.parametrize("flips", [25, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_flipped_byte_gives_an_error_or_right_text(tmp_path: Path, flips: int) -> None:
    came = child("flips.py", tmp_path, 1, flips)
    assert len(came) == 3
    for results in came.values():
        assert [each for each in results if each.startswith("WRONG")] == []


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(4096), b"y" * 8192])
def test_a_file_that_is_no_store_is_refused_or_made_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mneme.db").write_bytes(content)
    if content == b"":
        with mneme.open(tmp_path) as memory:
            assert memory.verify().ok
        return
    with pytest.raises(StoreCorruptError):
        mneme.open(tmp_path)
    assert (tmp_path / "mneme.db").read_bytes() == content
