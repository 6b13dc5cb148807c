"""Clients of the scripted server, one for each kind of server that they speak to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("httpx2", reason="the extra llm is not installed")
pytest.importorskip("fastjsonschema", reason="the extra llm is not installed")

from mneme.backends.llm import anthropic, ollama, openai
from mneme.backends.llm.client import RemoteModel, Server
from mneme.testing.llm_server import KEY, LlmServer, running_llm_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mneme.backends.llm.account import Account, Terms
    from mneme.backends.llm.dialects import Dialect

DIALECTS = {"openai": openai.DIALECT, "anthropic": anthropic.DIALECT, "ollama": ollama.DIALECT}


def model_of(
    url: str,
    *,
    dialect: Dialect = openai.DIALECT,
    timeout_s: float = 5.0,
    pause_s: float = 0.01,
    at_once: int = 4,
    terms: Terms | None = None,
    account: Account | None = None,
) -> RemoteModel:
    place = Server(url, key=KEY, timeout_s=timeout_s, pause_s=pause_s, at_once=at_once)
    return RemoteModel(dialect, "small", place, terms=terms, account=account)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[LlmServer]:
    with running_llm_server() as server:
        yield server


@pytest.fixture
def server(shared_server: LlmServer) -> LlmServer:
    shared_server.moods.clear()
    shared_server.asked.clear()
    shared_server.retry_after_s = 1
    return shared_server


@pytest.fixture
def make() -> Callable[..., RemoteModel]:
    return model_of
