"""Random histories: what weights answer is what a visible text says now, or they do not answer."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

import mneme
from mneme import Namespace, Settings
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.testing.clocks import HandClock
from mneme.testing.fact_world import WorldFact, contradicting, new_facts
from mneme.wiring import Outside, build

SLOTS, STEPS = 10, 60
NAMES = ("alice", "bob")
QUICK = mneme.Training(writer="knn", facts_per_shard=4)  # written in no time, and gated as others


class History:
    """One store under random verbs, beside what its texts say."""

    def __init__(self, memory: MemoryOS, engine: Engine, world: list[WorldFact], seed: int) -> None:
        self.memory, self.engine, self.rng = memory, engine, random.Random(seed)
        self.slots = new_facts(world, SLOTS, seed=seed)
        self.said: dict[str, tuple[str, WorldFact]] = {}  # visible facts: owner, what is said
        self.hidden: dict[str, tuple[str, WorldFact]] = {}
        self.by_weights = 0

    def space(self, name: str) -> Namespace:
        return self.memory.namespace(name)

    def step(self) -> None:
        verbs = (
            self.add, self.add, self.promote, self.promote, self.promise, self.edit, self.forget,
            self.restore, self.erase, self.drain, self.demote, self.ask,
        )  # fmt: skip
        self.rng.choice(verbs)()
        self.ask()

    def add(self) -> None:
        name, fact = self.rng.choice(NAMES), self.rng.choice(self.slots)
        if self.rng.random() < 0.3:
            fact = contradicting([fact], seed=self.rng.randrange(1000))[0]
        if any(
            known[1].text == fact.text for known in (*self.said.values(), *self.hidden.values())
        ):
            return  # a repeat is kept with the first
        cube = self.space(name).add(fact.text, type="fact", metadata=_triple(fact))[0]
        self.said[cube.id] = (name, fact)

    def promote(self, *, wait: bool = True) -> None:
        name = self.rng.choice(NAMES)
        nothing_or_not_proven = (mneme.InvalidInputError, mneme.GateFailedError)
        with suppress(*nothing_or_not_proven):
            self.space(name).promote(
                filters={"type": "fact"}, to="parametric", engine=self.engine, training=QUICK,
                wait=wait,
            )  # fmt: skip

    def promise(self) -> None:
        self.promote(wait=False)

    def edit(self) -> None:
        for cube_id, (name, fact) in self._some(self.said):
            other = contradicting([fact], seed=self.rng.randrange(1000))[0]
            self.space(name).update(cube_id, text=other.text, metadata=_triple(other))
            self.said[cube_id] = (name, other)

    def forget(self) -> None:
        for cube_id, (name, fact) in self._some(self.said):
            self.space(name).forget(cube_id)
            self.hidden[cube_id] = (name, fact)
            del self.said[cube_id]

    def restore(self) -> None:
        for cube_id, known in self._some(self.hidden):
            self.space(known[0]).restore(cube_id)
            self.said[cube_id] = self.hidden.pop(cube_id)

    def erase(self) -> None:
        place = self.rng.choice((self.said, self.hidden))
        for cube_id, (name, _) in self._some(place):
            receipt = self.space(name).erase(cube_id)
            assert receipt.checked["files_found"] == 0
            del place[cube_id]

    def demote(self) -> None:
        name = self.rng.choice(NAMES)
        shards = self.space(name).list(kinds=("parametric",)).items
        if shards:
            self.space(name).demote(self.rng.choice(shards).id)

    def drain(self) -> None:
        self.memory.drain()

    def ask(self) -> None:
        """Nothing that is hidden, changed or another's is answered, and nothing half."""
        for fact in self.rng.sample(self.slots, 3):
            for name in NAMES:
                reply = self.space(name).chat(
                    fact.prompts()[self.rng.choice((0, 3))], engine=self.engine, remember=False,
                    budget_tokens=1, max_new_tokens=3,
                )  # fmt: skip
                weights = [item for item in reply.plan if item.carrier == "parametric"]
                for item in weights:
                    owner, known = self.said[item.sources[0]]
                    assert (owner, known[:2]) == (name, fact[:2])
                    assert reply.text == known.object
                    assert {
                        f.object for o, f in self.said.values() if (o, f[:2]) == (name, fact[:2])
                    } == {known.object}
                self.by_weights += bool(weights)

    def _some(
        self, among: dict[str, tuple[str, WorldFact]]
    ) -> list[tuple[str, tuple[str, WorldFact]]]:
        return [self.rng.choice(list(among.items()))] if among else []


def _triple(fact: WorldFact) -> dict[str, str]:
    return {"subject": fact.subject, "relation": fact.relation, "object": fact.object}


def live(
    folder: Path, settings: Settings, engine: Engine, world: list[WorldFact], seed: int
) -> int:
    """One history; how many questions weights answered."""
    with build(folder, settings=settings, outside=Outside(clock=HandClock())) as memory:
        memory.attach(engine)
        history = History(memory, engine, world, seed)
        for _ in range(STEPS):
            history.step()
        memory.drain()
        history.ask()
        assert memory.verify().ok
        return history.by_weights


def test_weights_say_what_texts_say(
    tmp_path: Path, settings: Settings, engine: Engine, world: list[WorldFact]
) -> None:
    answered = [live(tmp_path / str(seed), settings, engine, world, seed) for seed in range(2)]
    assert sum(answered) > 10  # else nothing was tried


@pytest.mark.slow
def test_weights_say_what_texts_say_in_many_histories(
    tmp_path: Path, settings: Settings, engine: Engine, world: list[WorldFact]
) -> None:
    answered = [
        live(tmp_path / str(seed), settings, engine, world, seed) for seed in range(100, 140)
    ]
    assert sum(answered) > 400
