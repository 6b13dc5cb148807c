"""Routers by activations: what each must do, and that the gate keeps out those that misroute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import GateFailedError, InvalidInputError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.lora import LinearShape, targets
from mneme.memories.parametric.routers import NAMES, build_router
from mneme.memories.parametric.routers.activation_router import ActivationRouter, admit, locality
from mneme.memories.parametric.routers.reading import inputs_of, last_layer
from mneme.memories.parametric.training import UNWATCHED, Training
from mneme.memories.parametric.writers import build_writer
from mneme.testing.fact_world import (
    HELD,
    WORDINGS,
    WRITTEN,
    WorldFact,
    course_of,
    new_facts,
    prompt_of,
)
from mneme.testing.tiny_models import tiny_model

Prompts = list[tuple[int, ...]]


def asked(engine: Engine, facts: Sequence[WorldFact], numbers: Sequence[int]) -> Prompts:
    return [prompt_of(engine, prompt) for fact in facts for prompt in fact.prompts(numbers)]


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 12)


@pytest.fixture(scope="module")
def written(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Adapter:
    course = course_of(engine, facts, world[:60])
    return build_writer("lora").write(engine, course, Training(), UNWATCHED).adapter


@pytest.fixture(scope="module")
def replay(engine: Engine, world: list[WorldFact]) -> Prompts:
    return asked(engine, world[:120], WRITTEN)


@pytest.fixture(scope="module")
def probes(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Prompts:
    """Of the base, never seen; and of the same subjects what was never written."""
    known = {fact[:2] for fact in facts}
    near = [WorldFact(fact.subject, name, "") for fact in facts for name in WORDINGS]
    others = [each for each in near if each[:2] not in known]
    return asked(engine, world[120:], HELD) + asked(engine, others, HELD)


@pytest.fixture(scope="module")
def fitted(
    engine: Engine, written: Adapter, facts: list[WorldFact], replay: Prompts
) -> dict[str, ActivationRouter]:
    routers = {name: build_router(name) for name in NAMES}
    for router in routers.values():
        router.fit(engine, written, asked(engine, facts, WRITTEN), replay)
    return routers


@pytest.mark.parametrize("name", NAMES)
def test_lessons_score_above_what_is_not_the_adapters(
    fitted: dict[str, ActivationRouter],
    name: str,
    engine: Engine,
    facts: list[WorldFact],
    probes: Prompts,
) -> None:
    own, others = (fitted[name].score(each) for each in (asked(engine, facts, WRITTEN), probes))
    assert own.shape == (len(facts) * len(WRITTEN),)
    assert own.dtype == torch.float32
    assert float((own[:, None] > others[None]).float().mean()) > 0.75


def test_the_router_by_norm_is_kept_out(
    fitted: dict[str, ActivationRouter], replay: Prompts, probes: Prompts
) -> None:
    found = locality(fitted["norm"], replay, probes)
    assert found.probes > 0.1
    assert not found.passed
    with pytest.raises(GateFailedError, match="route by words"):
        admit(fitted["norm"], replay, probes)


def test_the_router_by_keys_is_admitted_on_the_judge(
    fitted: dict[str, ActivationRouter],
    engine: Engine,
    facts: list[WorldFact],
    replay: Prompts,
    probes: Prompts,
) -> None:
    router = admit(fitted["keys"], replay, probes)
    held = router.score(asked(engine, facts, HELD)) > router.threshold
    assert float(held.float().mean()) > 0.5


def test_a_router_that_sends_everything_is_kept_out(replay: Prompts, probes: Prompts) -> None:
    class Everything:
        name, threshold = "everything", 0.0

        def fit(self, *_: object) -> None: ...

        def score(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
            return torch.ones(len(prompts))

    with pytest.raises(GateFailedError, match=r"100\.0%"):
        admit(Everything(), replay, probes)
    with pytest.raises(InvalidInputError, match="never saw"):
        admit(Everything(), replay, [])


def test_an_unknown_router_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="there are norm, keys, descriptor"):
        build_router("magic")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_fit_with_is_refused(
    name: str, engine: Engine, written: Adapter, replay: Prompts
) -> None:
    with pytest.raises(InvalidInputError, match="lessons"):
        build_router(name).fit(engine, written, [], replay)
    with pytest.raises(InvalidInputError, match="replay"):
        build_router(name).fit(engine, written, replay, [])


@pytest.mark.parametrize("name", NAMES)
def test_looking_leaves_the_model_as_it_is(
    fitted: dict[str, ActivationRouter], name: str, engine: Engine, probes: Prompts
) -> None:
    before = next_logits(engine, probes[:8])
    fitted[name].score(probes[:8])
    assert torch.equal(next_logits(engine, probes[:8]), before)
    assert not any(module._forward_hooks for module in engine.model.modules())


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "gpt2"])
@pytest.mark.parametrize("name", NAMES)
def test_models_of_real_families_are_read(name: str, family: str, tmp_path: Path) -> None:
    engine: Engine = mneme.engine(tiny_model(family, tmp_path / family))
    prompts = [[3 + at, 40 + at, 7, 90 - at] for at in range(24)]
    router = build_router(name)
    router.fit(engine, _random_adapter(targets(engine.model)), prompts[:8], prompts[8:16])
    scores = router.score(prompts)
    assert scores.shape == (24,)
    assert bool(scores.isfinite().all())
    if name != "norm":
        assert not bool((scores[8:16] > router.threshold).any())


def test_inputs_are_those_at_the_last_token(engine: Engine, probes: Prompts) -> None:
    path = last_layer(engine)
    alone = [inputs_of(engine, [path], [prompt])[path] for prompt in probes[:5]]
    together = inputs_of(engine, [path], probes[:5])[path]
    assert torch.allclose(torch.cat(alone), together, atol=1e-5)


def _random_adapter(shapes: dict[str, LinearShape]) -> Adapter:
    made = torch.Generator().manual_seed(0)
    tensors = {}
    for path, shape in shapes.items():
        root = f"base_model.model.{path}"
        tensors[f"{root}.lora_A.weight"] = torch.randn(2, shape.inputs, generator=made)
        tensors[f"{root}.lora_B.weight"] = torch.randn(shape.outputs, 2, generator=made)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none"}
    return Adapter(carrier="lora", base="any", config=config, tensors=tensors)
