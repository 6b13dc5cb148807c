"""SAGE-KV: one choice after the prompt, by its last token, head by head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mneme.memories.activation.policies.attended import received
from mneme.memories.activation.policies.choice import SINKS, check, protected
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import narrow_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class SageKV:
    """First tokens, last tokens, and between them what the last query looks at most.

    Each key-value head chooses for itself, by the attention of the query heads of its group. The
    question itself is the recent window that the paper keeps.

    Attributes:
        sinks: First tokens of the memory that stay.
        recent: Last tokens of the memory that stay.
    """

    about: ClassVar[About] = About(
        name="sage-kv", paper="SAGE-KV, arXiv:2503.08879", stage="question"
    )
    sinks: int = SINKS
    recent: int = 0

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
        """[kv heads, tokens]."""
        weights = received(sight, last=1).mean(dim=1)
        return protected(weights, sinks=self.sinks, recent=self.recent)
