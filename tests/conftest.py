"""A memory of its own for each test, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def judge() -> Callable[[str], Path]:
    """The folder of a judge model by its name; how they were made is in tests/judges/README.md."""
    models = Path(__file__).parent / "judges" / "models"

    def folder(name: str) -> Path:
        if not (models / name).is_dir():
            known = sorted(path.name for path in models.iterdir())
            raise ValueError(f"there is no judge {name!r}, but {known}")
        return models / name

    return folder
