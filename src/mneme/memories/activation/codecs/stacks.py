"""Layers of equal shape as one tensor, so that a file has few; and the way back, checked.

A codec names its tensors "part.first-last": which part of its code, for which layers. Files come
from outside: whatever does not fit is an InvalidInputError, before anything is computed with it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch

from mneme.core.engine import KV, Layer
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

_NAME = re.compile(r"([a-z]+)\.(0|[1-9][0-9]{0,3})-(0|[1-9][0-9]{0,3})", re.ASCII)


class Stack(NamedTuple):
    """Successive layers of one shape.

    name: "first-last".
    keys: [layers, kv heads, tokens, key size].
    values: [layers, kv heads, tokens, value size].
    """

    name: str
    keys: Tensor
    values: Tensor


def stacks_of(kv: KV) -> list[Stack]:
    """Layers in as few stacks as their shapes allow; copies.

    Raises:
        InvalidInputError: No layer, no token, or layers of different numbers of tokens.
    """
    if not kv or any(0 in half.shape for layer in kv for half in layer):
        raise InvalidInputError("a block needs at least one layer and one token")
    if len({half.shape[1] for layer in kv for half in layer}) > 1:
        raise InvalidInputError("all layers of a block hold the same number of tokens")
    runs = _runs([_shape(layer) for layer in kv])
    return [
        Stack(
            f"{first}-{last}",
            torch.stack([layer.keys for layer in kv[first : last + 1]]),
            torch.stack([layer.values for layer in kv[first : last + 1]]),
        )
        for first, last in runs
    ]


def layers_of(stacks: Iterable[Stack]) -> KV:
    """The layers of stacks in order; views.

    Raises:
        InvalidInputError: Stacks of different numbers of tokens.
    """
    stacks = list(stacks)
    if len({half.shape[2] for stack in stacks for half in (stack.keys, stack.values)}) > 1:
        raise InvalidInputError("its layers hold different numbers of tokens")
    return tuple(
        Layer(keys, values)
        for stack in stacks
        for keys, values in zip(stack.keys.unbind(), stack.values.unbind(), strict=True)
    )


def names_in(tensors: Mapping[str, Tensor], parts: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the stacks, in order of their layers.

    Raises:
        InvalidInputError: A name is unknown, a part is missing, or layers are missing or double.
    """
    return _names_in(tuple(tensors), parts)


@lru_cache(maxsize=256)  # the files of an engine have the same names
def _names_in(names: tuple[str, ...], parts: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[tuple[int, int], set[str]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None or match[1] not in parts:
            raise InvalidInputError(f"it has a tensor {name[:40]!r} that its form does not have")
        found.setdefault((int(match[2]), int(match[3])), set()).add(match[1])
    expected = 0
    for first, last in sorted(found):
        if first != expected or last < first or found[first, last] != set(parts):
            raise InvalidInputError("its layers are not complete")
        expected = last + 1
    if not found:
        raise InvalidInputError("it has no layers")
    return tuple(f"{first}-{last}" for first, last in sorted(found))


def expect(tensor: Tensor, dtypes: Sequence[torch.dtype], shape: Sequence[int | None]) -> Tensor:
    """The tensor, if it has one of the dtypes and the shape; None is any size but 0.

    Raises:
        InvalidInputError: It has not.
    """
    fits = len(shape) == tensor.dim() and all(
        there == wanted if wanted is not None else there > 0
        for there, wanted in zip(tensor.shape, shape, strict=True)
    )
    if tensor.dtype not in dtypes or not fits:
        raise InvalidInputError(f"a tensor {list(tensor.shape)} of {tensor.dtype} does not fit")
    return tensor


def length_of(name: str) -> int:
    """Layers of a stack by its name."""
    first, last = name.split("-")
    return int(last) - int(first) + 1


def _shape(layer: Layer) -> tuple[object, ...]:
    return (layer.keys.shape, layer.values.shape, layer.keys.dtype, layer.values.dtype)


def _runs(shapes: Sequence[object]) -> list[tuple[int, int]]:
    """First and last of each run of equal neighbours."""
    starts = [n for n in range(len(shapes)) if n == 0 or shapes[n] != shapes[n - 1]]
    return [(first, end - 1) for first, end in zip(starts, [*starts[1:], len(shapes)], strict=True)]
