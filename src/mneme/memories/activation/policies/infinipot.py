"""InfiniPot-V: under a hard cap, keep what is new, and what has large values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.blockwise import Blockwise
from mneme.memories.activation.policies.choice import SINKS, check, protected
from mneme.memories.activation.policies.policy import About

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class InfiniPot:
    """Two rankings, each filling its share of the budget, whenever the cache reaches its cap.

    Redundancy (TaR): how alike a token's key is to the most alike key of the newest block; what
    is repeated there goes first. Weight (VaN): the norm of a token's value. The paper compares
    patches at the same place of later frames of a video; text has no places, so all pairs are
    compared, on keys before rotation. Its pooling of norms over patches is left out.

    Attributes:
        block_tokens: The cache holds the budget and so many more at most.
        new_share: Share of the budget that is filled by redundancy.
        sinks: First tokens of a prompt that always stay.
    """

    about: ClassVar[About] = About(
        name="infinipot", paper="InfiniPot-V, arXiv:2506.15745", stage="build"
    )
    block_tokens: int = 64
    new_share: float = 0.5
    sinks: int = SINKS

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
        by_blocks = Blockwise(block_tokens=self.block_tokens, scorer=self)
        return by_blocks.thin(engine, tokens, keep, past=past, position=position)

    def score(self, sight: Sight) -> Tensor:
        """[kv heads, tokens]: the better of a token's two ranks, each against its share."""
        new = sight.queries.shape[1]
        keys = torch.nn.functional.normalize(sight.plain_keys, dim=-1)
        alike = keys @ keys[:, -new:].mT
        own = torch.arange(new, device=keys.device)
        alike[:, own - new, own] = -1  # a token does not repeat itself
        novelty = -alike.amax(dim=-1)
        weight = sight.own_values.float().norm(dim=-1)
        share = min(max(self.new_share, 1e-6), 1 - 1e-6)
        ranked = torch.minimum(_rank(novelty) / share, _rank(weight) / (1 - share))
        return protected(-ranked, sinks=self.sinks if sight.first == 0 else 0)


def _rank(scores: Tensor) -> Tensor:
    """float32: 0 for the highest of each row."""
    return scores.argsort(dim=-1, descending=True).argsort(dim=-1).float()
