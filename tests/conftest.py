"""A memory of its own for each test, with a clock that tests turn."""

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


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def memory(tmp_path: Path, clock: HandClock) -> Iterator[MemoryOS]:
    outside = Outside(clock=clock, embedder=HashEmbedder(32))
    settings = Settings(worker=False, embedder="none")
    with build(tmp_path / "store", settings=settings, outside=outside) as memory:
        yield memory
        assert memory.verify().ok


@pytest.fixture
def alice(memory: MemoryOS) -> Namespace:
    return memory.namespace("alice")
