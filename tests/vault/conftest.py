"""A memory whose files of blocks lie in two places, and one with shards of facts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import MemCube, Namespace
from mneme.testing.clocks import HandClock
from mneme.testing.prefills import Places
from mneme.testing.shards import Shelf

TEXTS = (
    "The lamp in the hall of Orla Finch is painted green.",
    "The cousin of Tomas Reed repairs clocks in Cork.",
    "The ferry of Captain Ilse leaves Bergen on Mondays.",
    "The tower of Saint Brandt was closed after the storm.",
)


@pytest.fixture
def places(tmp_path: Path, clock: HandClock) -> Iterator[Places]:
    places = Places(tmp_path / "store", clock)
    with places.memory:
        yield places
        places.near.down = places.far.down = False
        places.memory.drain()
        assert places.memory.verify().problems == ()


@pytest.fixture
def shelf(tmp_path: Path, clock: HandClock) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "store", clock)
    with shelf.memory:
        yield shelf
        shelf.adapters.sweep()
        assert shelf.memory.verify().problems == ()
        assert shelf.files() == shelf.rows()


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Namespace:
    """The namespace "alice" of the memory of the test."""
    name = "shelf" if "shelf" in request.fixturenames else "places"
    memory = request.getfixturevalue(name).memory
    found: Namespace = memory.namespace("alice")
    return found


@pytest.fixture
def facts(owner: Namespace) -> list[MemCube]:
    """Four facts of that namespace."""
    return [owner.add(text, type="fact", labels=["home"])[0] for text in TEXTS]
