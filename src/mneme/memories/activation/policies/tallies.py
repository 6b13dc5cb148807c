"""What decode policies count, column by column of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def grown(tally: Tensor | None, weights: Tensor, fill: float = 0.0) -> Tensor:
    """A tally [kv heads, columns] with a column for each cached token."""
    heads, _, tokens = weights.shape
    if tally is None:
        return torch.full((heads, tokens), fill, device=weights.device)
    more = torch.full((heads, tokens - tally.shape[-1]), fill, device=weights.device)
    return torch.cat((tally, more), dim=-1)


def important(weights: Tensor) -> Tensor:
    """bool, where a query gave a token at least the mean of what it gave those it sees."""
    new, tokens = weights.shape[1:]
    seen = torch.arange(tokens - new + 1, tokens + 1, device=weights.device)
    return weights >= (1.0 / seen)[None, :, None]


def kept_columns(scores: Tensor, count: int, *, sinks: int, recent: int) -> Tensor:
    """The first, the last, and of the others those with the highest scores; rising.

    Of equal scores the newest stay.
    """
    above = scores.clone()
    above[:, :sinks] = float("inf")
    above[:, above.shape[-1] - recent :] = float("inf")
    order = above.flip(-1).argsort(dim=-1, descending=True, stable=True)
    newest_first = order[:, : min(count, above.shape[-1])]
    return (above.shape[-1] - 1 - newest_first).sort(dim=-1).values
