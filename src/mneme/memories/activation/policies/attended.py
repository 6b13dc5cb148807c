"""How much attention tokens got, from the queries that a policy listens to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from mneme.memories.activation.policies.sight import Sight


def received(sight: Sight, *, last: int | None = None) -> Tensor:
    """Attention that each token got in sum.

    Args:
        sight: What the pass shows.
        last: From the last so many new tokens only.

    Returns:
        float32 [kv heads, heads of a group, tokens].
    """
    total = None
    for weights in sight.attention(last=last):
        part = weights.sum(dim=2)
        total = part if total is None else total + part
    assert total is not None  # a pass has at least one token
    return total


def mean_received(sight: Sight) -> Tensor:
    """[kv heads, tokens]: mean attention that a token got from those that can see it."""
    return received(sight).sum(dim=1) / later_tokens(sight)


def pooled(scores: Tensor, kernel: int) -> Tensor:
    """Scores, each the mean of its neighbourhood, so that tokens are kept with their context.

    Args:
        scores: [..., tokens].
        kernel: Size of the neighbourhood, odd.
    """
    flat = scores.reshape(-1, 1, scores.shape[-1])
    mean = functional.avg_pool1d(flat, kernel, stride=1, padding=kernel // 2)
    return mean.reshape(scores.shape)


def later_tokens(sight: Sight) -> Tensor:
    """float32 [tokens]: how many of the new tokens can see each token."""
    new = sight.queries.shape[1]
    first_new = sight.keys.shape[1] - new
    own = torch.arange(sight.first, sight.stop, device=sight.keys.device)
    return (sight.keys.shape[1] - own.clamp_min(first_new)).float().clamp_max(new)
