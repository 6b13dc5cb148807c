"""Servers of MCP with the SDK's own client at the other end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door
from mneme.testing.mcp_client import Talk, reached, started, talking

Opening = Callable[..., AbstractContextManager[Talk]]
QUIET = {"MNEME_WORKER": "0", "MNEME_EMBEDDER": "none"}


@pytest.fixture
def on_stdio(tmp_path: Path) -> Opening:
    """Opens `mneme mcp` as a process of its own; takes further options."""

    def opened(*options: str) -> AbstractContextManager[Talk]:
        command = (sys.executable, "-m", "mneme", "mcp", "--store", str(tmp_path / "own"))
        return talking(started(*command, *options, env=QUIET))

    return opened


@pytest.fixture
def over_http(memory: MemoryOS, door: Door) -> Opening:
    """Opens /mcp of a real server with a key of its own."""

    @contextmanager
    def opened(
        *namespaces: str,
        verbs: tuple[str, ...] = ("*",),
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> Iterator[Talk]:
        key, _ = memory.make_key("tester", namespaces=list(namespaces), verbs=list(verbs))
        given = {"Authorization": f"Bearer {key}"} | (headers or {})
        with talking(reached(f"{door.url}/mcp{query}", given)) as talk:
            yield talk

    return opened


@pytest.fixture
def talk(over_http: Opening, alice: Namespace) -> Iterator[Talk]:
    """Somebody who holds the key to alice's memories, over HTTP."""
    with over_http(alice.path) as client:
        yield client
