"""D2O: evict by attention, and merge into what is kept what is like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from mneme.core.engine import Layer
from mneme.memories.activation.kv import Held
from mneme.memories.activation.policies.attended import received
from mneme.memories.activation.policies.choice import (
    SINKS,
    best,
    check,
    columns,
    kept_of,
    protected,
)
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class D2O:
    """Heavy hitters and the last tokens stay, and take in what is like them.

    What is like a token that stays is merged into it, weighted by the exponential of the likeness;
    the rest goes.
    Attention says what stays, likeness of keys what is merged: at least as alike as the mean of
    all evicted tokens, which is where the paper's moving threshold starts. The paper also gives
    layers budgets of their own by how their attention is spread; all are the same here, because a
    cache is rectangular.

    Attributes:
        recent_share: Share of what is kept that goes to the last tokens.
        sinks: First tokens of a prompt that always stay.
    """

    about: ClassVar[About] = About(
        name="d2o", paper="D2O, arXiv:2406.13035", stage="build", merges=True
    )
    recent_share: float = 0.25
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
        kv, positions, scores = build(
            engine, tokens, past=past, position=position, score=_accumulated
        )
        count = kept_of(len(tokens), keep)
        recent, sinks = int(count * self.recent_share), self.sinks if not past else 0
        chosen = [best(protected(of, sinks=sinks, recent=recent), count) for of in scores]
        layers = tuple(compensated(*pair) for pair in zip(kv, chosen, strict=True))
        places = [where.gather(-1, at) for where, at in zip(positions, chosen, strict=True)]
        return Held(layers, torch.stack(places).to(torch.int32))


def _accumulated(sight: Sight) -> Tensor:
    return received(sight).sum(dim=1)


def compensated(layer: Layer, chosen: Tensor) -> Layer:
    """What was chosen, with what is like it merged in.

    Args:
        layer: [kv heads, tokens, size].
        chosen: int64 [kv heads, kept].
    """
    gone = _others(chosen, layer.keys.shape[1])
    kept_keys, gone_keys = columns(layer.keys, chosen), columns(layer.keys, gone)
    if not gone.shape[-1]:
        return Layer(kept_keys, columns(layer.values, chosen))
    unit_kept, unit_gone = (
        functional.normalize(keys.float(), dim=-1) for keys in (kept_keys, gone_keys)
    )
    likeness, nearest = (unit_gone @ unit_kept.mT).max(dim=-1)
    enough = likeness >= likeness.mean(dim=-1, keepdim=True)
    weights = likeness.exp() * enough
    return Layer(
        _with(kept_keys, gone_keys, weights, nearest),
        _with(columns(layer.values, chosen), columns(layer.values, gone), weights, nearest),
    )


def _others(chosen: Tensor, tokens: int) -> Tensor:
    """int64 [kv heads, tokens - kept]: the columns that were not chosen, rising."""
    is_gone = torch.ones(len(chosen), tokens, dtype=torch.bool, device=chosen.device)
    is_gone = is_gone.scatter(-1, chosen, value=False)
    return is_gone.nonzero()[:, 1].reshape(len(chosen), -1)


def _with(kept: Tensor, gone: Tensor, weights: Tensor, nearest: Tensor) -> Tensor:
    """Weighted means of each kept token, whose own weight is e, and of what is merged into it."""
    at = nearest[..., None].expand(-1, -1, kept.shape[-1])
    sums = (kept.float() * torch.e).scatter_add(1, at, gone.float() * weights[..., None])
    total = torch.full(kept.shape[:2], torch.e, device=kept.device)
    total = total.scatter_add(1, nearest, weights)
    mixed = (sums / total[..., None]).to(kept.dtype)
    touched = torch.zeros_like(total).scatter_add(1, nearest, weights) > 0
    return torch.where(touched[..., None], mixed, kept)  # what took nothing in stays bit by bit
