"""Where frameworks are tested: nothing is reported to anybody, and nothing leaves this machine.

    make test-integrations

runs these tests in an environment of its own, since the frameworks ask for other versions than the
rest of Mneme. Elsewhere they skip, each saying what is not installed.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS

# Set before any framework is imported: some decide, or write files, while they are.
_QUIET = {
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MEM0_TELEMETRY": "False",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
    "POSTHOG_DISABLED": "1",
    # "OPENAI_API_KEY" stays unset: what asks for a key fails.
}
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LANGSMITH_API_KEY", "CREWAI_API_KEY")
_ENVIRONMENT = pytest.MonkeyPatch()
for _name, _value in _QUIET.items():
    _ENVIRONMENT.setenv(_name, _value)
for _name in _KEYS:
    _ENVIRONMENT.delenv(_name, raising=False)
_FILES = tempfile.TemporaryDirectory(prefix="mneme-integrations-")  # what they write for themselves
_ENVIRONMENT.setenv("MEM0_DIR", _FILES.name)
_ENVIRONMENT.setenv("CREWAI_STORAGE_DIR", _FILES.name)

_LOOPBACK = ("127.0.0.1", "::1", "localhost", None, "")


class Wall:
    """Refuses every connection and every look-up of a name but those of this machine."""

    def __init__(self) -> None:
        self.stands = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.stands or event not in {"socket.connect", "socket.getaddrinfo"}:
            return
        address = arguments[1] if event == "socket.connect" else arguments
        host = address[0] if isinstance(address, tuple) else None  # a path: a socket of files
        if host not in _LOOPBACK:
            raise ConnectionRefusedError(f"a test of integrations wanted to reach {host!r}")


_WALL = Wall()


@pytest.fixture(autouse=True)
def no_network() -> Iterator[Wall]:
    """Tests of integrations, and no others, reach this machine only."""
    _WALL.stands = True
    yield _WALL
    _WALL.stands = False


@pytest.fixture(scope="session", autouse=True)
def _closed_loops() -> Iterator[None]:
    """Frameworks leave the event loops of their synchronous calls to the end of the process."""
    yield
    for each in gc.get_objects():
        if issubclass(type(each), asyncio.BaseEventLoop) and not each.is_running():
            each.close()


@pytest.fixture(params=["library", "client"])
def open_namespace(
    request: pytest.FixtureRequest, memory: MemoryOS
) -> Iterator[Callable[[], Namespace]]:
    """Opens a fresh namespace at each call: of the library, and over HTTP through the client."""
    numbers = itertools.count(1)
    if request.param == "library":
        yield lambda: memory.namespace(f"acme/n{next(numbers)}")
        return
    from mneme.client import Client
    from mneme.testing.doors import running_door

    with running_door(memory) as door, Client(door.url, door.key) as client:
        yield lambda: cast("Namespace", client.namespace(f"acme/n{next(numbers)}"))


@pytest.fixture
def namespace(open_namespace: Callable[[], Namespace]) -> Namespace:
    """A fresh namespace, once of the library and once over HTTP."""
    return open_namespace()
