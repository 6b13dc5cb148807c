"""The judge of parametric memory, in one thread, and the world that it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.testing.fact_world import WorldFact, known_facts

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
