"""From scores to what is kept: how many, which, and the keys and values of those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.core.engine import Layer
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.activation.kv import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine

SINKS = 4  # first tokens, which models lean on (StreamingLLM, arXiv:2309.17453)


def check(engine: Engine, name: str, tokens: Sequence[int], keep: float) -> None:
    """Refuse what no policy can do.

    Raises:
        InvalidInputError: No tokens, or a share that is not above 0 and at most 1.
        UnsuitedModelError: A layer sees only the last tokens, so tokens are left out already.
    """
    if not 0 < keep <= 1:
        raise InvalidInputError(f"keep must be above 0 and at most 1, not {keep}")
    if not tokens:
        raise InvalidInputError("there are no tokens; give at least one")
    if engine.slides:
        raise UnsuitedModelError(
            f"{name} cannot thin {type(engine.model).__name__}: some of its layers attend to a "
            "window of the last tokens alone; store its memory whole"
        )


def kept_of(tokens: int, keep: float) -> int:
    """How many tokens a share is; at least one."""
    return max(1, round(tokens * keep))


def best(scores: Tensor, count: int) -> Tensor:
    """The columns with the highest scores, rising; of equal ones, the first.

    Args:
        scores: [kv heads, tokens].
        count: How many.

    Returns:
        int64 [kv heads, count].
    """
    order = scores.argsort(dim=-1, descending=True, stable=True)
    return order[:, :count].sort(dim=-1).values


def protected(scores: Tensor, *, sinks: int = 0, recent: int = 0) -> Tensor:
    """Scores in which the first and the last columns are above all others."""
    above = scores.clone()
    above[:, :sinks] = float("inf")
    if recent:
        above[:, -recent:] = float("inf")
    return above


def take(kv: KV, positions: Tensor, chosen: Sequence[Tensor]) -> Held:
    """What was chosen.

    Args:
        kv: Of which.
        positions: int [layers, kv heads, tokens] of it.
        chosen: Of each layer int64 [kv heads, kept], columns of `kv`.
    """
    layers = tuple(
        Layer(columns(layer.keys, at), columns(layer.values, at))
        for layer, at in zip(kv, chosen, strict=True)
    )
    kept = [
        where.gather(-1, at.to(where.device)) for where, at in zip(positions, chosen, strict=True)
    ]
    return Held(layers, torch.stack(kept).to(torch.int32))


def columns(states: Tensor, at: Tensor) -> Tensor:
    """Chosen tokens of [kv heads, tokens, size]."""
    return states.gather(1, at.to(states.device)[..., None].expand(-1, -1, states.shape[-1]))


def rising(kv: KV, position: int, tokens: int) -> Tensor:
    """int64 [layers, kv heads, tokens]: positions one after the other from `position`."""
    heads = kv[0].keys.shape[0]
    line = torch.arange(position, position + tokens, device=kv[0].keys.device)
    return line.expand(len(kv), heads, tokens)


def filled(chosen: Tensor, count: int, tokens: int) -> Tensor:
    """As many columns as `count`: the newest of those that were not chosen come too.

    Args:
        chosen: int64 [kv heads, kept], rising.
        count: At least as many.
        tokens: How many columns there are.
    """
    missing = count - chosen.shape[-1]
    if not missing:
        return chosen
    is_in = torch.zeros(len(chosen), tokens, dtype=torch.bool, device=chosen.device)
    is_in = is_in.scatter(-1, chosen, value=True)
    age = torch.arange(tokens, device=chosen.device).flip(0).expand(len(chosen), -1)
    order = torch.where(is_in, -1, age).argsort(dim=-1, stable=True)
    return order[:, :count].sort(dim=-1).values
