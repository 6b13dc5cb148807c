"""A namespace with a table, on a clock that tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.app.tables import Table
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

COLUMNS = {"day": "date", "what": "text", "amount": "real"}
ROWS = [
    {"day": "2026-03-01", "what": "tea", "amount": 3},
    {"day": "2026-03-02", "what": "a train ticket", "amount": 41.5},
    {"day": "2026-03-09", "what": "bread", "amount": 4.25},
]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def memory(tmp_path: Path, clock: HandClock) -> Iterator[MemoryOS]:
    outside = Outside(clock=clock, embedder=HashEmbedder(32))
    settings = Settings(worker=False, embedder="none")
    with build(tmp_path / "store", settings=settings, outside=outside) as memory:
        yield memory
        assert memory.verify().problems == ()


@pytest.fixture
def alice(memory: MemoryOS) -> Namespace:
    return memory.namespace("alice")


@pytest.fixture
def expenses(alice: Namespace) -> Table:
    table = alice.table("expenses", columns=COLUMNS, description="What Alice spent")
    assert table.insert(ROWS) == [1, 2, 3]
    return table
