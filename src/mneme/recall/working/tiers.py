"""What a step may cost: three tiers (BudgetMem, arXiv:2602.06025), and what it did cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.recall.rank import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How much work, and how much of the budget, evidence may take.

    Attributes:
        mode: How memory is searched: by words alone, or by words and vectors.
        rounds: Searches for one question, those for what is missing included.
        candidates: Hits that evidence is chosen from.
        share: Part of the budget that evidence may take, the system's messages left aside.
        with_model: Whether a language model, where there is one, writes the summaries.
    """

    name: str
    mode: Mode
    rounds: int
    candidates: int
    share: float
    with_model: bool


TIERS: Final[Mapping[str, Tier]] = MappingProxyType(
    {
        "low": Tier(
            name="low", mode="lexical", rounds=1, candidates=20, share=0.25, with_model=False
        ),
        "middle": Tier(
            name="middle", mode="hybrid", rounds=1, candidates=60, share=0.5, with_model=True
        ),
        "high": Tier(
            name="high", mode="hybrid", rounds=4, candidates=120, share=0.7, with_model=True
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the last step took, and all steps of this object so far.

    Attributes:
        tier: Name of the tier.
        budget_tokens: The ceiling of the messages.
        tokens: Tokens of the messages by part: system, notes, evidence, summary, window. `tools`
            are those of the schemas chosen last; they stand beside the messages, not in them.
        recalls: Searches of the last step.
        recall_ms: Milliseconds that they took.
        llm_calls, llm_tokens: Requests to the language model, and its tokens, in the last step.
        all_recalls, all_recall_ms, all_llm_calls, all_llm_tokens: The same, of all steps.
    """

    tier: str
    budget_tokens: int
    tokens: Mapping[str, int] = field(default_factory=dict)
    recalls: int = 0
    recall_ms: float = 0.0
    llm_calls: int = 0
    llm_tokens: int = 0
    all_recalls: int = 0
    all_recall_ms: float = 0.0
    all_llm_calls: int = 0
    all_llm_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Tokens of the messages, never above the budget."""
        return sum(count for part, count in self.tokens.items() if part != "tools")


def tier_of(value: object) -> Tier:
    """A tier by its name."""
    tier = TIERS.get(value) if isinstance(value, str) else None
    if tier is None:
        raise InvalidInputError(f"tier {value!r:.80} is unknown; use one of {', '.join(TIERS)}")
    return tier
