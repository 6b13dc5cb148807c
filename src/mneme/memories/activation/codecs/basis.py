"""Directions in which keys lie: found from samples, named by their content, kept by the caller."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.codecs.numbers import as_float32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV


class Basis:
    """Directions of the keys of each layer, all heads side by side.

    Attributes:
        layers: Of each layer float32 [kv heads x key size, rank]; columns are orthonormal.
        name: 16 hex digits, of all its numbers.
    """

    def __init__(self, layers: Sequence[Tensor]) -> None:
        self.layers = tuple(layer.float().cpu().contiguous() for layer in layers)
        said = hashlib.sha256()
        for layer in self.layers:
            said.update(f"{tuple(layer.shape)}".encode())
            said.update(layer.numpy().tobytes())
        self.name = said.hexdigest()[:16]

    def of(self, stack: str, channels: int | None) -> Tensor:
        """Directions [layers, channels, rank] of the layers "first-last".

        Raises:
            InvalidInputError: It was made for another model.
        """
        first, last = map(int, stack.split("-"))
        layers = self.layers[first : last + 1]
        shapes = {layer.shape for layer in layers}
        if len(layers) != last - first + 1 or len(shapes) != 1:
            raise InvalidInputError(f"basis {self.name} is of other layers; calibrate one")
        if channels is not None and layers[0].shape[0] != channels:
            raise InvalidInputError(f"basis {self.name} is of other heads; calibrate one")
        return torch.stack(layers)

    def to_bytes(self) -> bytes:
        """As a safetensors file, to be kept and given to `from_bytes` in another process."""
        return save({str(number): layer for number, layer in enumerate(self.layers)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Basis:
        """What `to_bytes` gave.

        Raises:
            InvalidInputError: It is something else.
        """
        try:
            tensors = load(data)
            return cls([tensors[str(number)] for number in range(len(tensors))])
        except (SafetensorError, KeyError) as error:
            raise InvalidInputError("these bytes are no basis of keys; calibrate one") from error


def calibrate(samples: Sequence[KV], *, energy: float = 0.99, rank: int | None = None) -> Basis:
    """The directions in which the keys of samples lie, as Palu (arXiv:2407.21118) joins heads.

    Args:
        samples: Keys and values of one engine, of texts like those that will be kept.
        energy: Share of the squares of the samples that every layer keeps, over 0, up to 1. All
            layers of one shape get as many directions as the one that needs most.
        rank: As many directions instead.

    Raises:
        InvalidInputError: There is no sample, or `energy` or `rank` is out of range.
    """
    if not samples or not 0 < energy <= 1 or (rank is not None and rank < 1):
        raise InvalidInputError("calibrate needs samples, an energy in (0, 1], a rank of 1 or more")
    seen = [
        torch.cat([side_by_side(as_float32(sample[layer].keys)[None]) for sample in samples], 1)
        for layer in range(len(samples[0]))
    ]
    found = {
        channels: directions(
            torch.cat([one for one in seen if one.shape[2] == channels]), energy, rank
        )
        for channels in {one.shape[2] for one in seen}
    }
    took = dict.fromkeys(found, 0)
    layers = []
    for one in seen:
        layers.append(found[one.shape[2]][took[one.shape[2]]])
        took[one.shape[2]] += 1
    return Basis(layers)


def side_by_side(keys: Tensor) -> Tensor:
    """Keys [layers, heads, tokens, size] as [layers, tokens, heads x size]."""
    return keys.transpose(1, 2).flatten(2)


def directions(wide: Tensor, energy: float, rank: int | None = None) -> Tensor:
    """The main directions of rows: [layers, rows, channels] to [layers, channels, rank].

    As many in all layers as the one needs that needs most for the share `energy` of its squares.
    """
    scale = wide.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    _, sizes, rows = torch.linalg.svd(wide / scale, full_matrices=False)
    if rank is None:
        squares = sizes.double().square()
        missing = squares.flip(1).cumsum(1).flip(1)  # of each direction and all after it
        needed = (missing > (1 - energy) * squares.sum(1, keepdim=True)).sum(1)
        rank = max(1, int(needed.max()))
    main: Tensor = rows[:, :rank].mT
    return main.contiguous()
