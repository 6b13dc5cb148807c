"""Work on a store's own files must not drop the locks that other processes count on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mneme
from mneme import Namespace

LOOK = """
import sys, mneme
with mneme.open(sys.argv[1]) as memory:
    print([cube.text for cube in memory.namespace("alice").list().items])
"""


def texts_for_another_process(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(folder)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def erase(memory: mneme.MemoryOS, alice: Namespace, folder: Path) -> None:
    alice.erase(alice.add("This goes.")[0].id)


def snapshot(memory: mneme.MemoryOS, alice: Namespace, folder: Path) -> None:
    memory.snapshot(folder / "copy")


def verify(memory: mneme.MemoryOS, alice: Namespace, folder: Path) -> None:
    assert memory.verify().ok


def count(memory: mneme.MemoryOS, alice: Namespace, folder: Path) -> None:
    memory.stats()


def second_memory(memory: mneme.MemoryOS, alice: Namespace, folder: Path) -> None:
    with mneme.open(folder / "store") as other:
        other.namespace("alice").list()


def export(memory: mneme.MemoryOS, alice: Namespace, folder: Path) -> None:
    alice.export(folder / "cubes")


WORKS: list[Callable[[mneme.MemoryOS, Namespace, Path], None]] = [
    erase,
    snapshot,
    verify,
    count,
    second_memory,
    export,
]


def test_what_is_acknowledged_after_another_process_came_and_went_stays(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with mneme.open(store) as memory:
        alice = memory.namespace("alice")
        alice.add("First.")
        for work in WORKS:
            work(memory, alice, tmp_path)
        assert texts_for_another_process(store) == "['First.']"
        alice.add("Second.")
        assert texts_for_another_process(store) == "['First.', 'Second.']"
        assert [cube.text for cube in alice.list().items] == ["First.", "Second."]
