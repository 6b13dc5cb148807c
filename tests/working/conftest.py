"""A memory of its own for each test, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import FlakyEmbedder, HashEmbedder
from mneme.wiring import Outside, build


@pytest.fixture
def embedder() -> FlakyEmbedder:
    return FlakyEmbedder(HashEmbedder(32))


@pytest.fixture
def memory(tmp_path: Path, clock: HandClock, embedder: FlakyEmbedder) -> Iterator[MemoryOS]:
    outside = Outside(clock=clock, embedder=embedder)
    settings = Settings(worker=False, embedder="none")
    with build(tmp_path / "store", settings=settings, outside=outside) as memory:
        yield memory
        assert memory.verify().ok
