"""Keys at other positions: rotary embeddings turned back, and turned on.

In: keys and values of a run of tokens, and where its tokens stood. Out: the same for another place.
A model with rotary embeddings (arXiv:2104.09864) rotates queries and keys, never values, and a
score depends on the distance of the two alone. Kept for reuse elsewhere means kept unrotated.

Arithmetic is float32, whatever the keys are kept in; the result has their own type again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mneme.core.engine import Layer
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.activation.kv import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV, Engine


def ensure_movable(engine: Engine) -> None:
    """Refuse a model whose keys cannot be moved.

    Raises:
        UnsuitedModelError: A layer sees only the last tokens, so that what was left out of its
            cache depends on the position; or the positions are not rotations.
    """
    if engine.slides:
        raise UnsuitedModelError(
            "a layer of this model attends to a window of the last tokens alone: keys and values "
            "cannot be used at other positions; run the whole prompt"
        )
    for layer in range(engine.layers):
        engine.rope(layer, (0,))


def unrotate(kv: KV, engine: Engine, start: int) -> KV:
    """Keys as they were before rotation; values as they are.

    Args:
        kv: Rotated for positions `start`, `start + 1`, ...
        engine: Whose rotation it is.
        start: Position of the first token.

    Raises:
        UnsuitedModelError: The positions of the model are not rotations of fixed frequencies.
    """
    return _turned(kv, engine, start, None)


def rotate(kv: KV, engine: Engine, start: int) -> KV:
    """Unrotated keys, rotated for positions `start`, `start + 1`, ...; values as they are.

    Raises:
        UnsuitedModelError: The positions of the model are not rotations of fixed frequencies.
    """
    return _turned(kv, engine, None, start)


def move(kv: KV, engine: Engine, from_: int | None, to: int | None) -> KV:
    """Keys rotated for one place, as they would be for another; values as they are.

    Args:
        kv: Keys and values of successive tokens.
        engine: Whose rotation it is.
        from_: Position for which the first key is rotated; None: it is unrotated.
        to: Position to rotate it for; None: leave it unrotated. Equal to `from_`: the same
            tensors, unchanged.

    Raises:
        UnsuitedModelError: The positions of the model are not rotations of fixed frequencies.
    """
    return kv if from_ == to else _turned(kv, engine, from_, to)


def shift(held: Held, engine: Engine, by: int) -> Held:
    """What was kept of a thinned run, standing `by` positions later (or earlier, if negative).

    Raises:
        InvalidInputError: The run was not thinned: `move` is for those.
        UnsuitedModelError: The positions of the model are not rotations of fixed frequencies.
    """
    if held.positions is None:
        raise InvalidInputError("no positions are known for these keys; use move")
    if by == 0:
        return held
    moved = tuple(
        Layer(
            _shifted(layer.keys, engine, number, at.to(layer.keys.device).long(), by), layer.values
        )
        for number, (layer, at) in enumerate(zip(held.kv, held.positions, strict=True))
    )
    return Held(moved, held.positions + by)


def _shifted(
    keys: torch.Tensor, engine: Engine, layer: int, at: torch.Tensor, by: int
) -> torch.Tensor:
    low, most = int(at.min()), int(at.max()) + 1
    raw = _turn_back(keys.float(), *_picked(engine, layer, range(low, most), at - low))
    there = range(low + by, most + by)
    return _turn(raw, *_picked(engine, layer, there, at - low)).to(keys.dtype)


def _picked(
    engine: Engine, layer: int, positions: range, at: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    cos, sin = _rope(engine, layer, positions, at.device)
    return cos[at], sin[at]


def _turned(kv: KV, engine: Engine, from_: int | None, to: int | None) -> KV:
    layers = []
    for number, (keys, values) in enumerate(kv):
        turned = keys.float()
        if from_ is not None:
            places = range(from_, from_ + keys.shape[1])
            turned = _turn_back(turned, *_rope(engine, number, places, keys.device))
        if to is not None:
            places = range(to, to + keys.shape[1])
            turned = _turn(turned, *_rope(engine, number, places, keys.device))
        layers.append(Layer(turned.to(keys.dtype), values))
    return tuple(layers)


def _rope(
    engine: Engine,
    layer: int,
    positions: Sequence[int],
    device: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, torch.Tensor]:
    cos, sin = engine.rope(layer, positions)
    return cos.to(device), sin.to(device)


def _turn(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate pairs of a key's first entries: i goes with i + half of the rotated size.

    Args:
        keys: float32 [heads, tokens, head size]; what is beyond the rotated size stays.
        cos: [tokens, rotated size], or with heads before.
        sin: The same.
    """
    size = cos.shape[-1]
    moving, staying = keys[..., :size], keys[..., size:]
    first, second = moving.chunk(2, dim=-1)
    swapped = torch.cat((-second, first), dim=-1)
    return torch.cat((moving * cos + swapped * sin, staying), dim=-1)


def _turn_back(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The inverse of `_turn`."""
    return _turn(keys, cos, -sin)
