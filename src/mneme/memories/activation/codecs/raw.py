"""Keys and values as they were computed, bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.codecs.stacks import (
    Stack,
    expect,
    layers_of,
    length_of,
    names_in,
    stacks_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mneme.core.engine import KV

_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


class Raw:
    """Loses nothing. On the CPU, what `decode` gives are views of what it was given."""

    name = "raw"
    exact = True

    def encode(self, kv: KV) -> dict[str, Tensor]:
        coded: dict[str, Tensor] = {}
        for stack in stacks_of(kv):
            coded[f"keys.{stack.name}"] = stack.keys
            coded[f"values.{stack.name}"] = stack.values
        return coded

    def decode(
        self, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device | str
    ) -> KV:
        """The layers.

        Raises:
            InvalidInputError: The tensors are not what `encode` gave, or of another dtype: what
                was computed in another precision is not what this engine would compute.
        """
        stacks = []
        for name in names_in(tensors, ("keys", "values")):
            keys, values = tensors[f"keys.{name}"], tensors[f"values.{name}"]
            expect(keys, _FLOATS, (length_of(name), None, None, None))
            expect(values, _FLOATS, (*keys.shape[:3], None))
            if dtype not in {keys.dtype} & {values.dtype}:
                raise InvalidInputError(f"it holds {keys.dtype} where {dtype} is wanted")
            stacks.append(Stack(name, keys.to(device), values.to(device)))
        return layers_of(stacks)
