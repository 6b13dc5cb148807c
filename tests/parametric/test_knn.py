"""A datastore answers near its rows, is the base elsewhere, and forgets by dropping rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import greedy_answers, next_logits
from mneme.memories.parametric.knn import NAME, KnnCarrier, without
from mneme.memories.parametric.landmarks import closeness
from mneme.memories.parametric.training import UNWATCHED, Course, Lesson, Training, Written
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.testing.fact_world import HELD, WorldFact, course_of, new_facts, prompt_of
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch", reason="parametric memory needs the extra 'local'")

TRAINING = Training(writer=NAME)
SMALL = Course(
    lessons=(Lesson((1, 7, 8, 9), (40, 41, 2), 0), Lesson((1, 30, 31), (42, 2), 1)),
    replay=((1, 50, 51), (1, 52, 53, 54, 55)),
)


def written_by(engine: Engine, course: Course) -> Written:
    return build_writer(NAME).write(engine, course, TRAINING, UNWATCHED)


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 12)


@pytest.fixture(scope="module")
def course(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Course:
    return course_of(engine, facts, world[:40])


@pytest.fixture(scope="module")
def adapter(engine: Engine, course: Course) -> Adapter:
    return written_by(engine, course).adapter


def test_facts_are_answered_in_wordings_that_were_not_written(
    engine: Engine, facts: list[WorldFact], adapter: Adapter
) -> None:
    applied = build_carrier(NAME).apply(engine, adapter)
    asked = [(prompt_of(engine, p), fact) for fact in facts for p in fact.prompts(HELD)]
    answers = greedy_answers(engine, [p for p, _ in asked], applied, max_new_tokens=3)
    assert [engine.decode(answer) for answer in answers] == [fact.object for _, fact in asked]


def test_what_is_far_from_all_rows_is_the_base_bit_by_bit(
    engine: Engine, world: list[WorldFact], course: Course, adapter: Adapter
) -> None:
    applied = build_carrier(NAME).apply(engine, adapter)
    assert torch.equal(
        next_logits(engine, course.replay, applied), next_logits(engine, course.replay)
    )
    others = [prompt_of(engine, p) for fact in world[40:] for p in fact.prompts()]
    changed = next_logits(engine, others, applied) != next_logits(engine, others)
    assert float(changed.any(-1).float().mean()) <= 0.05


def test_dropping_rows_leaves_what_would_be_had_they_never_been_said(
    engine: Engine, course: Course, adapter: Adapter
) -> None:
    gone = {2, 7}
    fewer = without(adapter, gone)
    never = course._replace(lessons=tuple(x for x in course.lessons if x.fact not in gone))
    anew = written_by(engine, never).adapter
    assert fewer.config == anew.config
    assert set(fewer.config["facts"]) == set(range(12)) - gone
    for name, tensor in anew.tensors.items():
        assert torch.equal(fewer.tensors[name], tensor)


def test_a_fact_whose_rows_were_dropped_is_the_bases_bit_by_bit(
    engine: Engine, facts: list[WorldFact], adapter: Adapter
) -> None:
    applied = build_carrier(NAME).apply(engine, without(adapter, {2}))
    prompts = [prompt_of(engine, p) for p in facts[2].prompts()]
    assert torch.equal(next_logits(engine, prompts, applied), next_logits(engine, prompts))
    left = [prompt_of(engine, p) for p in facts[3].prompts()]
    whole = build_carrier(NAME).apply(engine, adapter)
    apart = next_logits(engine, left, applied) - next_logits(engine, left, whole)
    assert float(apart.abs().max()) < 1e-4


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "gpt2"])
def test_it_answers_on_models_of_each_family(family: str, tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model(family, tmp_path))
    applied = KnnCarrier().apply(engine, written_by(engine, SMALL).adapter)
    prompts = [lesson.prompt for lesson in SMALL.lessons]
    assert greedy_answers(engine, prompts, applied) == [[40, 41], [42]]
    before = next_logits(engine, SMALL.replay)
    assert torch.equal(next_logits(engine, SMALL.replay, applied), before)


def test_what_is_said_near_a_row_is_a_distribution(engine: Engine, adapter: Adapter) -> None:
    applied = KnnCarrier().apply(engine, adapter)
    logits = next_logits(engine, [prompt_of(engine, "F1 L1 lives in")], applied)
    assert torch.isfinite(logits.log_softmax(-1)).all()


def test_a_model_that_caps_its_logits_is_refused(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("gemma3", tmp_path, final_logit_softcapping=5.0))
    with pytest.raises(UnsuitedModelError, match="caps or scales"):
        written_by(engine, SMALL)


def test_on_within_on_is_one_change_and_closed_is_refused(
    engine: Engine, facts: list[WorldFact], adapter: Adapter
) -> None:
    applied = KnnCarrier().apply(engine, adapter)
    prompts = [prompt_of(engine, facts[0].prompts()[0])]
    once = next_logits(engine, prompts, applied)
    with applied.on():
        assert torch.equal(next_logits(engine, prompts, applied), once)
    before = next_logits(engine, prompts)
    assert not torch.equal(before, once)
    applied.close()
    with pytest.raises(InvalidInputError, match="closed"):
        next_logits(engine, prompts, applied)


def test_lessons_alone_do_not_show_what_to_stay_away_from(engine: Engine, course: Course) -> None:
    with pytest.raises(InvalidInputError, match="stay away"):
        written_by(engine, course._replace(replay=()))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: replace(a, base="0" * 64), "base"),
        (lambda a: replace(a, carrier="lora"), "lora"),
        (lambda a: replace(a, config={}), "tokens and facts"),
        (lambda a: replace(a, config={**a.config, "facts": [0]}), "are of 1 facts"),
        (lambda a: replace(a, config={"tokens": [5], "facts": [0]}), "as many tokens"),
        (lambda a: replace(a, config={**a.config, "tokens": [9999] * 12}), "as many tokens"),
        (lambda a: replace(a, tensors={}), "keys"),
        (lambda a: _with(a, keys=torch.ones(12, 3)), "keys"),
        (lambda a: _with(a, radii=torch.zeros(12)), "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(
    engine: Engine, adapter: Adapter, spoil: Callable[[Adapter], Adapter], says: str
) -> None:
    assert len(adapter.config["tokens"]) == 12
    with pytest.raises(InvalidInputError, match=says):
        KnnCarrier().apply(engine, spoil(adapter))


def _with(adapter: Adapter, **tensors: Any) -> Adapter:  # noqa: ANN401
    return replace(adapter, tensors={**adapter.tensors, **tensors})


@given(
    angle=st.floats(0, 3.1),
    other=st.floats(0, 3.1),
    radius=st.floats(1e-3, 2),
    length=st.floats(0.1, 100),
)
def test_closeness_falls_with_distance_and_ends_at_the_radius(
    angle: float, other: float, radius: float, length: float
) -> None:
    key, radii = torch.tensor([[1.0, 0.0]]), torch.tensor([radius])
    angles = torch.tensor(sorted([angle, other]))
    states = length * torch.stack([angles.cos(), angles.sin()], dim=-1)
    near, far = closeness(states, key, radii)[:, 0].tolist()
    assert 1 >= near >= far - 1e-5 >= -1e-5
    if 1 - float(angles[1].cos()) > radius * 1.001 + 1e-6:
        assert far == 0


@pytest.mark.parametrize("writer", [NAME, "memory-layer"])
def test_what_the_base_knows_already_needs_no_writing(
    engine: Engine, world: list[WorldFact], writer: str
) -> None:
    known = course_of(engine, world[:2], world[2:6])
    with pytest.raises(InvalidInputError, match="by itself"):
        build_writer(writer).write(engine, known, Training(writer=writer), UNWATCHED)
