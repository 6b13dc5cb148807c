"""A real upstream, and the proxy before it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import openai
import pytest

from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.doors import Door, running_door
from mneme.testing.upstream import KEY, UpstreamServer, running_upstream

TIMEOUT_S = 2.0  # others may keep the machine busy


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with running_upstream(wants_key=True, most_s=120) as server:
        yield server


@pytest.fixture
def settings(upstream: UpstreamServer) -> Settings:
    return Settings(
        serve_requests_per_s=0,
        upstream_url=upstream.url,
        upstream_key=KEY,
        upstream_timeout_s=TIMEOUT_S,
    )


@pytest.fixture
def door(memory: MemoryOS, settings: Settings) -> Iterator[Door]:
    with running_door(memory, settings=settings) as door:
        yield door


@pytest.fixture
def key(memory: MemoryOS) -> str:
    """Of one whose home is the namespace "alice"."""
    return memory.make_key("alice", namespaces=["alice"])[0]


@pytest.fixture
def client(door: Door, key: str) -> Iterator[openai.OpenAI]:
    """The package that everybody uses, through the proxy."""
    with openai.OpenAI(base_url=f"{door.url}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def direct(upstream: UpstreamServer) -> Iterator[openai.OpenAI]:
    """The same, without the proxy."""
    with openai.OpenAI(base_url=upstream.url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def raw(door: Door, key: str) -> Iterator[httpx2.Client]:
    """HTTP alone, through the proxy."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with httpx2.Client(base_url=f"{door.url}/v1", headers=headers, timeout=20) as client:
        yield client
