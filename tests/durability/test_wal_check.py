"""A damaged log is an error, a torn one is not."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mneme
from mneme import StoreCorruptError
from mneme.backends.sqlite.wal_check import Frames, first_damage, refuse_broken_log

WRITE_AND_DIE = """
import os, sys, mneme
alice = mneme.open(sys.argv[1]).namespace("alice")
for number in range(12):
    alice.add(f"Line {number}.")
os._exit(9)
"""
WAIT = """
import sys, mneme
with mneme.open(sys.argv[1]) as memory:
    memory.namespace("alice").list()
    print("open", flush=True)
    sys.stdin.readline()
"""
HEADER, FRAME = 32, 4096 + 24


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(folder)], check=False)
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(killed, copy)
    (copy / "mneme.db-shm").unlink(missing_ok=True)
    return copy


@pytest.fixture
def log(killed: Path) -> bytes:
    return (killed / "mneme.db-wal").read_bytes()


def last_commit(log: bytes) -> int:
    """The number of the first frame of the last commit."""
    ends = [n for n, size in enumerate(Frames.of(log, 4096, big=False).truncates) if size]
    return ends[-2] + 1


def test_a_whole_log_is_whole(log: bytes, folder: Path) -> None:
    assert first_damage(log) is None
    with mneme.open(folder) as memory:
        assert len(memory.namespace("alice").list().items) == 12


@pytest.mark.parametrize("length", [0, 5, 32, 40, HEADER + FRAME, HEADER + FRAME + 100])
def test_a_log_that_was_cut_is_no_damage(log: bytes, length: int) -> None:
    assert first_damage(log[:length]) is None


def test_a_flipped_byte_is_damage_unless_it_may_be_a_torn_tail(log: bytes) -> None:
    chance, tail = random.Random(5), last_commit(log)
    places = [*range(HEADER), *(HEADER + FRAME * 30 + byte for byte in range(24))]
    places += [chance.randrange(len(log)) for _ in range(300)]
    for place in places:
        flipped = bytearray(log)
        flipped[place] ^= chance.randrange(1, 256)
        frame = (place - HEADER) // FRAME
        expected = None if frame >= tail else max(0, frame + 1)
        assert first_damage(bytes(flipped)) == expected, place


def test_a_commit_whose_size_field_became_zero_is_still_a_commit(log: bytes) -> None:
    tail = last_commit(log)
    flipped = bytearray(log)
    at = HEADER + FRAME * (tail - 1) + 4
    flipped[at : at + 4] = bytes(4)
    assert first_damage(bytes(flipped)) == tail


def test_a_torn_last_commit_is_no_damage(log: bytes) -> None:
    chance, start = random.Random(6), HEADER + FRAME * last_commit(log)
    for _ in range(300):
        torn = bytearray(log)
        for sector in range(start // 512 + 1, len(log) // 512):
            if chance.random() < 0.5:
                torn[sector * 512 : (sector + 1) * 512] = chance.choice(
                    [bytes(512), chance.randbytes(512), log[:512]]
                )
        assert first_damage(bytes(torn)) is None


def test_what_an_earlier_broken_off_change_left_is_no_damage(log: bytes) -> None:
    """A change that was begun, rolled back and written over leaves frames of the same salts."""
    tail = last_commit(log)
    for keep in range(tail, len(Frames.of(log, 4096, big=False).sums) - 1):
        stale = bytearray(log)
        at = HEADER + FRAME * keep + 24
        stale[at : at + 512] = random.Random(keep).randbytes(512)
        assert first_damage(bytes(stale)) is None


def test_opening_a_damaged_store_says_so_and_changes_nothing(folder: Path) -> None:
    log = folder / "mneme.db-wal"
    damaged = bytearray(log.read_bytes())
    damaged[HEADER + FRAME * 40 + 100] ^= 1
    log.write_bytes(damaged)
    with pytest.raises(StoreCorruptError, match="frame 41"):
        mneme.open(folder)
    assert log.read_bytes() == bytes(damaged)


def test_a_store_that_is_open_elsewhere_is_not_judged(tmp_path: Path) -> None:
    with mneme.open(tmp_path) as memory:
        memory.namespace("alice").add("A line.")
        refuse_broken_log(tmp_path / "mneme.db")
        waiting = subprocess.Popen(
            [sys.executable, "-c", WAIT, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"open\n"
        refuse_broken_log(tmp_path / "mneme.db")
    refuse_broken_log(tmp_path / "mneme.db")
    waiting.communicate(b"\n")
    assert waiting.returncode == 0
    refuse_broken_log(tmp_path / "mneme.db")
    refuse_broken_log(tmp_path / "none.db")
