"""The judge of parametric memory, in one thread, and the world that it knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mneme
from mneme import Settings
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.testing.clocks import HandClock
from mneme.testing.fact_world import WORLD_PHRASINGS, WorldFact, known_facts
from mneme.wiring import Outside, build

torch = pytest.importorskip("torch", reason="parametric memory needs the extra 'local'")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def engine(judge: Callable[[str], Path]) -> Engine:
    """The judge; nobody changes its weights."""
    made: Engine = mneme.engine(judge("facts"))
    return made


@pytest.fixture(scope="session")
def world(judge: Callable[[str], Path]) -> list[WorldFact]:
    """What the judge knows."""
    return known_facts(judge("facts"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Words alone, no thread, and the wordings of the judge's world."""
    path = tmp_path / "phrasings.json"
    path.write_text(json.dumps(WORLD_PHRASINGS))
    return Settings(worker=False, embedder="none", phrasings=str(path))


@pytest.fixture
def memory(
    tmp_path: Path, clock: HandClock, settings: Settings, engine: Engine
) -> Iterator[MemoryOS]:
    """A memory of its own, to which the judge is attached."""
    with build(tmp_path / "store", settings=settings, outside=Outside(clock=clock)) as memory:
        memory.attach(engine)
        yield memory
        assert memory.verify().ok
