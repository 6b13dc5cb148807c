"""SnapKV: keep what the question looks at, with its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mneme.memories.activation.policies.attended import pooled, received
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
class SnapKV:
    """Attention from a window of observing queries, pooled over neighbours, mean of a group.

    The window is the question, whose tokens are no part of the memory and so stay. The paper
    answers from the pass that observed; here the question is run again on what was kept, so that
    the figures say what the kept part is worth.

    Attributes:
        window: How many of the last tokens of the question observe.
        kernel: Tokens over which attention is pooled, odd.
    """

    about: ClassVar[About] = About(
        name="snapkv", paper="SnapKV, arXiv:2404.14469", stage="question"
    )
    window: int = 64
    kernel: int = 5

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
        return pooled(received(sight, last=self.window), self.kernel).mean(dim=1)
