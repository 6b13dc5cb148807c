"""Random: keep any tokens, as a yardstick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.choice import check
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import thin_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Tokens drawn by lot, for each layer and head anew. What is no better than this does nothing.

    Attributes:
        seed: Of the lots; the same tokens give the same choice.
    """

    about: ClassVar[About] = About(name="random", paper="none: the yardstick", stage="build")
    seed: int = 0

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        check(engine, self.about.name, tokens, keep)
        return thin_by(engine, tokens, keep, past=past, position=position, score=self.score)

    def score(self, sight: Sight) -> Tensor:
        """[kv heads, tokens], the same on every device."""
        lots = torch.Generator().manual_seed(self.seed * 1_000_003 + sight.layer)
        heads, tokens, _ = sight.own_keys.shape
        return torch.rand(heads, tokens, generator=lots).to(sight.keys.device)
