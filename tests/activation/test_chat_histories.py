"""Random histories of a namespace: each answer is that of the texts as they are now."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import pytest

pytest.importorskip("torch", reason="needs the extra local")

from mneme import InvalidInputError, Namespace
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine

Opened = Callable[..., AbstractContextManager[MemoryOS]]

STEPS = ("add", "forget", "restore", "erase", "demote", "archive", "activate", "rollback", "update",
         "promote", "promote", "drain", "chat", "chat", "chat", "chat")  # fmt: skip
HIDDEN_BY = {"forget": "restore", "archive": "activate"}


@dataclass(slots=True)
class Known:
    """What a document says, at each of its versions, and by which verb it was hidden."""

    texts: list[tuple[str, dict[str, str]]]
    hidden: str = ""


class History:
    """A namespace, and what should be in it."""

    def __init__(self, seed: int, engine: Engine) -> None:
        self.dice, self.engine = random.Random(seed), engine
        self.keys = [f"k{n:02d}" for n in range(96)]
        self.dice.shuffle(self.keys)
        self.docs: dict[str, Known] = {}
        self.asked = self.right = self.guessed = 0

    def step(self, memory: MemoryOS) -> None:
        space, verb = memory.namespace("alice"), self.dice.choice(STEPS)
        seen = [cube_id for cube_id, known in self.docs.items() if not known.hidden]
        if verb == "drain":
            memory.drain()
        elif verb == "add" and len(self.docs) < 10 and len(self.keys) > 4:
            self._add(space)
        elif verb == "chat" and self.docs:
            self._chat(space)
        elif verb in HIDDEN_BY.values():
            back = [i for i, known in self.docs.items() if HIDDEN_BY.get(known.hidden) == verb]
            if back:
                cube_id = self.dice.choice(back)
                getattr(space, verb)(cube_id)
                self.docs[cube_id].hidden = ""
        elif seen and verb not in {"add", "chat"}:
            self._change(space, verb, seen)

    def _add(self, space: Namespace) -> None:
        facts = {self.keys.pop(): self._value() for _ in range(4)}
        text = self._text(facts)
        self.docs[space.add(text, type="document")[0].id] = Known([(text, facts)])

    def _change(self, space: Namespace, verb: str, seen: list[str]) -> None:
        cube_id = self.dice.choice(seen)
        known = self.docs[cube_id]
        if verb == "promote":
            chosen = self.dice.sample(seen, self.dice.randint(1, min(3, len(seen))))
            codec, wait = self.dice.choice(["raw", "raw", "int8"]), self.dice.random() < 0.8
            space.promote(chosen, to="activation", engine=self.engine, codec=codec, wait=wait)
        elif verb == "update":
            facts = dict(known.texts[-1][1])
            facts[self.dice.choice(list(facts))] = self._value()
            known.texts.append((self._text(facts), facts))
            space.update(cube_id, text=known.texts[-1][0])
        elif verb == "rollback":
            old = self.dice.choice(space.history(cube_id))
            space.rollback(cube_id, to_version=old.version)
            known.texts.append(next(each for each in known.texts if each[0] == old.text))
        elif verb == "demote":
            with suppress(InvalidInputError):  # it has no carrier
                space.demote(cube_id)
        elif verb == "erase":
            assert space.erase(cube_id).complete
            del self.docs[cube_id]
        else:
            getattr(space, verb)(cube_id)
            known.hidden = verb

    def _chat(self, space: Namespace) -> None:
        known = self.docs[self.dice.choice(list(self.docs))]
        key, value = self.dice.choice(list(known.texts[-1][1].items()))
        reply = space.chat(
            f"| ? {key}", engine=self.engine, max_new_tokens=1, remember=False, budget_tokens=600
        )
        assert reply.timings.verified is not False
        assert not reply.timings.failed
        seen = {cube_id for cube_id, each in self.docs.items() if not each.hidden}
        assert {source for item in reply.plan for source in item.sources} <= seen
        if known.hidden:
            self.guessed += reply.text == value
        else:
            self.asked += 1
            self.right += reply.text == value

    def _value(self) -> str:
        return f"v{self.dice.randrange(96):02d}"

    def _text(self, facts: dict[str, str]) -> str:
        words: list[str] = []
        for key, value in facts.items():
            words += [f"w{self.dice.randrange(64):02d}" for _ in range(self.dice.randint(1, 5))]
            words += [key, value]
        return " ".join(words)


def live(opened: Opened, engine: Engine, seed: int, steps: int) -> None:
    history = History(seed, engine)
    for _ in range(4):
        with opened(engine, kv_verify=1.0, kv_block_tokens=16) as memory:  # whole at the end
            for _ in range(steps // 4):
                history.step(memory)
            memory.drain()
            assert not memory.stats().jobs.get("dead")
            memory.detach(engine)
    assert history.right >= 0.9 * history.asked  # a few the judge cannot answer in full either
    assert history.guessed <= 3  # of 96 values


def test_a_short_history(opened: Opened, recall_engine: Engine) -> None:
    live(opened, recall_engine, 7, 120)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_long_history(opened: Opened, recall_engine: Engine, seed: int) -> None:
    live(opened, recall_engine, seed, 400)
