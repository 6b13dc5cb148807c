"""Adapters that no slot holds: the few used last are ready, and none goes while it is in use."""

from __future__ import annotations

import pytest

from mneme.app.parametric.beside import Beside
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.training import UNWATCHED, Course, Lesson, Training
from mneme.memories.parametric.writers import build_writer
from mneme.testing.fact_world import WorldFact, new_facts


@pytest.fixture(scope="module")
def adapter(engine: Engine, world: list[WorldFact]) -> Adapter:
    def tokens(text: str) -> tuple[int, ...]:
        return tuple(engine.render([{"role": "user", "content": text}]))

    fact = new_facts(world, 1)[0]
    lessons = tuple(
        Lesson(tokens(prompt), tuple(engine.encode(fact.object)), 0) for prompt in fact.prompts()
    )
    replay = tuple(tokens(known.prompts()[0]) for known in world[:8])
    training = Training(writer="knn")
    return build_writer("knn").write(engine, Course(lessons, replay), training, UNWATCHED).adapter


def test_a_session_outlives_those_that_came_after_it(engine: Engine, adapter: Adapter) -> None:
    beside = Beside(engine, lambda _digest: adapter)
    first = beside.session("first")
    prompt = engine.render([{"role": "user", "content": "where"}])
    before = first.feed(prompt)
    others = [beside.session(f"other {number}") for number in range(8)]
    assert first.feed(prompt[-1:]) is not None
    assert len(others) == 8
    assert before is not None
    beside.close()


def test_what_went_answers_no_longer(engine: Engine, adapter: Adapter) -> None:
    beside = Beside(engine, lambda _digest: adapter)
    session = beside.session("gone")
    beside.let_go(lambda _digests: set())
    with pytest.raises(InvalidInputError):
        session.feed(engine.render([{"role": "user", "content": "where"}]))
