"""Keys and values rounded to bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.memories.activation.codecs.numbers import as_float32, narrowed
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


class BFloat16:
    """Half the bytes of float32. Each number is off by at most 1/256 of itself.

    Of an engine that computes in bfloat16 nothing is lost; "raw" says so, this form does not.
    """

    name = "bf16"
    exact = False

    def encode(self, kv: KV) -> dict[str, Tensor]:
        coded: dict[str, Tensor] = {}
        for stack in stacks_of(kv):
            coded[f"keys.{stack.name}"] = as_float32(stack.keys).to(torch.bfloat16)
            coded[f"values.{stack.name}"] = as_float32(stack.values).to(torch.bfloat16)
        return coded

    def decode(
        self, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device | str
    ) -> KV:
        stacks = []
        for name in names_in(tensors, ("keys", "values")):
            keys, values = tensors[f"keys.{name}"], tensors[f"values.{name}"]
            expect(keys, (torch.bfloat16,), (length_of(name), None, None, None))
            expect(values, (torch.bfloat16,), (*keys.shape[:3], None))
            stacks.append(
                Stack(name, narrowed(keys.to(device), dtype), narrowed(values.to(device), dtype))
            )
        return layers_of(stacks)
