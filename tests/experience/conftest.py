"""A memory of its own for each test."""

from __future__ import annotations

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS


@pytest.fixture
def agent(memory: MemoryOS) -> Namespace:
    return memory.namespace("agent")
