"""With a language model, turns are read again in batches; whatever it answers, no turn is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import BackendUnavailableError
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.llm_server import LlmServer, running_llm_server
from mneme.wiring import Outside, build

pytest.importorskip("httpx2", reason="the extra llm is not installed")
JOB = "extract"


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with running_llm_server() as server:
        yield server


def open_memory(
    folder: Path, server: LlmServer, clock: HandClock, timeout_s: float = 5.0
) -> MemoryOS:
    settings = Settings(
        worker=False, embedder="none", llm="openai:scripted", llm_url=server.url,
        llm_key="sk-key-of-the-test-server", llm_price_in=1.0, llm_price_out=2.0,
        llm_timeout_s=timeout_s,
    )  # fmt: skip
    return build(folder, settings=settings, outside=Outside(clock=clock))


def turns(count: int) -> list[str]:
    return [f"Our neighbour number {n} painted fence {n} green on Monday." for n in range(count)]


def test_a_thousand_turns_cost_at_most_a_call_for_twenty(tmp_path: Path, server: LlmServer) -> None:
    with open_memory(tmp_path, server, HandClock()) as memory:
        memory.namespace("alice").add_many(turns(1000))
        memory.drain()
        stats = memory.stats()
        assert stats.unread == 0
        assert 1 <= stats.spent[JOB]["calls"] <= 50
        assert stats.spent[JOB]["input_tokens"] > 0
        assert stats.spent[JOB]["cost"] > 0
        assert len(server.asked) == stats.spent[JOB]["calls"]
        assert stats.types["fact"] + stats.types.get("event", 0) > 0


def test_what_a_model_wrote_names_the_model_and_its_source(
    tmp_path: Path, server: LlmServer
) -> None:
    with open_memory(tmp_path, server, HandClock()) as memory:
        alice = memory.namespace("alice")
        alice.add_many(turns(40))
        memory.drain()
        derived = [
            cube
            for cube in alice.list(filters={"origin": "derived"}, limit=1000).items
            if cube.provenance.model is not None
        ]
        assert derived
        for cube in derived:
            (source,) = alice.sources(cube.id)
            (span,) = cube.provenance.sources
            assert cube.provenance.model == "openai:scripted"
            assert source.text[span.start : span.end].strip()


def test_few_turns_wait_for_more_or_for_quiet(tmp_path: Path, server: LlmServer) -> None:
    clock = HandClock()
    with open_memory(tmp_path, server, clock) as memory:
        memory.namespace("alice").add_many(turns(5))
        memory.drain()
        assert server.asked == []
        assert memory.stats().unread == 5
        clock.move_s(7 * 3600)
        memory.drain()
        assert len(server.asked) == 1
        assert memory.stats().unread == 0


def test_infer_llm_waits_for_nothing(tmp_path: Path, server: LlmServer) -> None:
    with open_memory(tmp_path, server, HandClock()) as memory:
        memory.namespace("alice").add(turns(1)[0], infer="llm")
        memory.drain()
        assert len(server.asked) == 1


def test_without_a_model_infer_llm_is_an_error(tmp_path: Path) -> None:
    with build(tmp_path, settings=Settings(worker=False, embedder="none")) as memory:
        with pytest.raises(BackendUnavailableError, match="LLM"):
            memory.namespace("alice").add("A turn.", infer="llm")
        assert memory.stats().types == {}


def test_a_model_that_fails_loses_no_turn(tmp_path: Path) -> None:
    clock = HandClock()
    with (
        running_llm_server(moods=["500"] * 8) as server,
        open_memory(tmp_path, server, clock, timeout_s=0.5) as memory,
    ):
        memory.namespace("alice").add_many(turns(40))
        memory.drain(timeout_s=30)
        assert memory.stats().unread == 40
        for _ in range(20):
            clock.move_s(600)
            memory.drain(timeout_s=30)
        assert memory.stats().unread == 0
