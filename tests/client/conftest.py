"""One namespace twice: as the library gives it, and over HTTP through the client."""

from collections.abc import Iterator

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.client import Client, RemoteNamespace
from mneme.testing.doors import Door, running_door


@pytest.fixture
def door(memory: MemoryOS) -> Iterator[Door]:
    with running_door(memory) as door:
        yield door


@pytest.fixture
def client(door: Door) -> Iterator[Client]:
    with Client(door.url, door.key) as client:
        yield client


@pytest.fixture(params=["library", "client"])
def space(
    request: pytest.FixtureRequest, memory: MemoryOS
) -> Iterator[Namespace | RemoteNamespace]:
    if request.param == "library":
        yield memory.namespace("acme/alice")
        return
    with running_door(memory) as door, Client(door.url, door.key) as client:
        yield client.namespace("acme/alice")
