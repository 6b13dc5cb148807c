"""Slots: each row of a batch with its own adapter, and nobody else's."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.batch import last_logits
from mneme.memories.parametric.lora import LoraCarrier, lora_config, targets, weight_names
from mneme.memories.parametric.slots import Slots
from mneme.testing.fact_world import WorldFact
from mneme.testing.tiny_models import tiny_model

FAMILIES = ("llama", "mistral-sliding", "qwen2", "qwen3", "gemma3", "phi3", "gpt2")


def random_adapter(
    engine: Engine, seed: int, *, rank: int = 2, ends: Sequence[str] | None = None
) -> Adapter:
    """One that changes a lot."""
    shapes = targets(engine.model, ends)
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for path, shape in shapes.items():
        for name, size in zip(
            weight_names(path), ((rank, shape.inputs), (shape.outputs, rank)), strict=True
        ):
            tensors[name] = torch.randn(size, generator=chance) * 0.2
    config = lora_config(engine.model, shapes, rank=rank, alpha=2.0 * rank)
    return Adapter(carrier="lora", base=base_of(engine.fields), config=config, tensors=tensors)


def some_prompts(engine: Engine, count: int, *, seed: int = 0) -> list[list[int]]:
    chance = random.Random(seed)
    most = engine.model.config.vocab_size - 1
    return [[chance.randint(3, most) for _ in range(chance.randint(1, 9))] for _ in range(count)]


@torch.no_grad()
def logits(engine: Engine, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    return last_logits(engine, prompts)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return mneme.engine(tiny_model(request.param, tmp_path_factory.mktemp("m") / request.param))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return mneme.engine(tiny_model("llama", tmp_path_factory.mktemp("m")))


@pytest.mark.parametrize("distinct", [1, 2, 4, 5, 9])
def test_a_mixed_batch_answers_each_row_as_if_alone(family: Engine, distinct: int) -> None:
    slots = Slots(family, 4, count=9)
    adapters = [random_adapter(family, seed, rank=1 + seed % 4) for seed in range(distinct)]
    for slot, adapter in enumerate(adapters):
        slots.put(slot, adapter)
    prompts = some_prompts(family, 12, seed=distinct)
    rows = [None, *range(distinct), *[None, 0] * 6][:12]
    random.Random(0).shuffle(rows)
    with slots.on(rows):
        mixed = logits(family, prompts)
    base = logits(family, prompts)
    for at, slot in enumerate(rows):
        if slot is None:
            assert torch.equal(mixed[at], base[at])
            continue
        applied = LoraCarrier().apply(family, adapters[slot])
        with applied.on():
            alone = logits(family, prompts[at : at + 1])[0]
        assert (mixed[at] - alone).abs().max() <= 1e-5 * max(1, alone.abs().max())
        assert (mixed[at] - base[at]).abs().max() > 1e-2
    assert torch.equal(logits(family, prompts), base)
