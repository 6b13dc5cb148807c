"""A memory layer beside a feed-forward layer of a frozen model: slots with keys and trained values.

A state that is near the key of a slot has the slot's value added to what the layer says, the nearer
the more; the nearest slot alone counts, and away from all of them the layer is the base's, bit by
bit. A fact takes a slot or two (memory layers: arXiv 2412.09764; feed-forward layers are such
memories themselves: arXiv 2012.14913). Unlike there, keys are not learned but read off the base,
each with a radius of its own: learned keys fire on what they have nothing to do with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import torch

from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.landmarks import Hooked, closeness, placed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter

NAME: Final = "memory-layer"
_FEED_FORWARD: Final = re.compile(r"(.*\.)?\d+\.mlp")


def memory_place(engine: Engine) -> tuple[str, nn.Module]:
    """The path of the last block's feed-forward layer, and the layer.

    The last one: there a state has gathered of whom and for what a prompt asks.

    Raises:
        UnsuitedModelError: No block of the model has one that is called `mlp`.
    """
    found = [
        (path, layer)
        for path, layer in engine.model.named_modules()
        if _FEED_FORWARD.fullmatch(path)
    ]
    if not found:
        raise UnsuitedModelError(
            "no block of the model has a layer called mlp, beside which slots could be; "
            "use the writer 'lora'"
        )
    return found[-1]


class Slots:
    """Adds the value of the nearest slot to what a layer says.

    Args:
        keys: float32 [slots, size], of length 1.
        radii: float32 [slots].
        values: [slots, size].
    """

    def __init__(self, keys: Tensor, radii: Tensor, values: Tensor) -> None:
        self._keys, self._radii, self._values = keys, radii, values

    def __call__(self, _layer: nn.Module, given: tuple[Tensor, ...], said: Tensor) -> Tensor:
        close, slot = closeness(given[0], self._keys, self._radii).max(-1)
        near = close > 0
        if not bool(near.any()):
            return said
        added = close[near][:, None] * self._values[slot[near]]
        return said.index_put((near,), added.to(said.dtype), accumulate=True)


class MemoryLayerCarrier:
    """The `Carrier` of memory layers (adapter.py)."""

    @property
    def name(self) -> str:
        return NAME

    def apply(self, engine: Engine, adapter: Adapter) -> Hooked:
        if adapter.carrier != NAME:
            raise InvalidInputError(f"an adapter of {adapter.carrier!r} is none of {NAME!r}")
        if adapter.base != base_of(engine.fields):
            raise InvalidInputError(
                f"the adapter was written for base {adapter.base[:12]}, and this model is "
                f"{base_of(engine.fields)[:12]}; write its facts again for this model"
            )
        path, layer = memory_place(engine)
        if adapter.config.get("layer") != path:
            raise InvalidInputError(f"the adapter is for another layer than {path!r}")
        size: int = engine.model.get_input_embeddings().weight.shape[1]
        keys, radii = placed(layer, adapter, size)
        values: Any = adapter.tensors.get("values")
        if values is None or values.shape != keys.shape:
            raise InvalidInputError(f"{len(keys)} keys need values [{len(keys)}, {size}]")
        return Hooked(engine, layer, Slots(keys, radii, values.to(keys.device, torch.float32)))
