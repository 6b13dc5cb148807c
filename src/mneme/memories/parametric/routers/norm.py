"""Route by how much an adapter would change the activations (WISE, arXiv 2405.14768).

The score is the length of the change that the adapter's layers make at the last token, against
that of what the layer gives without it; the threshold lets nearly all lessons through. The paper
trains a margin between lessons and the rest; here the adapter is as it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from mneme.memories.parametric.lora import delta, factors, linears, targets
from mneme.memories.parametric.routers.reading import check_fit, inputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.lora import Factors

_KEPT: Final = 0.95  # share of the lessons above the threshold


class NormRouter:
    """The `ActivationRouter` "norm"."""

    name = "norm"

    def __init__(self) -> None:
        self.threshold = float("inf")
        self._engine: Engine | None = None
        self._parts: dict[str, Factors] = {}

    def fit(
        self,
        engine: Engine,
        adapter: Adapter,
        lessons: Sequence[Sequence[int]],
        replay: Sequence[Sequence[int]],
    ) -> None:
        check_fit(lessons, replay)
        self._parts = factors(adapter, targets(engine.model))
        self._engine = engine
        self.threshold = float(self.score(lessons).quantile(1 - _KEPT))

    def score(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        assert self._engine is not None, "fit it first"
        layers = linears(self._engine.model)
        seen = inputs_of(self._engine, list(self._parts), prompts)
        with self._engine.lock, torch.no_grad():
            changes = [
                delta(x, *self._parts[path]).norm(dim=-1) / _given(layers[path], x).norm(dim=-1)
                for path, x in seen.items()
            ]
        return torch.stack(changes).mean(0)


def _given(layer: torch.nn.Module, x: Tensor) -> Tensor:
    weight = next(layer.parameters())
    given: Tensor = layer(x.to(weight.device, weight.dtype))
    return given.float().cpu()
