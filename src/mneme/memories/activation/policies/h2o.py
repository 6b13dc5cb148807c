"""H2O: keep the heavy hitters of the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mneme.memories.activation.policies.attended import received
from mneme.memories.activation.policies.choice import check, protected
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import narrow_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class H2O:
    """Attention that a token got from all queries in sum; the last tokens stay too.

    The sum runs over the question's queries, done once, where the paper sums over the prompt and
    evicts one token for each new one. (Summed over the text alone, it is `kvpress-h2o`.)

    Attributes:
        recent_share: Share of what is kept that goes to the last tokens of the memory; the paper
            gives them half, because there they are what was just said.
    """

    about: ClassVar[About] = About(name="h2o", paper="H2O, arXiv:2306.14048", stage="question")
    recent_share: float = 0.1

    def narrow(
        self,
        engine: Engine,
        held: Held,
        position: int,
        question: Sequence[int],
        keep: float,
        *,
        surprise: Tensor | None = None,
    ) -> Held:
        check(engine, self.about.name, question, keep)

        def score(sight: Sight) -> Tensor:
            weights = received(sight).sum(dim=1)
            recent = int(weights.shape[-1] * keep * self.recent_share)
            return protected(weights, recent=recent)

        return narrow_by(engine, held, position, question, keep, score)
