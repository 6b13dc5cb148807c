"""Two processes on one folder: no lost update, and what one acknowledged the other finds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mneme

CHILD = Path(__file__).parent / "children" / "writer.py"


@contextmanager
def writer(*words: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(CHILD), *map(str, words)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait(60) == 0


def tell(process: subprocess.Popen[str], line: str = "go") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("tries", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_racing_updates_are_accepted_or_refused(tmp_path: Path, tries: int) -> None:
    with mneme.open(tmp_path) as memory:
        alice = memory.namespace("alice")
        cube = alice.add("The first version.")[0]
        words = ("update", tmp_path, cube.id, tries)
        with writer(*words) as one, writer(*words) as other:
            assert hear(one) == hear(other) == "ready"
            tell(one)
            tell(other)
            counts = [[int(n) for n in hear(each).split()] for each in (one, other)]
        accepted = sum(each[0] for each in counts)
        conflicts = sum(each[1] for each in counts)
        assert accepted + conflicts == 2 * tries
        versions = [version.version for version in alice.history(cube.id)]
        assert versions == list(range(1, accepted + 2))
        assert memory.verify().ok


@pytest.mark.parametrize("writes", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_what_one_process_acknowledged_the_other_finds(tmp_path: Path, writes: int) -> None:
    found = 0
    with mneme.open(tmp_path) as memory, writer("add", tmp_path) as other:
        alice = memory.namespace("alice")
        for number in range(writes):
            tell(other, f"The code of day {number} is zq{number:05d}x.")
            assert hear(other) == "done"
            hits = alice.search(f"zq{number:05d}x", limit=1)
            found += bool(hits) and f"zq{number:05d}x" in hits[0].cube.text
    assert found == writes


def test_an_erasure_waits_for_a_reader_and_says_so(tmp_path: Path) -> None:
    with mneme.open(tmp_path) as memory:
        alice = memory.namespace("alice")
        cube = alice.add("The password was hunter2quux.")[0]
        with writer("read", tmp_path) as reader:
            assert hear(reader) == "reading"
            receipt = alice.erase(cube.id)
            assert receipt.pending
            assert not receipt.complete
            assert alice.list().items == ()
            tell(reader)
        ended = time.monotonic()
        while memory.stats().jobs and time.monotonic() < ended + 5:
            time.sleep(0.05)
        assert memory.stats().jobs == {}
        assert memory.vault.parts.store.occurrences([b"hunter2quux"]) == 0
    for file in tmp_path.rglob("*"):
        assert b"hunter2quux" not in file.read_bytes()
