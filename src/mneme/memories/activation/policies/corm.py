"""CORM: what none of the last queries needed goes, whatever the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.policy import About, Budget
from mneme.memories.activation.policies.tallies import important, kept_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class CORM:
    """A token that got less than an equal share from each of the last queries goes.

    Successive queries are alike, so the next one will not need it either.
    Without a budget the cache has the size that the text asks for. The heads of a layer need
    different numbers; all keep as many as the one that needs most, and the budget is a ceiling.

    Attributes:
        window: Last queries that have a say; the tokens of these stay.
        every: After how many tokens the cache is narrowed.
    """

    about: ClassVar[About] = About(
        name="corm", paper="CORM, arXiv:2404.15949", stage="decode", keeps_fewer=True
    )
    window: int = 32
    every: int = 8

    def tally(self) -> Needs:
        return Needs(self.window)


class Needs:
    """Of one layer: before how many queries each token was last needed."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._last: Tensor | None = None  # float [kv heads, columns]: number of the query
        self._queries = 0

    def see(self, weights: Tensor) -> None:
        heads, new, tokens = weights.shape
        number = torch.arange(self._queries + 1, self._queries + new + 1, device=weights.device)
        needed = torch.where(important(weights), number[None, :, None].float(), 0.0).amax(dim=1)
        if self._last is not None:
            more = tokens - self._last.shape[-1]
            needed = torch.maximum(torch.nn.functional.pad(self._last, (0, more)), needed)
        self._last, self._queries = needed.reshape(heads, tokens), self._queries + new

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        assert self._last is not None
        lately = self._last > max(0, self._queries - self._window)
        recent = min(self._window, self._last.shape[-1])
        lately[:, -recent:] = True
        count = min(int(lately.sum(-1).max()), budget.total_tokens)
        return kept_columns(self._last, count, sinks=0, recent=min(recent, count))

    def forget(self, chosen: Tensor) -> None:
        assert self._last is not None
        self._last = self._last.gather(-1, chosen)
