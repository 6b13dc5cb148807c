"""A memory whose ranking learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build


def open_learning(folder: Path, *, learn: bool = True) -> MemoryOS:
    """A memory with learning on or off."""
    outside = Outside(clock=HandClock(), embedder=HashEmbedder(32))
    return build(folder, settings=Settings(worker=False, learn=learn), outside=outside)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def memory(folder: Path) -> Iterator[MemoryOS]:
    with open_learning(folder) as memory:
        yield memory
        assert memory.verify().ok


@pytest.fixture
def alice(memory: MemoryOS) -> Namespace:
    alice = memory.namespace("alice")
    for number in range(12):
        alice.add(
            [
                {
                    "role": "user",
                    "content": f"Trip {number}: I packed the red bag for town {number}.",
                },
                {"role": "assistant", "content": f"Was the red bag of trip {number} heavy?"},
            ],
            session=f"s{number}",
            infer="none",
        )
    return alice
