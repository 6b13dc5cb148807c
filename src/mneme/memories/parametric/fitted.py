"""An adapter that was checked against a model, as one tensor that is ready to be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.lora import factors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.lora import LinearShape


class Part(NamedTuple):
    """Where the matrices of one layer lie in `Fitted.numbers`: first A, then B."""

    path: str
    rank: int
    start: int

    def halves(self, numbers: Tensor, shape: LinearShape) -> tuple[Tensor, Tensor]:
        """A [rank, inputs] and B [outputs, rank], as views."""
        middle = self.start + self.rank * shape.inputs
        end = middle + self.rank * shape.outputs
        a = numbers[self.start : middle].view(self.rank, shape.inputs)
        return a, numbers[middle:end].view(shape.outputs, self.rank)


class Fitted(NamedTuple):
    """The change x @ A.T @ B.T of each layer.

    All matrices are one tensor: one copy to the device, and few objects in memory.

    numbers: In the type of the model, on the CPU, with peft's scaling in B.
    parts: Where they lie.
    """

    numbers: Tensor
    parts: tuple[Part, ...]

    @property
    def rank(self) -> int:
        """The largest."""
        return max(part.rank for part in self.parts)

    @property
    def bytes(self) -> int:
        """Of its numbers."""
        return self.numbers.nbytes


def fitted(adapter: Adapter, shapes: Mapping[str, LinearShape], dtype: torch.dtype) -> Fitted:
    """Check an adapter of "lora" against the layers of a model.

    Raises:
        InvalidInputError: Its tensors do not fit, or hold numbers that the type does not have.
    """
    parts, halves, start = [], [], 0
    for path, (a, b, scale) in factors(adapter, shapes).items():
        parts.append(Part(path, a.shape[0], start))
        low, high = a.detach().cpu().float(), b.detach().cpu().float() * scale
        halves += [low.flatten(), high.flatten()]
        start += a.numel() + b.numel()
    numbers = torch.cat(halves).to(dtype)
    if not bool(numbers.isfinite().all()):
        raise InvalidInputError(
            f"the adapter has numbers that are not finite, or that {dtype} does not have"
        )
    return Fitted(numbers, tuple(parts))
