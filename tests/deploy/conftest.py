"""A real server over the memory of a test."""

from collections.abc import Iterator

import pytest

from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door, running_door


@pytest.fixture
def door(memory: MemoryOS) -> Iterator[Door]:
    with running_door(memory) as door:
        yield door
