"""Keys and values as tensors: count, cut, join, compare, move.

Pure functions. Tensors that come in are never changed; what `cut` gives are views of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mneme.core.engine import KV, Layer
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of a number


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What one block file holds.

    Attributes:
        kv: Of the tokens that were kept.
        positions: int32 [layers, kv heads, kept], where a policy left tokens out: the positions
            of those that were kept; all layers and heads keep the same number. None: all are there.
    """

    kv: KV
    positions: Tensor | None = None


def tokens_in(kv: KV) -> int:
    """Tokens per layer and head; 0 of no layers."""
    return int(kv[0].keys.shape[1]) if kv else 0


def size_of(kv: KV) -> int:
    """Bytes of the numbers."""
    return sum(int(half.nbytes) for layer in kv for half in layer)


def cut(kv: KV, start: int, stop: int) -> KV:
    """The tokens from `start` to `stop`, as views.

    Raises:
        InvalidInputError: The range is not within the tokens.
    """
    if not 0 <= start <= stop <= tokens_in(kv):
        raise InvalidInputError(f"tokens {start} to {stop} are not within 0 to {tokens_in(kv)}")
    return tuple(Layer(keys[:, start:stop], values[:, start:stop]) for keys, values in kv)


def join(parts: Sequence[KV], device: torch.device | str | None = None) -> KV:
    """Runs of tokens, one after the other; each tensor is new, contiguous, one allocation.

    Args:
        parts: At least one; all with the same layers, heads, sizes and dtypes.
        device: Where the result shall be; None: where the first part is.

    Raises:
        InvalidInputError: There is no part, or they do not fit each other.
    """
    if not parts:
        raise InvalidInputError("join needs at least one run of tokens")
    shapes = _shapes(parts[0])
    if any(_shapes(part) != shapes for part in parts[1:]):
        raise InvalidInputError("runs of different layers, heads, sizes or dtypes cannot be joined")
    where = (
        parts[0][0].keys.device if device is None and parts[0] else torch.device(device or "cpu")
    )
    return tuple(
        Layer(
            _row([layer.keys for layer in layers], where),
            _row([layer.values for layer in layers], where),
        )
        for layers in zip(*parts, strict=True)
    )


def to(kv: KV, device: torch.device | str) -> KV:
    """The same on a device; the same tensors if they are there."""
    return tuple(Layer(keys.to(device), values.to(device)) for keys, values in kv)


def same(one: KV, other: KV) -> bool:
    """Whether both are equal bit by bit: shapes, dtypes, signs of zero, payloads of NaN."""
    return len(one) == len(other) and all(
        _same(mine, yours)
        for layer, other_layer in zip(one, other, strict=True)
        for mine, yours in zip(layer, other_layer, strict=True)
    )


def _row(halves: list[Tensor], device: torch.device) -> Tensor:
    """One tensor along the tokens; joined where the parts are, if they are all at one place."""
    if any(half.device != halves[0].device for half in halves):
        halves = [half.to(device) for half in halves]
    return torch.cat(halves, dim=1).to(device)


def _shapes(kv: KV) -> list[tuple[int, int, int, torch.dtype, torch.dtype]]:
    return [
        (keys.shape[0], keys.shape[2], values.shape[2], keys.dtype, values.dtype)
        for keys, values in kv
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    words = _WORDS[one.element_size()]
    return torch.equal(one.view(words), other.to(one.device).view(words))
