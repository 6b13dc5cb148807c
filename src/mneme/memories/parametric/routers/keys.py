"""Route by nearness to what the lessons looked like (GRACE, arXiv 2211.11031).

Each lesson leaves a key: what goes into the last layer at its last token. A prompt is the
adapter's if it lies within a radius of some key. The paper gives each key a radius of its own
that grows and splits with later edits; here all facts are there at once, and the radius is half
of the way from the keys to the nearest prompt that asks for something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from mneme.memories.parametric.routers.reading import check_fit, inputs_of, last_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter

_SHARE: Final = 0.5  # of the way to the nearest other prompt


class KeyRouter:
    """The `ActivationRouter` "keys"."""

    name = "keys"

    def __init__(self) -> None:
        self.threshold = float("inf")
        self._engine: Engine | None = None
        self._keys = torch.empty(0)
        self._path = ""

    def fit(
        self,
        engine: Engine,
        adapter: Adapter,
        lessons: Sequence[Sequence[int]],
        replay: Sequence[Sequence[int]],
    ) -> None:
        check_fit(lessons, replay)
        self._engine, self._path = engine, last_layer(engine)
        self._keys = self._seen(lessons)
        self.threshold = _SHARE * float(self.score(replay).max())

    def score(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Less than nothing: how far the nearest key is, away."""
        return -torch.cdist(self._seen(prompts), self._keys).min(dim=-1).values

    def _seen(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        assert self._engine is not None, "fit it first"
        return inputs_of(self._engine, [self._path], prompts)[self._path]
