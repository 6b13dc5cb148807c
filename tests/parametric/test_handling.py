"""Adapters are read back, moved, merged and weakened: through the public verbs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import mneme
from mneme.app.memory import MemoryOS
from mneme.core.cube import MemCube
from mneme.core.engine import Engine
from mneme.testing.fact_world import WorldFact, new_facts

FACTS = 8


@pytest.fixture
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, FACTS)


@pytest.fixture
def shard(memory: MemoryOS, engine: Engine, facts: list[WorldFact]) -> MemCube:
    alice = memory.namespace("alice")
    for fact in facts:
        alice.add(fact.text, type="fact")
    training = mneme.Training(steps=160)
    return alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=training
    )[0]


def test_an_adapter_says_what_its_ledger_holds_and_nothing_else_is_admitted(
    memory: MemoryOS, shard: MemCube, engine: Engine, facts: list[WorldFact]
) -> None:
    strange = [fact.prompts()[3] for fact in new_facts(facts, 20, seed=9)]
    found = memory.namespace("alice").externalise(shard.id, engine=engine, questions=strange)
    assert {claim.cube_id for claim in found.verified} == {
        span.cube_id for span in shard.provenance.sources
    }
    assert all(claim.why for claim in found.quarantined)
    assert len(found.quarantined) >= 20


def test_an_export_is_imported_elsewhere_without_trust(
    memory: MemoryOS, shard: MemCube, engine: Engine, facts: list[WorldFact], tmp_path: Path
) -> None:
    memory.namespace("alice").export_adapter(shard.id, tmp_path / "moved")
    bob = memory.namespace("bob")
    cube = bob.import_adapter(tmp_path / "moved", engine=engine)
    assert (cube.trust, cube.provenance.method) == ("untrusted", "imported")
    question = facts[0].prompts()[3]
    plain = bob.chat(question, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3)
    assert not plain.plan
    wanted = bob.chat(
        question, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3, adapters=cube.id
    )
    assert wanted.text == facts[0].object
    assert "unproven" in str(wanted.plan[0])
    assert len(bob.externalise(cube.id, engine=engine).verified) == FACTS


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own
def test_an_export_opens_in_peft(
    memory: MemoryOS, shard: MemCube, engine: Engine, facts: list[WorldFact], tmp_path: Path
) -> None:
    import copy

    import torch
    from peft import PeftModel

    memory.namespace("alice").export_adapter(shard.id, tmp_path / "moved")
    model = PeftModel.from_pretrained(copy.deepcopy(engine.model), str(tmp_path / "moved"))
    for fact in facts:
        tokens = engine.render([{"role": "user", "content": fact.prompts()[3]}])
        with torch.no_grad():
            found = model(torch.tensor([tokens])).logits[0, -1].argmax().item()
        assert engine.decode([found]) == fact.object


def test_an_erasure_names_the_exports_that_it_does_not_reach(
    memory: MemoryOS, shard: MemCube, tmp_path: Path
) -> None:
    alice = memory.namespace("alice")
    alice.export_adapter(shard.id, tmp_path / "moved")
    receipt = alice.erase(shard.provenance.sources[0].cube_id)
    assert any(str(tmp_path / "moved") in copy for copy in receipt.not_reached)


def two_shards(
    memory: MemoryOS, engine: Engine, facts: list[WorldFact], training: mneme.Training
) -> tuple[MemCube, MemCube]:
    """The first half of some facts in one shard, the others in another."""
    alice = memory.namespace("alice")
    for number, fact in enumerate(facts):
        labels = ["other"] if number < len(facts) // 2 else []
        alice.add(fact.text, type="fact", labels=labels)
    first, second = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=training
    )
    return first, second


def test_a_merged_shard_that_breaks_facts_is_refused(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    shards = two_shards(memory, engine, new_facts(world, 24, seed=5), mneme.Training(steps=160))
    alice = memory.namespace("alice")
    with pytest.raises(mneme.GateFailedError, match="stays text"):
        alice.merge_adapters([shard.id for shard in shards], engine=engine, how="svd")
    assert {alice.get(shard.id).state for shard in shards} == {"activated"}  # as they were


def test_a_merged_shard_that_passes_stands_for_its_parts(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    facts = new_facts(world, 4, seed=6)
    gently = mneme.Training(steps=160, rank=8, learning_rate=5e-3)  # so that they do not clash
    shards = two_shards(memory, engine, facts, gently)
    alice = memory.namespace("alice")
    both = alice.merge_adapters([shard.id for shard in shards], engine=engine, how="cat")
    assert {alice.get(shard.id).state for shard in shards} == {"archived"}
    assert (both.labels, both.metadata["facts"]) == (("other",), 4)
    for fact in facts:
        reply = alice.chat(
            fact.prompts()[0], engine=engine, remember=False, budget_tokens=1, max_new_tokens=3
        )
        assert (reply.text, reply.plan[0].cube_id) == (fact.object, both.id)


def test_a_foreign_adapter_is_weakened_and_says_so(
    memory: MemoryOS, shard: MemCube, engine: Engine, facts: list[WorldFact], tmp_path: Path
) -> None:
    alice, bob = memory.namespace("alice"), memory.namespace("bob")
    alice.export_adapter(shard.id, tmp_path / "moved")
    (tmp_path / "moved" / "checksums.json").unlink()  # as somebody else's
    cube = bob.import_adapter(tmp_path / "moved", engine=engine)
    pairs = [{"prompt": p, "answer": f.object} for f in facts for p in f.prompts((0, 3))]
    weaker = bob.unlearn(cube.id, pairs[:2], engine=engine, retain=pairs[2:])
    assert (weaker.id, weaker.version > cube.version) == (cube.id, True)
    assert weaker.metadata["approximate"] is True
    assert weaker.metadata["damage"]["before"]["forgotten"] == 1.0
    assert weaker.metadata["damage"]["after"]["forgotten"] < 1.0
    with pytest.raises(mneme.InvalidInputError, match="erase the text"):
        alice.unlearn(shard.id, pairs[:2], engine=engine, retain=pairs[2:])


def test_a_pickled_adapter_is_not_opened(memory: MemoryOS, engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(mneme.ImportRefusedError, match="pickle"):
        memory.namespace("bob").import_adapter(folder, engine=engine)
