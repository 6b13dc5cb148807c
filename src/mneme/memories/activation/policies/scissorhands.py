"""Scissorhands: what was pivotal lately stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.policy import About, Budget
from mneme.memories.activation.policies.tallies import important, kept_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scissorhands:
    """Within a window of the last queries, counts how often a token got more than an equal share.

    Importance persists: what was never pivotal in the window goes first; the last tokens are too
    new to be judged and stay. The paper draws by lot among equals; here the newer stays.

    Attributes:
        window: Last queries that are counted.
        recent_share: Share of the budget that goes to the last tokens.
        every: After how many tokens the cache is narrowed.
    """

    about: ClassVar[About] = About(
        name="scissorhands", paper="Scissorhands, arXiv:2305.17118", stage="decode"
    )
    window: int = 64
    recent_share: float = 0.25
    every: int = 8

    def tally(self) -> Pivots:
        return Pivots(self.window, self.recent_share)


class Pivots:
    """The last queries of one layer, and which tokens were pivotal for each."""

    def __init__(self, window: int, recent_share: float) -> None:
        self._window, self._recent_share = window, recent_share
        self._rows: Tensor | None = None  # bool [kv heads, queries, columns]

    def see(self, weights: Tensor) -> None:
        new = important(weights)
        if self._rows is not None:
            more = weights.shape[-1] - self._rows.shape[-1]
            old = torch.nn.functional.pad(self._rows, (0, more))
            new = torch.cat((old, new), dim=1)
        self._rows = new[:, -self._window :]

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        assert self._rows is not None
        counts = self._rows.sum(dim=1).float()
        recent = int(budget.total_tokens * self._recent_share)
        return kept_columns(counts, budget.total_tokens, sinks=0, recent=recent)

    def forget(self, chosen: Tensor) -> None:
        assert self._rows is not None
        at = chosen[:, None].expand(-1, self._rows.shape[1], -1)
        self._rows = self._rows.gather(-1, at)
