"""A real server over the memory of a test."""

from collections.abc import Iterator

import httpx2
import pytest

from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door, running_door


@pytest.fixture
def door(memory: MemoryOS) -> Iterator[Door]:
    with running_door(memory) as door:
        yield door


@pytest.fixture
def http(door: Door) -> Iterator[httpx2.Client]:
    """A client that holds the key of the door."""
    with httpx2.Client(base_url=door.url, headers=door.headers, timeout=30) as client:
        yield client
