"""Keys in few directions, in eight bits; values whole, in eight bits.

The keys of a layer, all heads side by side, lie near a space of few directions; so only where they
lie in it is kept, as in Palu (arXiv:2407.21118), which joins heads in groups, and ShadowKV
(arXiv:2410.21465), which also leaves values whole. Both cut keys before they are rotated; here
they are rotated, which takes more directions.

The directions are those of the block itself, which are then in its file ("lowrank"), or they were
found once from samples (`basis.py`), and the form names them ("lowrank@1f0c5e...").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.codecs.basis import Basis, directions, side_by_side
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

    from mneme.core.engine import KV

ENERGY = 0.98
_SHARED = ("keys", "keysteps", "values", "valuesteps")
_OWN = (*_SHARED, "basis", "basissteps")


class LowRank:
    """Keys lose what they have outside the directions; values are off as in "int8".

    With its own directions, the keys of each layer are off by at most 16 % (norm of the error by
    norm of the keys): the root of 1 - 0.98, and rounding. With calibrated ones there is no such
    bound: what a text has outside the directions of the samples is lost.
    """

    name = "lowrank"
    exact = False

    def __init__(self, basis: Basis | None = None) -> None:
        self._basis = basis

    def encode(self, kv: KV) -> dict[str, Tensor]:
        coded: dict[str, Tensor] = {}
        for stack in stacks_of(kv):
            keys = side_by_side(as_float32(stack.keys))
            basis, *own = self._directions(keys, stack.name)
            values, value_steps = symmetric(as_float32(stack.values), 3)
            parts = (*symmetric(keys @ basis, 1), values, value_steps, *own)
            names = _OWN if own else _SHARED
            coded |= {f"{part}.{stack.name}": x for part, x in zip(names, parts, strict=True)}
        return coded

    def decode(
        self, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device | str
    ) -> KV:
        stacks = []
        for name in names_in(tensors, _OWN if self._basis is None else _SHARED):
            keys, key_steps, values, value_steps = (tensors[f"{part}.{name}"] for part in _SHARED)
            expect(keys, (torch.int8,), (length_of(name), None, None))
            layers, tokens, rank = keys.shape
            expect(key_steps, (torch.bfloat16,), (layers, 1, rank))
            expect(values, (torch.int8,), (layers, None, tokens, None))
            heads = values.shape[1]
            expect(value_steps, (torch.bfloat16,), (layers, heads, tokens, 1))
            basis = self._known(tensors, name, rank).to(device)
            if basis.shape[1] % heads:
                raise InvalidInputError("its directions are not those of its heads")
            wide = _times(keys, key_steps, device) @ basis.mT
            per_head = wide.unflatten(2, (heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
            stacks.append(
                Stack(
                    name,
                    narrowed(per_head, dtype).contiguous(),
                    narrowed(_times(values, value_steps, device), dtype),
                )
            )
        return layers_of(stacks)

    def _directions(self, keys: Tensor, name: str) -> tuple[Tensor, ...]:
        """Directions [layers, channels, rank]; and as they are written, if they are the block's."""
        if self._basis is not None:
            return (self._basis.of(name, keys.shape[2]).to(keys.device),)
        codes, steps = symmetric(directions(keys, ENERGY), 1)
        return codes * steps.float(), codes, steps

    def _known(self, tensors: Mapping[str, Tensor], name: str, rank: int) -> Tensor:
        """Directions [layers, channels, rank] of a stack."""
        if self._basis is not None:
            found = self._basis.of(name, None)
            return expect(found, (torch.float32,), (length_of(name), None, rank))
        codes, steps = tensors[f"basis.{name}"], tensors[f"basissteps.{name}"]
        expect(codes, (torch.int8,), (length_of(name), None, rank))
        expect(steps, (torch.bfloat16,), (length_of(name), 1, rank))
        return codes * steps.float()


def _times(codes: Tensor, steps: Tensor, device: torch.device | str) -> Tensor:
    return codes.to(device) * steps.to(device).float()
