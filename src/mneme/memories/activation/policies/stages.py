"""The two ways in which a score becomes a memory: at the build, and once a question is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.memories.activation.kv import Held, tokens_in
from mneme.memories.activation.policies.choice import best, kept_of, rising, take
from mneme.memories.activation.policies.sight import Span, observe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.policies.sight import Score


def build(
    engine: Engine, tokens: Sequence[int], *, past: KV | None, position: int, score: Score
) -> tuple[KV, Tensor, list[Tensor]]:
    """Compute tokens and score them.

    Returns:
        Their keys and values; their positions, int64 [layers, kv heads, tokens]; of each layer
        their scores, [kv heads, tokens].
    """
    session = engine.session(past, position=position, record=True)
    line = _line(engine, position, len(tokens))
    scores = observe(engine, session, tokens, score, Span(line, tokens_in(past or ())))
    kv = session.recorded()
    return kv, rising(kv, position, len(tokens)), scores


def thin_by(
    engine: Engine,
    tokens: Sequence[int],
    keep: float,
    *,
    past: KV | None,
    position: int,
    score: Score,
) -> Held:
    """Compute tokens and keep the share of them with the highest scores."""
    kv, positions, scores = build(engine, tokens, past=past, position=position, score=score)
    count = kept_of(len(tokens), keep)
    return take(kv, positions, [best(of, count) for of in scores])


def asked(
    engine: Engine, held: Held, position: int, question: Sequence[int], score: Score
) -> tuple[Tensor, list[Tensor]]:
    """Run a question against a memory and score the memory's tokens by it.

    Returns:
        Positions int [layers, kv heads, tokens] of the memory, and of each layer its scores.
    """
    positions = held.positions
    if positions is None:
        positions = rising(held.kv, position - tokens_in(held.kv), tokens_in(held.kv))
    session = engine.session(held.kv, position=position)
    span = Span(positions, behind=len(question))
    return positions, observe(engine, session, question, score, span)


def narrow_by(
    engine: Engine, held: Held, position: int, question: Sequence[int], keep: float, score: Score
) -> Held:
    """Keep the share of a memory with the highest scores."""
    positions, scores = asked(engine, held, position, question, score)
    count = kept_of(tokens_in(held.kv), keep)
    return take(held.kv, positions, [best(of, count) for of in scores])


def _line(engine: Engine, position: int, tokens: int) -> Tensor:
    """int64 [layers, 1, tokens]; the same for every head."""
    return torch.arange(position, position + tokens).expand(engine.layers, 1, tokens)
