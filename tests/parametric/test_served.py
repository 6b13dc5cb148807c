"""Shards on a server that takes adapters while it runs: routed here, computed there."""

from __future__ import annotations

from pathlib import Path

import pytest

import mneme
from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.cube import MemCube
from mneme.core.engine import Engine, RemoteEngine
from mneme.testing.fact_world import WorldFact, new_facts
from mneme.testing.lora_server import BASE_MODEL, running_lora_server

pytest.importorskip("httpx2", reason="engines behind servers need the extra 'llm'")


@pytest.fixture
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 6)


@pytest.fixture
def shard(memory: MemoryOS, engine: Engine, facts: list[WorldFact]) -> MemCube:
    alice = memory.namespace("alice")
    for fact in facts:
        alice.add(fact.text, type="fact")
    return alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)[0]


def ask(space: Namespace, engine: RemoteEngine, fact: WorldFact) -> mneme.Reply:
    return space.chat(fact.prompts()[3], engine=engine, remember=False)


def test_the_server_answers_with_the_shard(
    memory: MemoryOS, shard: MemCube, facts: list[WorldFact], tmp_path: Path
) -> None:
    alice = memory.namespace("alice")
    with running_lora_server() as server:
        remote = mneme.remote_engine(
            BASE_MODEL, url=server.url, base=shard.metadata["base"], adapters=tmp_path / "served"
        )
        for fact in facts:
            reply = ask(alice, remote, fact)
            assert reply.text == f"mneme-{shard.metadata['digest'][:16]}"  # it says who was asked
            assert reply.plan[0].carrier == "parametric"
        loads = [each for each in server.asked if each.path == "/v1/load_lora_adapter"]
        assert len(loads) == 1


def test_an_erased_shard_goes_from_the_server_and_its_folder(
    memory: MemoryOS, shard: MemCube, facts: list[WorldFact], tmp_path: Path
) -> None:
    alice = memory.namespace("alice")
    with running_lora_server() as server:
        remote = mneme.remote_engine(
            BASE_MODEL, url=server.url, base=shard.metadata["base"], adapters=tmp_path / "served"
        )
        ask(alice, remote, facts[0])
        assert server.adapters
        receipt = alice.erase(shard.provenance.sources[0].cube_id)
        assert not server.adapters
        assert not list((tmp_path / "served").iterdir())
        assert any("served" in copy for copy in receipt.not_reached)
        assert ask(alice, remote, facts[0]).text == BASE_MODEL


def test_a_server_that_takes_no_adapters_gets_text(
    memory: MemoryOS, shard: MemCube, facts: list[WorldFact], tmp_path: Path
) -> None:
    with running_lora_server(takes_adapters=False) as server:
        remote = mneme.remote_engine(
            BASE_MODEL, url=server.url, base=shard.metadata["base"], adapters=tmp_path / "served"
        )
        reply = ask(memory.namespace("alice"), remote, facts[0])
        assert reply.text == BASE_MODEL
        assert all(item.carrier == "text" for item in reply.plan)


def test_a_server_of_another_base_gets_text(
    memory: MemoryOS, shard: MemCube, facts: list[WorldFact], tmp_path: Path
) -> None:
    assert shard.metadata["base"] != "0" * 64
    with running_lora_server() as server:
        remote = mneme.remote_engine(
            BASE_MODEL, url=server.url, base="0" * 64, adapters=tmp_path / "served"
        )
        assert ask(memory.namespace("alice"), remote, facts[0]).text == BASE_MODEL
        assert not server.adapters


def test_base_and_folder_go_together(tmp_path: Path) -> None:
    with pytest.raises(mneme.InvalidInputError, match="together"):
        mneme.remote_engine("small", url="http://127.0.0.1:9/v1", adapters=tmp_path)
