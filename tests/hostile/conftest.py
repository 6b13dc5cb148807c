"""A store with a few memories, whose state can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryOS]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    settings = Settings(worker=False, embedder="none")
    with build(folder, settings=settings, outside=Outside(embedder=HashEmbedder(8))) as memory:
        yield memory


@pytest.fixture(scope="module")
def alice(memory: MemoryOS) -> Namespace:
    alice = memory.namespace("alice")
    alice.add("I moved to Oslo.", session="s", at="2026-03-20", metadata={"a": 1})
    alice.add("Bob likes tea.", session="s", role="assistant", speaker="Bob")
    memory.namespace("bob").add("The secret of Bob is zebra.", session="t")
    memory.drain()  # else the first context has it read
    return alice
