"""Policies that look at a question, used before there is one: what not to do, for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.memories.activation.policies.attended import mean_received
from mneme.memories.activation.policies.choice import check, protected
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.snapkv import SnapKV
from mneme.memories.activation.policies.stages import thin_by
from mneme.memories.activation.policies.tova import Tova

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Score, Sight


@dataclass(frozen=True, slots=True)
class Unasked:
    """Scores by attention, where the text itself stands for the question that is not there.

    SnapKV and TOVA listen to the last tokens of the text, H2O to all of them: as their papers do
    in a prompt that ends with its question. A text that is stored has no question at its end.

    Attributes:
        about: Of the policy, at this stage.
        score: Of the policy.
        recent: Last tokens of the text that always stay, because they observe.
    """

    about: About
    score: Score
    recent: int = 0

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        check(engine, self.about.name, tokens, keep)
        return thin_by(engine, tokens, keep, past=past, position=position, score=self._protected)

    def _protected(self, sight: Sight) -> Tensor:
        return protected(self.score(sight), recent=self.recent)


def _unasked(name: str, paper: str, score: Score, recent: int = 0) -> Unasked:
    return Unasked(About(name=f"{name}-unasked", paper=paper, stage="build"), score, recent)


UNASKED = (
    _unasked("snapkv", "SnapKV, arXiv:2404.14469", SnapKV(window=32).score, 32),
    _unasked("tova", "TOVA, arXiv:2401.06104", Tova().score, 1),
    _unasked("h2o", "H2O, arXiv:2306.14048", mean_received),
)
