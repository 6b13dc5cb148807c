"""What one pass over tokens lets a policy see, layer by layer, while it runs.

In: an engine, a session, tokens, and a function that scores what it sees of a layer.
Out: scores [kv heads, tokens] of each layer. Queries are never stored: each layer is scored as its
attention is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mneme.core.engine import Engine, Session

ROWS = 256  # queries whose attention is computed at once


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One layer, as a policy sees it.

    Attributes:
        layer: Its number, as in KV.
        queries: [heads, new tokens, head size], rotated.
        keys: [kv heads, cached tokens, head size], rotated; the new tokens are the last.
        values: [kv heads, cached tokens, head size].
        first: The first column that may be left out.
        stop: The column after the last one that may be left out.
        positions: int64 [kv heads, stop - first], of those columns.
        scaling: What attention scores are multiplied by.
        engine: Whose layer it is.
    """

    layer: int
    queries: Tensor
    keys: Tensor
    values: Tensor
    first: int
    stop: int
    positions: Tensor
    scaling: float
    engine: Engine

    @property
    def own_keys(self) -> Tensor:
        """Keys of the columns that may be left out."""
        return self.keys[:, self.first : self.stop]

    @property
    def own_values(self) -> Tensor:
        """Values of the columns that may be left out."""
        return self.values[:, self.first : self.stop]

    @cached_property
    def plain_keys(self) -> Tensor:
        """float32, the keys of those columns as they were before rotation, up to a scale."""
        return unrotated(self.engine, self.layer, self.own_keys, self.positions)

    def attention(self, *, last: int | None = None) -> Iterator[Tensor]:
        """Where the new tokens look, `ROWS` of them at a time.

        Args:
            last: Only the last so many.

        Yields:
            float32 [kv heads, heads of a group, rows, stop - first].
        """
        new = self.queries.shape[1]
        start = 0 if last is None else max(0, new - last)
        for row in range(start, new, ROWS):
            weights = attention_of(self.queries, self.keys, self.scaling, row, row + ROWS)
            yield weights[..., self.first : self.stop]


Score: TypeAlias = "Callable[[Sight], Tensor]"


def attention_of(queries: Tensor, keys: Tensor, scaling: float, start: int, stop: int) -> Tensor:
    """Attention weights of the queries `start` to `stop`, each seeing what is not after it.

    Args:
        queries: [heads, new, size]; the last columns of `keys` are theirs.
        keys: [kv heads, all, size].
        scaling: Of the scores.
        start: Row.
        stop: Row.

    Returns:
        float32 [kv heads, heads of a group, rows, all].
    """
    heads, new, size = queries.shape
    kv_heads, columns, _ = keys.shape
    rows = queries[:, start:stop].reshape(kv_heads, heads // kv_heads, -1, size)
    scores = (rows.float() @ keys[:, None].float().mT) * scaling
    seen = torch.arange(columns, device=keys.device)
    own = columns - new + torch.arange(start, min(stop, new), device=keys.device)
    return scores.masked_fill(seen > own[:, None], float("-inf")).softmax(-1)


def observe(
    engine: Engine, session: Session, tokens: Sequence[int], score: Score, span: Span
) -> list[Tensor]:
    """Feed tokens and score each layer as it goes.

    Returns:
        Of each layer float32 [kv heads, columns of the span].
    """
    scores: dict[int, Tensor] = {}
    asked: dict[int, list[Tensor]] = {}
    scoring = False
    scaling = scaling_of(engine)
    stop = span.first + span.positions.shape[-1]

    def watch(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> None:
        nonlocal scoring
        if scoring:
            return  # a pass of the engine's own, such as its proof of how it rotates
        asked.setdefault(layer, []).append(queries)
        if keys.shape[1] < stop + span.behind:
            return  # the engine feeds in parts; wait for the last one
        positions = span.positions[layer].to(keys.device, torch.int64)
        queries = torch.cat(asked.pop(layer), dim=1)
        sight = Sight(
            layer=layer,
            queries=queries,
            keys=keys,
            values=values,
            first=span.first,
            stop=stop,
            positions=positions,
            scaling=scaling or queries.shape[-1] ** -0.5,
            engine=engine,
        )
        scoring = True
        scores[layer] = score(sight)
        scoring = False

    with torch.no_grad(), engine.observed(watch):
        session.feed(tokens)
    return [scores[layer] for layer in range(engine.layers)]


@dataclass(frozen=True, slots=True)
class Span:
    """Which columns may be left out: those after `first`, save the last `behind`.

    positions: [layers, kv heads, columns] or, of one layer each, [kv heads, columns].
    """

    positions: Tensor
    first: int = 0
    behind: int = 0


def scaling_of(engine: Engine) -> float | None:
    """What a model's attention scores are multiplied by; None: the usual root of the head size."""
    for module in engine.model.modules():
        if hasattr(module, "layer_idx") and isinstance(getattr(module, "scaling", None), float):
            return float(module.scaling)
    return None


def unrotated(engine: Engine, layer: int, keys: Tensor, positions: Tensor) -> Tensor:
    """Keys as they were before they were rotated.

    Args:
        engine: That made them.
        layer: Of theirs.
        keys: [kv heads, tokens, size].
        positions: int64 [kv heads, tokens].

    Returns:
        float32, up to a constant factor where the model scales its rotations.

    Raises:
        UnsuitedModelError: Positions of the model are not rotations.
    """
    low = int(positions.min())
    cosines, sines = engine.rope(layer, range(low, int(positions.max()) + 1))
    cosines, sines = (table.to(keys.device)[positions - low] for table in (cosines, sines))
    size = cosines.shape[-1]
    turned, rest = keys.float()[..., :size], keys.float()[..., size:]
    front, back = turned.chunk(2, dim=-1)
    plain = turned * cosines - torch.cat((-back, front), dim=-1) * sines
    return torch.cat((plain, rest), dim=-1)
