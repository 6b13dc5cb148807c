"""Four bits for each number, two in a byte: groups of 64 with a step and a least number each.

Keys: 64 tokens of one channel. Values: 64 numbers that lie together, channels first, then on to the
next token. Grouped as in KIVI (arXiv:2402.02750), which found two bits to do on large models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import pad

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.codecs.numbers import as_float32, asymmetric, narrowed
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

GROUP = 64
_LEVELS = 16
_PARTS = ("keys", "keyscales", "values", "valuescales", "shape")
_BYTES = torch.arange(256)
# The two codes of each byte, as two float32 in one word: one look-up instead of two shifts.
_PAIRS = torch.stack((_BYTES & 15, _BYTES >> 4), 1).float().view(torch.int64).flatten()
_LONGEST = 1 << 24  # tokens, or a head's size: what a file may say


class Int4:
    """A number is off by at most 1/29 of the range of its group + 1/3,700 of its least number."""

    name = "int4"
    exact = False

    def encode(self, kv: KV) -> dict[str, Tensor]:
        coded: dict[str, Tensor] = {}
        for stack in stacks_of(kv):
            keys, key_scales = _coded(stack.keys)
            values, value_scales = _coded(stack.values.flatten(2).unsqueeze(3))
            shape = torch.tensor([*stack.keys.shape[2:], stack.values.shape[3]], dtype=torch.int32)
            parts = (keys, key_scales, values, value_scales, shape)
            coded |= {f"{part}.{stack.name}": x for part, x in zip(_PARTS, parts, strict=True)}
        return coded

    def decode(
        self, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device | str
    ) -> KV:
        stacks = []
        for name in names_in(tensors, _PARTS):
            keys, key_scales, values, value_scales, shape = (
                tensors[f"{part}.{name}"] for part in _PARTS
            )
            tokens, size, value_size = _sizes(shape)
            expect(keys, (torch.uint8,), (length_of(name), None, None))
            top = keys.shape[:2]
            flat = _floats(values, value_scales, (*top, tokens * value_size, 1), device)
            stacks.append(
                Stack(
                    name,
                    narrowed(_floats(keys, key_scales, (*top, tokens, size), device), dtype),
                    narrowed(flat.view(*top, tokens, value_size), dtype),
                )
            )
        return layers_of(stacks)


def _coded(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers [layers, heads, n, m] in groups of 64 along n.

    Returns:
        uint8 [layers, heads, half of n x m, rounded up], the first of each pair in the low bits;
        bfloat16 [layers, heads, groups, 2, m], steps and least numbers.
    """
    floats = as_float32(numbers)
    n = floats.shape[2]
    groups, length = _groups(n)
    last = floats[:, :, -1:].expand(-1, -1, groups * length - n, -1)
    grouped = torch.cat([floats, last], 2)
    grouped = grouped.view(*floats.shape[:2], groups, length, floats.shape[3])
    codes, steps, least = asymmetric(grouped, 3, _LEVELS)
    flat = codes.flatten(2, 3)[:, :, :n].flatten(2)
    flat = pad(flat, (0, flat.shape[2] % 2))
    return flat[..., ::2] | flat[..., 1::2] << 4, torch.cat([steps, least], 3)


def _floats(
    pairs: Tensor, scales: Tensor, shape: tuple[int, ...], device: torch.device | str
) -> Tensor:
    """Numbers [layers, heads, n, m], contiguous, from what `_coded` gave."""
    layers, heads, n, m = shape
    groups, length = _groups(n)
    expect(pairs, (torch.uint8,), (layers, heads, (n * m + 1) // 2))
    expect(scales, (torch.bfloat16,), (layers, heads, groups, 2, m))
    codes = _PAIRS.to(device).index_select(0, pairs.to(device).flatten().int())
    codes = codes.view(torch.float32).view(layers, heads, -1)[..., : n * m].reshape(shape)
    if n != groups * length:
        codes = pad(codes, (0, 0, 0, groups * length - n))
    steps, least = torch.split(scales.to(device).float(), 1, 3)
    grouped = torch.addcmul(least, codes.view(layers, heads, groups, length, m), steps)
    return grouped.flatten(2, 3)[:, :, :n].contiguous()


def _groups(n: int) -> tuple[int, int]:
    """How many groups, and how long: a single one may be shorter."""
    length = min(n, GROUP)
    return -(-n // length), length


def _sizes(shape: Tensor) -> list[int]:
    expect(shape, (torch.int32,), (3,))
    sizes: list[int] = shape.tolist()
    if not all(0 < size <= _LONGEST for size in sizes):
        raise InvalidInputError("a stack has sizes that cannot be")
    return sizes
