"""A memory whose files of blocks lie in two places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import Namespace
from mneme.testing.clocks import HandClock
from mneme.testing.prefills import Places


@pytest.fixture
def places(tmp_path: Path, clock: HandClock) -> Iterator[Places]:
    places = Places(tmp_path / "store", clock)
    with places.memory:
        yield places
        places.near.down = places.far.down = False
        places.memory.drain()
        assert places.memory.verify().problems == ()


@pytest.fixture
def owner(places: Places) -> Namespace:
    """The namespace "alice" of that memory."""
    return places.memory.namespace("alice")
