"""Leverage: keep the tokens whose keys are unlike the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.choice import SINKS, check, protected
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import thin_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Leverage:
    """Ridge leverage scores of unrotated keys, of each head by itself.

    A key that the others cannot be combined to stands out: a question that looks for it finds
    nothing else. No attention takes part, so it does not depend on a question. The geometric half
    of Compactor (arXiv:2507.08143), computed exactly instead of by a sketch, with a ridge instead
    of jitter; its other half, attention without a mask, is left out.

    Attributes:
        ridge: Added to the diagonal of the keys' second moments, as a share of its mean.
        sinks: First tokens of a prompt that always stay.
    """

    about: ClassVar[About] = About(
        name="leverage", paper="Compactor, arXiv:2507.08143", stage="build"
    )
    ridge: float = 0.1
    sinks: int = SINKS

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
        return thin_by(engine, tokens, keep, past=past, position=position, score=self.score)

    def score(self, sight: Sight) -> Tensor:
        """[kv heads, tokens]; the first tokens of a prompt above all others."""
        sinks = self.sinks if sight.first == 0 else 0
        return protected(leverage_of(sight.plain_keys, self.ridge), sinks=sinks)


def leverage_of(rows: Tensor, ridge: float) -> Tensor:
    """Ridge leverage scores.

    Args:
        rows: float32 [groups, rows, size].
        ridge: As a share of the mean of the diagonal.

    Returns:
        [groups, rows], from 0 to 1: x (X'X + r I)^-1 x' of centred rows x.
    """
    centred = rows - rows.mean(dim=1, keepdim=True)
    moments = centred.mT @ centred
    size = moments.shape[-1]
    mean = moments.diagonal(dim1=-2, dim2=-1).mean(-1)
    added = (ridge * mean).clamp_min(torch.finfo(rows.dtype).tiny)
    moments = moments + added[:, None, None] * torch.eye(size, device=rows.device)
    solved: Tensor = torch.linalg.solve(moments, centred.mT).mT
    return (centred * solved).sum(-1)
