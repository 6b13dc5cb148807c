"""Questions of many owners in one batch: each answered by its own shard, or by the bare base."""

from __future__ import annotations

import random
from typing import Any

import pytest

import mneme
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.testing.fact_world import WorldFact, contradicting, new_facts

QUICK = mneme.Training(steps=160)


def told(memory: MemoryOS, engine: Engine, name: str, facts: list[WorldFact]) -> None:
    space = memory.namespace(name)
    for fact in facts:
        said = {"subject": fact.subject, "relation": fact.relation, "object": fact.object}
        space.add(fact.text, type="fact", metadata=said)
    space.promote(filters={"type": "fact"}, to="parametric", engine=engine, training=QUICK)


def test_each_row_has_its_own_shard_or_none(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    facts = new_facts(world, 6)
    others = contradicting(facts)
    told(memory, engine, "alice", facts)
    told(memory, engine, "bob", others)
    asked = [(name, fact.prompts()[3], fact.object, True)
             for name, said in (("alice", facts), ("bob", others)) for fact in said]  # fmt: skip
    asked += [("carol", fact.prompts()[3], fact.object, False) for fact in world[:8]]
    random.Random(3).shuffle(asked)
    replies = memory.chat_many(
        [(name, question) for name, question, _, _ in asked], engine=engine, budget_tokens=1,
        max_new_tokens=3,
    )  # fmt: skip
    for reply, (_, _, wanted, by_weights) in zip(replies, asked, strict=True):
        assert reply.text == wanted
        assert any(item.carrier == "parametric" for item in reply.plan) == by_weights


def test_a_batch_answers_as_one_by_one(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    facts = new_facts(world, 6)
    told(memory, engine, "alice", facts)
    alice = memory.namespace("alice")
    questions = [fact.prompts()[number] for fact in (*facts, *world[:6]) for number in (0, 3)]
    given: dict[str, Any] = {"engine": engine, "budget_tokens": 1, "max_new_tokens": 4}
    many = memory.chat_many([("alice", each) for each in questions], **given)
    one_by_one = [alice.chat(each, remember=False, **given) for each in questions]
    assert [reply.text for reply in many] == [reply.text for reply in one_by_one]
    assert [str(reply.plan) for reply in many] == [str(reply.plan) for reply in one_by_one]


def test_more_shards_than_slots_are_answered_in_turn(
    memory: MemoryOS, engine: Engine, world: list[WorldFact]
) -> None:
    owners = 10  # of slots there are eight
    facts = new_facts(world, owners)
    for number, fact in enumerate(facts):
        told(memory, engine, f"owner{number}", [fact])
    questions = [(f"owner{number}", fact.prompts()[0]) for number, fact in enumerate(facts)]
    replies = memory.chat_many(questions, engine=engine, budget_tokens=1, max_new_tokens=3)
    assert [reply.text for reply in replies] == [fact.object for fact in facts]


@pytest.mark.parametrize("wrong", ["alice", ["alice"], [("alice",)], [("alice", 3)], 7])
def test_what_is_no_list_of_pairs_is_told(memory: MemoryOS, engine: Engine, wrong: object) -> None:
    with pytest.raises(mneme.InvalidInputError, match="pairs"):
        memory.chat_many(wrong, engine=engine)  # type: ignore[arg-type]
