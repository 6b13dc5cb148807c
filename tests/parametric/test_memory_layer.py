"""Slots beside a frozen layer: facts in a slot each, the base elsewhere, the run resumable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import greedy_answers, next_logits
from mneme.memories.parametric.memory_layer import NAME, MemoryLayerCarrier, memory_place
from mneme.memories.parametric.training import UNWATCHED, Course, Lesson, Run, Training, Written
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.testing.fact_world import HELD, WorldFact, course_of, new_facts, prompt_of
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch", reason="parametric memory needs the extra 'local'")

TRAINING = Training(writer=NAME, batch=24)
SMALL = Course(
    lessons=(Lesson((1, 7, 8, 9), (40, 41, 2), 0), Lesson((1, 30, 31), (42, 2), 1)),
    replay=((1, 50, 51), (1, 52, 53, 54, 55)),
)


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 12)


@pytest.fixture(scope="module")
def course(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Course:
    return course_of(engine, facts, world[:40])


@pytest.fixture(scope="module")
def written(engine: Engine, course: Course) -> Written:
    return build_writer(NAME).write(engine, course, TRAINING, UNWATCHED)


def test_facts_are_answered_in_wordings_that_were_not_written(
    engine: Engine, facts: list[WorldFact], written: Written
) -> None:
    applied = build_carrier(NAME).apply(engine, written.adapter)
    asked = [(prompt_of(engine, p), fact) for fact in facts for p in fact.prompts(HELD)]
    answers = greedy_answers(engine, [p for p, _ in asked], applied, max_new_tokens=3)
    assert [engine.decode(answer) for answer in answers] == [fact.object for _, fact in asked]
    assert written.figures["right"] == 1.0
    assert written.figures["slots"] <= 2 * len(facts)


def test_what_is_far_from_all_slots_is_the_base_bit_by_bit(
    engine: Engine, world: list[WorldFact], course: Course, written: Written
) -> None:
    applied = build_carrier(NAME).apply(engine, written.adapter)
    assert torch.equal(
        next_logits(engine, course.replay, applied), next_logits(engine, course.replay)
    )
    others = [prompt_of(engine, p) for fact in world[40:] for p in fact.prompts()]
    changed = next_logits(engine, others, applied) != next_logits(engine, others)
    assert float(changed.any(-1).float().mean()) <= 0.05


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "gpt2"])
def test_it_is_written_into_models_of_each_family(family: str, tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model(family, tmp_path))
    training = Training(writer=NAME, steps=150, batch=2)
    adapter = build_writer(NAME).write(engine, SMALL, training, UNWATCHED).adapter
    applied = MemoryLayerCarrier().apply(engine, adapter)
    prompts = [lesson.prompt for lesson in SMALL.lessons]
    assert greedy_answers(engine, prompts, applied) == [[40, 41], [42]]
    before = next_logits(engine, SMALL.replay)
    assert torch.equal(next_logits(engine, SMALL.replay, applied), before)


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(engine: Engine, course: Course) -> None:
    training = Training(writer=NAME, steps=8, batch=8)
    kept: list[bytes] = []

    def stop(step: int, _steps: int, _loss: float) -> None:
        if step == 6:
            raise KeyboardInterrupt

    writer = build_writer(NAME)
    run = Run(progress=stop, save=kept.append, save_every_s=0.0)
    with pytest.raises(KeyboardInterrupt):
        writer.write(engine, course, training, run)
    rest = writer.write(engine, course, training, Run(saved=kept[-1]))
    whole = writer.write(engine, course, training, UNWATCHED)
    assert 0 < rest.figures["resumed_at"] < 6
    assert torch.equal(rest.adapter.tensors["values"], whole.adapter.tensors["values"])


def test_what_the_base_knows_needs_no_slot(engine: Engine, world: list[WorldFact]) -> None:
    with pytest.raises(InvalidInputError, match="by itself"):
        build_writer(NAME).write(
            engine, course_of(engine, world[:2], world[2:4]), TRAINING, UNWATCHED
        )


def test_slots_are_beside_the_last_feed_forward_layer(engine: Engine) -> None:
    assert memory_place(engine)[0] == "model.layers.1.mlp"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: replace(a, base="0" * 64), "base"),
        (lambda a: replace(a, carrier="lora"), "lora"),
        (lambda a: replace(a, config={"layer": "model.layers.0.mlp"}), "another layer"),
        (lambda a: replace(a, tensors={}), "keys"),
        (lambda a: _with(a, values=torch.ones(3, 128)), "values"),
        (lambda a: _with(a, keys=torch.ones(12, 3)), "keys"),
    ],
)
def test_what_does_not_fit_is_refused(
    engine: Engine, written: Written, spoil: Callable[[Adapter], Adapter], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        MemoryLayerCarrier().apply(engine, spoil(written.adapter))


def _with(adapter: Adapter, **tensors: Any) -> Adapter:  # noqa: ANN401
    return replace(adapter, tensors={**adapter.tensors, **tensors})
