"""The activations that routers look at: what goes into layers at a prompt's last token."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.batch import last_logits
from mneme.memories.parametric.lora import linears

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from mneme.core.engine import Engine

_ROWS = 64


def last_layer(engine: Engine) -> str:
    """The path of the layer that ends the last block; its inputs are keys (arXiv 2012.14913)."""
    return next(reversed(linears(engine.model)))


def inputs_of(
    engine: Engine, paths: Sequence[str], prompts: Sequence[Sequence[int]]
) -> dict[str, Tensor]:
    """What goes into layers at the last token of each prompt, by path: float32 [prompts, inputs].

    Args:
        engine: Whose model runs, with what is on just now.
        paths: Of `lora.linears`.
        prompts: Tokens, at least one prompt.
    """
    layers = linears(engine.model)
    seen: dict[str, list[Tensor]] = {path: [] for path in paths}
    with ExitStack() as stack:
        stack.enter_context(engine.lock)
        stack.enter_context(torch.no_grad())
        for path in paths:
            hook = layers[path].register_forward_hook(_Watch(seen[path]))
            stack.callback(hook.remove)
        for at in range(0, len(prompts), _ROWS):
            last_logits(engine, prompts[at : at + _ROWS])
    return {path: torch.cat(parts) for path, parts in seen.items()}


def check_fit(lessons: Sequence[Sequence[int]], replay: Sequence[Sequence[int]]) -> None:
    """Refuse to fit with nothing.

    Raises:
        InvalidInputError: One of them is empty.
    """
    if not lessons or not replay:
        raise InvalidInputError("a router is fitted with lessons and with prompts for replay")


class _Watch:
    def __init__(self, into: list[Tensor]) -> None:
        self._into = into

    def __call__(self, _layer: nn.Module, given: tuple[Any, ...], _output: Tensor) -> None:
        self._into.append(given[0][:, -1].float().cpu())
