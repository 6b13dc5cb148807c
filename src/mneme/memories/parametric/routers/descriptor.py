"""Route by how well a description of the lessons fits a prompt (SEMA, arXiv 2403.18886).

The paper keeps an autoencoder for each adapter and takes the one that rebuilds an activation
best. Here both are linear, which needs no training: principal directions of the activations of the
lessons, and of those of other prompts. The score says how much better the first rebuild a prompt;
the threshold lies above all prompts that it is fitted with and that ask for something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from mneme.memories.parametric.routers.reading import check_fit, inputs_of, last_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter

_DIRECTIONS: Final = 16
_TINY: Final = 1e-6


class _Description(NamedTuple):
    """mean: [inputs]; directions: [directions, inputs], orthonormal rows."""

    mean: Tensor
    directions: Tensor

    def error(self, x: Tensor) -> Tensor:
        """What is left of [prompts, inputs] once it was rebuilt, as a length: [prompts]."""
        rest = x - self.mean
        left = rest - rest @ self.directions.T @ self.directions
        length: Tensor = torch.linalg.vector_norm(left, dim=-1)
        return length


class DescriptorRouter:
    """The `ActivationRouter` "descriptor"."""

    name = "descriptor"

    def __init__(self) -> None:
        self.threshold = float("inf")
        self._engine: Engine | None = None
        self._path = ""
        self._own = self._others = _Description(torch.empty(0), torch.empty(0))

    def fit(
        self,
        engine: Engine,
        adapter: Adapter,
        lessons: Sequence[Sequence[int]],
        replay: Sequence[Sequence[int]],
    ) -> None:
        check_fit(lessons, replay)
        self._engine, self._path = engine, last_layer(engine)
        self._own = _described(self._seen(lessons))
        self._others = _described(self._seen(replay))
        self.threshold = float(self.score(replay).max())

    def score(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        x = self._seen(prompts)
        return torch.log((self._others.error(x) + _TINY) / (self._own.error(x) + _TINY))

    def _seen(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        assert self._engine is not None, "fit it first"
        return inputs_of(self._engine, [self._path], prompts)[self._path]


def _described(x: Tensor) -> _Description:
    mean = x.mean(0)
    most = min(_DIRECTIONS, len(x), x.shape[1])
    return _Description(mean, torch.linalg.svd(x - mean, full_matrices=False).Vh[:most])
