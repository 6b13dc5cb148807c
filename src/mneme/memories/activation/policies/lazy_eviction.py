"""LazyEviction: what comes back after a while stays until it is overdue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.policy import About, Budget
from mneme.memories.activation.policies.tallies import grown, important, kept_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyEviction:
    """Of each token: when it was last important, and the longest time between two such moments.

    Eviction lags: it runs once in a window of tokens, and the tokens of the window stay. A token
    scores by how far it is from being overdue (time since it was last important, against its
    longest interval) and by the interval itself, so that what recurs seldom is not taken for
    what never recurs. The paper tracks intervals and goes by the longest; how the two become one
    score is ours: e^-(elapsed / interval) + interval / (interval + window).

    Attributes:
        every: The window, in tokens.
    """

    about: ClassVar[About] = About(
        name="lazy-eviction", paper="LazyEviction, arXiv:2506.15969", stage="decode"
    )
    every: int = 16

    def tally(self) -> Recurrence:
        return Recurrence(self.every)


class Recurrence:
    """The moments of importance of the tokens of one layer."""

    def __init__(self, window: int) -> None:
        self._window, self._now = window, 0
        self._last: Tensor | None = None
        self._longest: Tensor | None = None

    def see(self, weights: Tensor) -> None:
        known = 0 if self._last is None else self._last.shape[-1]
        last, longest = grown(self._last, weights), grown(self._longest, weights)
        last[:, known:] = self._now + 1
        for needed in important(weights).unbind(dim=1):
            self._now += 1
            between = torch.where(needed, self._now - last, 0.0)
            longest = torch.maximum(longest, between)
            last = torch.where(needed, float(self._now), last)
        self._last, self._longest = last, longest

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        assert self._last is not None
        assert self._longest is not None
        elapsed = self._now - self._last
        due = torch.exp(-elapsed / self._longest.clamp_min(1.0))
        scores = due + self._longest / (self._longest + self._window)
        recent = min(self._window, budget.total_tokens // 2)
        return kept_columns(scores, budget.total_tokens, sinks=0, recent=recent)

    def forget(self, chosen: Tensor) -> None:
        assert self._last is not None
        assert self._longest is not None
        self._last = self._last.gather(-1, chosen)
        self._longest = self._longest.gather(-1, chosen)
