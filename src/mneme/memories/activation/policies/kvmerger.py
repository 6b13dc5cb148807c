"""KVMerger: merge neighbours whose keys are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from mneme.core.engine import Layer
from mneme.memories.activation.kv import Held
from mneme.memories.activation.policies.attended import mean_received
from mneme.memories.activation.policies.choice import SINKS, check, kept_of, protected
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class KVMerger:
    """Runs of successive tokens with like keys become one, weighted by a Gaussian kernel.

    The token of a run that got most attention is its pivot: the others weigh by their distance to
    it, its kernel as wide as their mean distance, and its position stands for the run. Tokens that
    got most attention, and the last ones, are merged only if nothing else is left. The paper cuts
    runs at a threshold of likeness; here the threshold of each head is the one that meets the
    budget, because all heads must keep the same number.

    Attributes:
        heavy_share: Share of what is kept that goes to tokens with most attention.
        recent_share: Likewise, to the last tokens.
        sinks: First tokens of a prompt that are not merged.
    """

    about: ClassVar[About] = About(
        name="kvmerger", paper="KVMerger, arXiv:2407.08454", stage="build", merges=True
    )
    heavy_share: float = 0.1
    recent_share: float = 0.1
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
        kv, positions, attended = build(
            engine, tokens, past=past, position=position, score=mean_received
        )
        count = kept_of(len(tokens), keep)
        sinks = min(self.sinks, count) if not past else 0
        layers, places = [], []
        for layer, where, scores in zip(kv, positions, attended, strict=True):
            apart = self._apart(scores, count, sinks)
            runs = runs_of(layer.keys, apart, count)
            pivots = pivots_of(runs, scores, count)
            layers.append(merged(layer, runs, pivots))
            places.append(where.gather(-1, pivots).to(torch.int32))
        return Held(tuple(layers), torch.stack(places))

    def _apart(self, scores: Tensor, count: int, sinks: int) -> Tensor:
        """Bool [kv heads, tokens]: which are not to be merged."""
        heavy = scores.topk(int(count * self.heavy_share), dim=-1).indices
        apart = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, heavy, value=True)
        recent = int(count * self.recent_share)
        return protected(apart.float(), sinks=sinks, recent=recent) > 0


def runs_of(keys: Tensor, apart: Tensor, count: int) -> Tensor:
    """To which run each token belongs.

    Args:
        keys: [kv heads, tokens, size].
        apart: bool [kv heads, tokens]: which would rather be alone.
        count: How many runs.

    Returns:
        int64 [kv heads, tokens], from 0 to `count` - 1, rising.
    """
    alike = functional.cosine_similarity(keys[:, 1:].float(), keys[:, :-1].float(), dim=-1)
    alike = alike - 10.0 * (apart[:, 1:].float() + apart[:, :-1].float())
    cuts = alike.topk(count - 1, dim=-1, largest=False).indices
    starts = torch.zeros(keys.shape[:2], dtype=torch.int64, device=keys.device)
    return starts.scatter(-1, cuts + 1, 1).cumsum(-1)


def pivots_of(runs: Tensor, scores: Tensor, count: int) -> Tensor:
    """int64 [kv heads, count]: of each run the token with the highest score."""
    order = scores.argsort(dim=-1, stable=True)
    rank = order.argsort(dim=-1)
    lowest = torch.zeros(len(runs), count, dtype=torch.int64, device=runs.device)
    highest = lowest.scatter_reduce(-1, runs, rank, "amax", include_self=False)
    return order.gather(-1, highest)


def merged(layer: Layer, runs: Tensor, pivots: Tensor) -> Layer:
    """Keys and values of runs, each token by its Gaussian weight."""
    heads, count = pivots.shape
    size = layer.keys.shape[-1]
    pivot = layer.keys.gather(1, pivots[..., None].expand(-1, -1, size))
    own = pivot.gather(1, runs[..., None].expand(-1, -1, size))
    distance = (layer.keys.float() - own.float()).norm(dim=-1)
    zeros = distance.new_zeros(heads, count)
    width = zeros.scatter_reduce(-1, runs, distance, "mean", include_self=False)
    width = width.clamp_min(torch.finfo(torch.float32).tiny ** 0.5).gather(-1, runs)
    weights = torch.exp(-(distance**2) / (2 * width**2))
    weights = weights / zeros.scatter_add(-1, runs, weights).gather(-1, runs)
    keys, values = (_mixed(states, weights, runs, count) for states in layer)
    return Layer(keys, values)


def _mixed(states: Tensor, weights: Tensor, runs: Tensor, count: int) -> Tensor:
    """Weighted sums of the tokens of each run, in the type of the states."""
    heads, _, size = states.shape
    sums = torch.zeros(heads, count, size, device=states.device)
    at = runs[..., None].expand(-1, -1, size)
    return sums.scatter_add(1, at, states.float() * weights[..., None]).to(states.dtype)
