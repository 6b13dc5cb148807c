"""StreamingLLM: the first tokens and the last ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mneme.memories.activation.policies.policy import About, Budget
from mneme.memories.activation.policies.tallies import grown, kept_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Attention sinks and a sliding window, whatever is looked at: the yardstick of this stage.

    Tokens stay at their true positions, where the paper moves them together.

    Attributes:
        sinks: First tokens that stay.
        every: After how many tokens the cache is narrowed.
    """

    about: ClassVar[About] = About(
        name="streaming-llm", paper="StreamingLLM, arXiv:2309.17453", stage="decode"
    )
    sinks: int = 4
    every: int = 8

    def tally(self) -> Columns:
        return Columns(self.sinks)


class Columns:
    """How many columns there are; nothing else counts."""

    def __init__(self, sinks: int) -> None:
        self._sinks = sinks
        self._zeros: Tensor | None = None

    def see(self, weights: Tensor) -> None:
        self._zeros = grown(self._zeros, weights)

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        assert self._zeros is not None
        sinks = min(self._sinks, budget.total_tokens - 1)
        return kept_columns(self._zeros, budget.total_tokens, sinks=sinks, recent=0)

    def forget(self, chosen: Tensor) -> None:
        assert self._zeros is not None
        self._zeros = self._zeros.gather(-1, chosen)
