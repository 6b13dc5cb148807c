"""Eight bits for each number: keys with a step per channel, values with a step per token.

Keys have channels that are large in every token, values do not; so the two are grouped in
different ways, as KIVI (arXiv:2402.02750) found. No zero point: it bought nothing here
(benchmarks/kv_codecs.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.memories.activation.codecs.numbers import as_float32, narrowed, symmetric
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

_PARTS = ("keys", "keysteps", "values", "valuesteps")


class Int8:
    """A number is off by at most 1/252 of the largest of its run.

    The run of a key is its channel in the block, the run of a value its token; both per head.
    """

    name = "int8"
    exact = False

    def encode(self, kv: KV) -> dict[str, Tensor]:
        coded: dict[str, Tensor] = {}
        for stack in stacks_of(kv):
            keys, key_steps = symmetric(as_float32(stack.keys), 2)
            values, value_steps = symmetric(as_float32(stack.values), 3)
            parts = (keys, key_steps, values, value_steps)
            coded |= {f"{part}.{stack.name}": x for part, x in zip(_PARTS, parts, strict=True)}
        return coded

    def decode(
        self, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device | str
    ) -> KV:
        stacks = []
        for name in names_in(tensors, _PARTS):
            keys, key_steps, values, value_steps = (tensors[f"{part}.{name}"] for part in _PARTS)
            expect(keys, (torch.int8,), (length_of(name), None, None, None))
            expect(values, (torch.int8,), (*keys.shape[:3], None))
            expect(key_steps, (torch.bfloat16,), (*keys.shape[:2], 1, keys.shape[3]))
            expect(value_steps, (torch.bfloat16,), (*keys.shape[:3], 1))
            stacks.append(
                Stack(
                    name,
                    narrowed(keys.to(device) * key_steps.to(device).float(), dtype),
                    narrowed(values.to(device) * value_steps.to(device).float(), dtype),
                )
            )
        return layers_of(stacks)
