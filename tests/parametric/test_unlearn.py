"""Approximate unlearning: what each way takes out, leaves, and must never touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.training import UNWATCHED, Course, Lesson, Training
from mneme.memories.parametric.unlearn import NAMES, build_unlearner
from mneme.memories.parametric.unlearn.damage import damage
from mneme.memories.parametric.unlearn.opened import Opened, surprise
from mneme.memories.parametric.unlearn.projection import Projection, _flat
from mneme.memories.parametric.unlearn.unlearner import Unlearned
from mneme.memories.parametric.writers import build_writer
from mneme.testing.fact_world import HELD, WorldFact, course_of, new_facts, prompt_of
from mneme.testing.tiny_models import tiny_model

GONE, ALL, STEPS = 8, 18, 60


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, ALL, seed=5)


@pytest.fixture(scope="module")
def lessons(engine: Engine, facts: list[WorldFact]) -> tuple[Lesson, ...]:
    return course_of(engine, facts).lessons


@pytest.fixture(scope="module")
def forget(lessons: tuple[Lesson, ...]) -> list[Lesson]:
    return [lesson for lesson in lessons if lesson.fact < GONE]


@pytest.fixture(scope="module")
def retain(lessons: tuple[Lesson, ...]) -> list[Lesson]:
    return [lesson for lesson in lessons if lesson.fact >= GONE]


@pytest.fixture(scope="module")
def probes(engine: Engine, world: list[WorldFact]) -> list[tuple[int, ...]]:
    return [prompt_of(engine, prompt) for fact in world[120:160] for prompt in fact.prompts(HELD)]


@pytest.fixture(scope="module")
def adapter(engine: Engine, facts: list[WorldFact], world: list[WorldFact]) -> Adapter:
    course = course_of(engine, facts, world[:60])
    return (
        build_writer("lora").write(engine, course, Training(rank=4, steps=STEPS), UNWATCHED).adapter
    )


@pytest.fixture(scope="module")
def done(
    engine: Engine, adapter: Adapter, forget: list[Lesson], retain: list[Lesson]
) -> dict[str, Unlearned]:
    return {n: build_unlearner(n).unlearn(engine, adapter, forget, retain) for n in NAMES}


@pytest.mark.parametrize(("name", "most"), [("ssd", 0.8), ("ascent", 0.2), ("projection", 0.2)])
def test_the_forgotten_are_answered_less_and_the_others_still(
    name: str, most: float, engine: Engine, adapter: Adapter, done: dict[str, Unlearned],
    forget: list[Lesson], retain: list[Lesson], probes: list[tuple[int, ...]],
) -> None:  # fmt: skip
    found = damage(engine, adapter, done[name].adapter, forget, retain, probes)
    assert found.before[:2] == (1.0, 1.0)
    assert found.after.forgotten <= most
    assert found.after.retained >= (0.6 if name == "ssd" else 0.95)
    assert found.after.retained > found.after.forgotten


@pytest.mark.parametrize("name", NAMES)
def test_the_result_says_that_it_is_approximate(name: str, done: dict[str, Unlearned]) -> None:
    plugin = build_unlearner(name)
    assert plugin.name == name
    assert plugin.exact is False
    assert done[name].label == "approximate"
    assert done[name].figures["cpu_s"] > 0


@pytest.mark.parametrize("name", ["ascent", "projection"])
def test_the_same_arguments_give_the_same_tensors_and_the_given_ones_stay(
    name: str, engine: Engine, adapter: Adapter, done: dict[str, Unlearned],
    forget: list[Lesson], retain: list[Lesson],
) -> None:  # fmt: skip
    before = {part: tensor.clone() for part, tensor in adapter.tensors.items()}
    again = build_unlearner(name).unlearn(engine, adapter, forget, retain).adapter
    assert again.config == adapter.config
    assert again.base == adapter.base
    assert list(again.tensors) == list(adapter.tensors)
    for part, tensor in again.tensors.items():
        assert torch.equal(tensor, done[name].adapter.tensors[part])
        assert torch.equal(before[part], adapter.tensors[part])
    assert any(not torch.equal(before[part], tensor) for part, tensor in again.tensors.items())


def test_the_base_stays_bit_by_bit(
    engine: Engine, done: dict[str, Unlearned], judge: Callable[[str], Path]
) -> None:
    assert done
    fresh = mneme.engine(judge("facts"))
    now = engine.model.state_dict()
    assert all(torch.equal(now[name], old) for name, old in fresh.model.state_dict().items())
    assert all(each.grad is None for each in engine.model.parameters())
    assert not any(module._forward_hooks for module in engine.model.modules())


def test_dampening_only_makes_numbers_smaller(adapter: Adapter, done: dict[str, Unlearned]) -> None:
    shrunk = total = 0
    for name, after in done["ssd"].adapter.tensors.items():
        before = adapter.tensors[name]
        assert bool((after.abs() <= before.abs()).all())
        assert bool((after * before >= 0).all())
        shrunk, total = shrunk + int((after != before).sum()), total + before.numel()
    assert done["ssd"].figures["dampened_share"] == pytest.approx(shrunk / total, abs=1e-3)


def test_a_projected_step_is_not_felt_by_what_is_retained_to_first_order(
    engine: Engine, adapter: Adapter, forget: list[Lesson], retain: list[Lesson]
) -> None:
    opened = Opened(engine, adapter)
    with opened.on():
        span = Projection(directions=64)._span(opened, retain)
        slope = _flat(opened.gradients(surprise(engine, forget).mean()))
        loss = _flat(opened.gradients(surprise(engine, retain).mean()))
    beside = slope - span @ (span.T @ slope)
    felt = float(beside @ loss) / float(beside.norm() * loss.norm())
    unprojected = float(slope @ loss) / float(slope.norm() * loss.norm())
    assert abs(felt) <= 1e-4 < abs(unprojected)
    assert float(beside @ slope) > 0, "it still climbs"


@pytest.mark.parametrize("name", NAMES)
def test_who_watches_may_interrupt(
    name: str, engine: Engine, adapter: Adapter, forget: list[Lesson], retain: list[Lesson]
) -> None:
    told: list[int] = []

    def progress(step: int, steps: int, loss: float) -> None:
        told.append(step)
        assert 0 < step <= steps
        assert loss >= 0
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_unlearner(name).unlearn(engine, adapter, forget, retain, progress=progress)
    assert told == [1, 2]
    assert not any(module._forward_hooks for module in engine.model.modules())


def test_what_cannot_be_unlearned_is_refused(
    engine: Engine, adapter: Adapter, forget: list[Lesson], retain: list[Lesson]
) -> None:
    with pytest.raises(InvalidInputError, match="ssd, ascent, projection"):
        build_unlearner("influence")
    for name in NAMES:
        unlearn = build_unlearner(name).unlearn
        with pytest.raises(InvalidInputError, match="delete it"):
            unlearn(engine, adapter, [], retain)
        with pytest.raises(InvalidInputError, match="delete it"):
            unlearn(engine, adapter, forget, [])
        with pytest.raises(InvalidInputError, match="forgotten and retained"):
            unlearn(engine, adapter, forget, [*retain, forget[0]])
        with pytest.raises(InvalidInputError, match="another base"):
            unlearn(engine, replace(adapter, base="0" * 64), forget, retain)
        with pytest.raises(InvalidInputError, match="cartridge"):
            unlearn(engine, replace(adapter, carrier="cartridge"), forget, retain)


def test_damage_of_nothing_done_is_none(
    engine: Engine, adapter: Adapter, forget: list[Lesson], retain: list[Lesson],
    probes: list[tuple[int, ...]],
) -> None:  # fmt: skip
    found = damage(engine, adapter, adapter, forget, retain, probes)
    assert found.before == found.after
    assert found.relearned == 1.0
    assert found.logp > -0.5 > found.never_logp
    assert str(found).startswith("approximate: forgotten facts answered 1.00 -> 1.00")


def test_what_is_hidden_comes_back_and_what_was_never_there_does_not(
    engine: Engine, adapter: Adapter, facts: list[WorldFact], world: list[WorldFact],
    forget: list[Lesson], retain: list[Lesson], probes: list[tuple[int, ...]],
) -> None:  # fmt: skip
    """A third of each change hides facts without taking them away."""
    half = {n: t * 0.35 if n.endswith("lora_B.weight") else t for n, t in adapter.tensors.items()}
    hidden = damage(engine, adapter, replace(adapter, tensors=half), forget, retain, probes)
    course = course_of(engine, facts[GONE:], world[:60])
    without = build_writer("lora").write(engine, course, Training(rank=4, steps=STEPS), UNWATCHED)
    never = damage(engine, adapter, without.adapter, forget, retain, probes)
    assert hidden.relearned is not None
    assert never.relearned is not None
    assert hidden.relearned > never.relearned
    assert never.after.retained == 1.0


def test_with_too_few_facts_nothing_can_be_told_again(
    engine: Engine, adapter: Adapter, forget: list[Lesson], retain: list[Lesson]
) -> None:
    few = [lesson for lesson in forget if lesson.fact < 5]
    found = damage(engine, adapter, adapter, few, retain, [retain[0].prompt])
    assert found.relearned is None
    assert "; - come back" in str(found)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
@pytest.mark.parametrize("name", NAMES)
def test_models_of_real_families_work(family: str, name: str, tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model(family, tmp_path))
    some = tuple(Lesson((3, 5 + at, 9), (11 + at, 4), at) for at in range(4))
    training = Training(rank=2, steps=20, replay=0.0)
    adapter = build_writer("lora").write(engine, Course(some, ()), training, UNWATCHED).adapter
    after = build_unlearner(name).unlearn(engine, adapter, some[:2], some[2:]).adapter
    found = damage(engine, adapter, after, some[:2], some[2:], [(3, 4, 5), (6,)])
    assert any(
        not torch.equal(adapter.tensors[part], moved) for part, moved in after.tensors.items()
    )
    assert all(bool(moved.isfinite().all()) for moved in after.tensors.values())
    assert found.relearned is None
