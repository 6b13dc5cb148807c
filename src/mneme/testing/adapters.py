"""Adapters with random numbers, for tests of whether the right one is on. Needs the extra `local`.

They teach nothing, but change every answer a lot, and each in its own way.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter


def random_adapter(
    engine: Engine,
    seed: int,
    *,
    rank: int = 2,
    layers: Sequence[str] | None = None,
    size: float = 0.2,
) -> Adapter:
    """One of the carrier "lora".

    Args:
        engine: Whose model it fits.
        seed: Another one gives other numbers.
        rank: Of all layers.
        layers: Ends of the paths of the layers that it changes; None: all linear ones.
        size: Standard deviation of its numbers.
    """
    import torch

    from mneme.memories.parametric.adapter import Adapter, base_of
    from mneme.memories.parametric.lora import lora_config, targets, weight_names

    shapes = targets(engine.model, layers)
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for path, shape in shapes.items():
        sizes = (rank, shape.inputs), (shape.outputs, rank)
        for name, each in zip(weight_names(path), sizes, strict=True):
            tensors[name] = torch.randn(each, generator=chance) * size
    config = lora_config(engine.model, shapes, rank=rank, alpha=2.0 * rank)
    return Adapter(carrier="lora", base=base_of(engine.fields), config=config, tensors=tensors)


def random_prompts(engine: Engine, count: int, *, seed: int = 0) -> list[list[int]]:
    """Prompts of 1 to 9 tokens."""
    chance, most = random.Random(seed), engine.model.config.vocab_size - 1
    return [[chance.randint(3, most) for _ in range(chance.randint(1, 9))] for _ in range(count)]
