"""TOVA: keep what the last token of the question looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mneme.memories.activation.policies.attended import received
from mneme.memories.activation.policies.choice import check
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import narrow_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Tova:
    """Attention of the last query, mean of all heads of a layer; all heads keep the same tokens.

    Done once, where the paper does it after each token of a prompt and of an answer.
    """

    about: ClassVar[About] = About(name="tova", paper="TOVA, arXiv:2401.06104", stage="question")

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
        return narrow_by(engine, held, position, question, keep, self.score)

    def score(self, sight: Sight) -> Tensor:
        """[kv heads, tokens], the same for each head."""
        weights = received(sight, last=1)
        return weights.mean(dim=(0, 1)).expand(weights.shape[0], -1)
