"""SCOPE: the prompt and the answer have budgets of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.policy import About, Budget
from mneme.memories.activation.policies.tallies import grown, kept_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SCOPE:
    """The prompt is cut once; the answer keeps its own heavy hitters and its last tokens.

    The prompt is cut by the attention of its last queries, and then left alone.
    With one budget for both, a long answer pushes out the prompt. Adaptive: the room for heavy
    hitters of the answer grows with it. Discontinuous: chosen once in `every` tokens.

    Attributes:
        recent_share: Share of the answer's budget for its last tokens.
        horizon: Tokens of an answer after which its budget is full.
        every: After how many tokens the cache is narrowed.
    """

    about: ClassVar[About] = About(
        name="scope", paper="SCOPE, arXiv:2412.13649", stage="decode", keeps_fewer=True
    )
    recent_share: float = 0.5
    horizon: int = 256
    every: int = 8

    def tally(self) -> Halves:
        return Halves(self.recent_share, self.horizon)


class Halves:
    """The attention that the tokens of one layer got: of a prompt, then of an answer."""

    def __init__(self, recent_share: float, horizon: int) -> None:
        self._recent_share, self._horizon = recent_share, horizon
        self._got: Tensor | None = None
        self._answered = 0

    def see(self, weights: Tensor) -> None:
        self._got = grown(self._got, weights) + weights.sum(dim=1)
        self._answered += weights.shape[1]

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        assert self._got is not None
        first = kept_columns(self._got[:, :prompt], budget.prompt_tokens, sinks=0, recent=0)
        answer = self._got[:, prompt:]
        if not answer.shape[-1]:
            self._answered = 0
            return first
        recent = max(1, int(budget.answer_tokens * self._recent_share))
        grown_to = (budget.answer_tokens - recent) * min(1.0, self._answered / self._horizon)
        count = recent + int(grown_to)
        own = kept_columns(answer, count, sinks=0, recent=min(recent, answer.shape[-1]))
        return torch.cat((first, own + prompt), dim=-1)

    def forget(self, chosen: Tensor) -> None:
        assert self._got is not None
        self._got = self._got.gather(-1, chosen)
