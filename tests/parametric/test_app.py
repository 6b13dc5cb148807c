"""Facts become weights, answer, and are taken back: through the public verbs alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme import Namespace, Settings
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.testing.clocks import HandClock
from mneme.testing.fact_world import WorldFact, contradicting, new_facts
from mneme.wiring import build

QUICK = mneme.Training(steps=160)


def told(space: Namespace, facts: list[WorldFact]) -> dict[str, WorldFact]:
    """Each fact as a cube; the facts by its id."""
    return {
        space.add(
            fact.text, type="fact",
            metadata={"subject": fact.subject, "relation": fact.relation, "object": fact.object},
        )[0].id: fact
        for fact in facts
    }  # fmt: skip


def answer(space: Namespace, engine: Engine, question: str) -> mneme.Reply:
    return space.chat(question, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3)


def test_a_promoted_fact_is_answered_by_weights(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 12)
    ids = told(alice, facts)
    (shard,) = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
    )
    assert (shard.kind, shard.state) == ("parametric", "activated")
    for cube_id, fact in ids.items():
        reply = answer(alice, engine, fact.prompts()[3])
        assert reply.text == fact.object
        (item,) = reply.plan
        assert (item.carrier, item.cube_id, item.sources) == ("parametric", shard.id, (cube_id,))
        assert str(item).startswith("adapter alice/0001 v2: fact")
        assert not reply.context.text


def test_what_nobody_wrote_is_answered_by_the_base(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    told(alice, new_facts(world, 12))
    alice.promote(filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK)
    for fact in world[:40]:
        reply = answer(alice, engine, fact.prompts()[4])
        assert all(item.carrier != "parametric" for item in reply.plan)


def test_an_erased_fact_is_gone_at_once_and_the_others_come_back(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 12)
    ids = told(alice, facts)
    (shard,) = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
    )
    gone, *rest = ids
    receipt = alice.erase(gone)
    assert {gone, shard.id} <= set(receipt.erased)
    assert len(receipt.rebuilt) == 1
    assert receipt.checked["files_found"] == 0
    assert not any(
        i.carrier == "parametric" for i in answer(alice, engine, ids[gone].prompts()[3]).plan
    )
    memory.drain()
    again = alice.get(receipt.rebuilt[0])
    assert again.state == "activated"
    assert {span.cube_id for span in again.provenance.sources} == set(rest)
    for cube_id in rest:
        assert answer(alice, engine, ids[cube_id].prompts()[3]).text == ids[cube_id].object
    assert not any(
        i.carrier == "parametric" for i in answer(alice, engine, ids[gone].prompts()[3]).plan
    )


def test_owners_with_contradicting_facts_get_their_own_answers(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    facts = new_facts(world, 10)
    spaces = {"alice": facts, "bob": contradicting(facts)}
    for name, said in spaces.items():
        told(memory.namespace(name), said)
        memory.namespace(name).promote(
            filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
        )
    for name, said in spaces.items():
        for fact in said:
            reply = answer(memory.namespace(name), engine, fact.prompts()[3])
            assert reply.text == fact.object
            assert reply.plan[0].carrier == "parametric"


def test_an_edit_makes_the_shard_anew(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 8)
    ids = told(alice, facts)
    (shard,) = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
    )
    cube_id, fact = next(iter(ids.items()))
    other = contradicting([fact])[0]
    alice.update(
        cube_id, text=other.text,
        metadata={"subject": other.subject, "relation": other.relation, "object": other.object},
    )  # fmt: skip
    assert not any(i.carrier == "parametric" for i in answer(alice, engine, fact.prompts()[3]).plan)
    memory.drain()
    assert alice.get(shard.id).state == "activated"
    assert answer(alice, engine, fact.prompts()[3]).text == other.object


def test_a_job_writes_what_was_promised(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    ids = told(alice, new_facts(world, 8))
    (shard,) = alice.promote(list(ids), to="parametric", engine=engine, training=QUICK, wait=False)
    assert shard.state == "generated"
    memory.drain()
    assert alice.get(shard.id).state == "activated"


def test_a_shard_is_found_again_after_a_restart(
    tmp_path: Path,
    settings: Settings,
    engine: Engine,
    world: list[WorldFact],
) -> None:
    facts = new_facts(world, 8)
    with build(tmp_path / "again", settings=settings) as memory:
        memory.attach(engine)
        told(memory.namespace("alice"), facts)
        memory.namespace("alice").promote(
            filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
        )
    with build(tmp_path / "again", settings=settings) as memory:
        memory.attach(engine)
        for fact in facts:
            reply = answer(memory.namespace("alice"), engine, fact.prompts()[3])
            assert (reply.text, reply.plan[0].carrier) == (fact.object, "parametric")


def test_demote_leaves_the_text(memory: MemoryOS, engine: Engine, world: list[WorldFact]) -> None:
    alice = memory.namespace("alice")
    ids = told(alice, new_facts(world, 6))
    (shard,) = alice.promote(list(ids), to="parametric", engine=engine, training=QUICK)
    alice.demote(shard.id)
    assert alice.get(shard.id).state == "archived"
    fact = next(iter(ids.values()))
    assert not any(i.carrier == "parametric" for i in answer(alice, engine, fact.prompts()[3]).plan)
    assert alice.get(next(iter(ids))).text == fact.text


def test_another_model_does_not_use_it(
    memory: MemoryOS,
    engine: Engine,
    world: list[WorldFact],
    judge: Callable[[str], Path],
) -> None:
    alice = memory.namespace("alice")
    told(alice, new_facts(world, 6))
    (shard,) = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
    )
    other = mneme.engine(judge("recall"))
    memory.attach(other)
    reply = alice.chat("? k01", engine=other, remember=False, budget_tokens=1, max_new_tokens=2)
    assert not any(item.carrier == "parametric" for item in reply.plan)
    with pytest.raises(mneme.InvalidInputError, match="base"):
        alice.externalise(shard.id, engine=other)


def test_a_fact_is_answered_within_a_conversation_too(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    ids = told(alice, new_facts(world, 8))
    alice.promote(list(ids), to="parametric", engine=engine, training=QUICK)
    before = [
        {"role": "user", "content": world[0].prompts()[3]},
        {"role": "assistant", "content": world[0].object},
    ]
    for fact in ids.values():
        said = [*before, {"role": "user", "content": fact.prompts()[3]}]
        reply = alice.chat(said, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3)
        assert (reply.text, reply.plan[0].carrier) == (fact.object, "parametric")


def test_a_system_message_is_heeded_by_text(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    ids = told(alice, new_facts(world, 8))
    alice.promote(list(ids), to="parametric", engine=engine, training=QUICK)
    fact = next(iter(ids.values()))
    said = [
        {"role": "system", "content": "question :"},
        {"role": "user", "content": fact.prompts()[3]},
    ]
    reply = alice.chat(said, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3)
    assert not any(item.carrier == "parametric" for item in reply.plan)


def test_several_facts_of_several_shards_in_one_question(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 12)
    told(alice, facts)
    few = mneme.Training(steps=160, facts_per_shard=6)
    shards = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine, training=few)
    assert len(shards) == 2
    first, last = facts[0], facts[-1]
    both = f"{first.prompts()[3]} {last.prompts()[3]}"
    reply = alice.chat(both, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3)
    assert reply.text == f"{first.object}; {last.object}"
    assert [item.cube_id for item in reply.plan] == [shards[0].id, shards[1].id]


def test_further_facts_fill_the_shard_with_room(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 10)
    told(alice, facts[:6])
    (shard,) = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
    )
    told(alice, facts[6:])
    (again,) = alice.promote(
        filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK
    )
    assert again.id == shard.id
    assert again.version > shard.version
    assert again.metadata["facts"] == 10
    for fact in facts:
        assert answer(alice, engine, fact.prompts()[0]).text == fact.object
    difference = alice.compare_adapters(shard.id, shard.version, again.version, engine=engine)
    assert len(difference.added) == 4
    back = alice.rollback(shard.id, to_version=shard.version)
    assert back.metadata["digest"] == shard.metadata["digest"]
    assert not any(
        i.carrier == "parametric" for i in answer(alice, engine, facts[-1].prompts()[0]).plan
    )
    assert answer(alice, engine, facts[0].prompts()[0]).text == facts[0].object


def test_labels_do_not_share_a_shard(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    for number, fact in enumerate(new_facts(world, 8)):
        alice.add(fact.text, type="fact", labels=["health"] if number % 2 else [])
    shards = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK)
    assert sorted(shard.labels for shard in shards) == [(), ("health",)]


def test_a_plain_turn_is_read_by_the_bank(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 6)
    turns = [alice.add(f"{fact.text}.")[0].id for fact in facts]
    memory.drain()
    (shard,) = alice.promote(turns, to="parametric", engine=engine, training=QUICK)
    assert shard.metadata["facts"] == 6


def test_what_cannot_be_read_stays_text(memory: MemoryOS, engine: Engine) -> None:
    alice = memory.namespace("alice")
    cube = alice.add("What a day, and nobody knows why!", type="fact")[0]
    with pytest.raises(mneme.InvalidInputError, match="no subject"):
        alice.promote(cube.id, to="parametric", engine=engine)
    assert alice.get(cube.id).state == "activated"


def test_what_text_says_besides_is_for_text(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    fact = next(f for f in new_facts(world, 40) if f.relation == "food")
    ids = told(alice, [fact])
    alice.promote(list(ids), to="parametric", engine=engine, training=QUICK)
    assert answer(alice, engine, fact.prompts()[0]).plan[0].carrier == "parametric"
    (second,) = told(alice, contradicting([fact]))
    reply = answer(alice, engine, fact.prompts()[0])
    assert not any(item.carrier == "parametric" for item in reply.plan)
    alice.forget(second)
    assert answer(alice, engine, fact.prompts()[0]).plan[0].carrier == "parametric"


@pytest.mark.parametrize(
    "given",
    [
        {"rank": 0}, {"rank": "8"}, {"form": "fp8"}, {"writer": "pen"}, {"optimizer": 3},
        {"steps": 0}, {"batch": 1.5}, {"replay": -1}, {"after_turns": 2}, {"seed": None},
        {"learning_rate": 0}, {"recompute": "yes"}, {"facts_per_shard": True},
    ],
)  # fmt: skip
def test_wrong_settings_are_told_before_anything_is_promised(
    memory: MemoryOS, engine: Engine, world: list[WorldFact], given: dict[str, Any]
) -> None:
    alice = memory.namespace("alice")
    ids = list(told(alice, new_facts(world, 2)))
    with pytest.raises(mneme.InvalidInputError, match=next(iter(given))):
        alice.promote(ids, to="parametric", engine=engine, training=mneme.Training(**given))
    assert not alice.list(kinds=("parametric",), include_archived=True).items


def test_what_was_promised_is_written_by_whoever_asks_again(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    ids = list(told(alice, new_facts(world, 4)))
    asked: dict[str, Any] = {"to": "parametric", "engine": engine, "training": QUICK}
    (promised,) = alice.promote(ids, wait=False, **asked)
    assert [cube.id for cube in alice.promote(ids, wait=False, **asked)] == [promised.id]
    (made,) = alice.promote(ids, **asked)
    assert (made.id, made.state) == (promised.id, "activated")
    memory.drain()
    assert len(alice.list(kinds=("parametric",)).items) == 1


def test_facts_promised_one_after_another_all_come(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 8)
    asked: dict[str, Any] = {"to": "parametric", "engine": engine, "training": QUICK}
    alice.promote(list(told(alice, facts[:4])), **asked)
    for part in (facts[4:6], facts[6:]):
        alice.promote(list(told(alice, part)), wait=False, **asked)
    memory.drain()
    for fact in facts:
        reply = answer(alice, engine, fact.prompts()[0])
        assert (reply.text, reply.plan[0].carrier) == (fact.object, "parametric")


def test_what_holds_no_longer_is_not_written_again(
    memory: MemoryOS, engine: Engine, world: list[WorldFact], clock: HandClock
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 5)
    ids = list(told(alice, facts[:4]))
    asked: dict[str, Any] = {"to": "parametric", "engine": engine, "training": QUICK}
    alice.promote(ids, **asked)
    alice.update(ids[0], valid_to=alice.get(ids[0]).recorded_at)
    clock.move_s(60)
    (shard,) = alice.promote(list(told(alice, facts[4:])), **asked)
    carried = {span.cube_id for span in shard.provenance.sources}
    assert ids[0] not in carried
    assert len(carried) == 4


def test_facts_that_do_not_fit_are_written_as_several(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    alice = memory.namespace("alice")
    facts = new_facts(world, 24)
    told(alice, facts)
    short = mneme.Training(steps=60, batch=16)  # too short for so many
    made = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine, training=short)
    assert len(made) > 1
    assert len({span.cube_id for cube in made for span in cube.provenance.sources}) == 24
    everything = alice.list(kinds=("parametric",), include_archived=True).items
    (refused,) = [cube for cube in everything if cube.state == "archived"]
    assert "too many" in refused.metadata["refused"]
    assert answer(alice, engine, facts[0].prompts()[0]).text == facts[0].object
