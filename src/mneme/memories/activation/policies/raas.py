"""RaaS: milestones of an answer stay until nothing looks at them any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.policy import About, Budget
from mneme.memories.activation.policies.tallies import grown, kept_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RaaS:
    """The prompt stays whole; of the answer, what was not looked at for longest goes (LRU).

    A token's time is renewed when it is among the better half of the answer's tokens by attention.
    The paper keeps pages of tokens; a page is one token here. The cache holds the prompt, however
    long it is, and the budget of the answer.

    Attributes:
        share: Of the answer's tokens, how many are renewed by each query.
        every: After how many tokens the cache is narrowed.
    """

    about: ClassVar[About] = About(name="raas", paper="RaaS, arXiv:2502.11147", stage="decode")
    share: float = 0.5
    every: int = 8

    def tally(self) -> Renewals:
        return Renewals(self.share)


class Renewals:
    """When the tokens of one layer were last renewed."""

    def __init__(self, share: float) -> None:
        self._share, self._now = share, 0
        self._at: Tensor | None = None
        self._prompt = 0

    def see(self, weights: Tensor) -> None:
        known = 0 if self._at is None else self._at.shape[-1]
        at = grown(self._at, weights)
        at[:, known:] = self._now + 1
        for row in weights.unbind(dim=1):
            self._now += 1
            own = row[:, self._prompt :]
            best = own.topk(max(1, int(own.shape[-1] * self._share)), dim=-1).indices
            at.scatter_(-1, best + self._prompt, float(self._now))
        self._at = at

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        assert self._at is not None
        self._prompt = prompt
        heads, tokens = self._at.shape
        first = torch.arange(prompt, device=self._at.device).expand(heads, -1)
        if tokens == prompt:
            return first
        own = kept_columns(self._at[:, prompt:], budget.answer_tokens, sinks=0, recent=1)
        return torch.cat((first, own + prompt), dim=-1)

    def forget(self, chosen: Tensor) -> None:
        assert self._at is not None
        self._at = self._at.gather(-1, chosen)
