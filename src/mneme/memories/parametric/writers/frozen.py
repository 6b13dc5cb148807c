"""A model as training wants it, for one step: nothing of it learns, and nothing of it changes.

Its marks are restored at the end, so that chats between two steps find it as it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from mneme.core.errors import UnsuitedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


@contextmanager
def frozen(model: Any, *, recompute: bool) -> Iterator[None]:  # noqa: ANN401
    """No dropout and no gradients of the weights; the caller holds the engine's lock.

    Args:
        model: Of transformers.
        recompute: Gradient checkpointing (arXiv 1604.06174): blocks are computed again in the
            backward pass instead of kept.

    Raises:
        UnsuitedModelError: Its blocks cannot be computed again.
    """
    blocks = _blocks(model) if recompute else []
    learning = [each for each in model.parameters() if each.requires_grad]
    training = [each for each in model.modules() if each.training]
    marks = [dict(vars(block)) for block in blocks]
    try:
        for parameter in learning:
            parameter.requires_grad_(requires_grad=False)
        for module in training:
            module.training = False
        for block in blocks:  # the block alone, not what is in it: its dropout stays off
            vars(block).update(_RECOMPUTED, _gradient_checkpointing_func=_again)
        yield
    finally:
        for block, before in zip(blocks, marks, strict=True):
            _restore(block, before)
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad_(requires_grad=True)


_RECOMPUTED = {"gradient_checkpointing": True, "training": True}


def _again(function: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401
    from torch.utils.checkpoint import checkpoint

    return checkpoint(partial(function, **named), *given, use_reentrant=False)


def _restore(block: nn.Module, before: dict[str, Any]) -> None:
    for name in (*_RECOMPUTED, "_gradient_checkpointing_func"):
        if name in before:
            vars(block)[name] = before[name]
        else:
            vars(block).pop(name, None)


def _blocks(model: Any) -> list[nn.Module]:  # noqa: ANN401
    from transformers.modeling_layers import GradientCheckpointingLayer

    found: list[nn.Module] = [
        each for each in model.modules() if isinstance(each, GradientCheckpointingLayer)
    ]
    if not found:
        raise UnsuitedModelError(
            f"{type(model).__name__} cannot compute its blocks again; train without recompute"
        )
    return found
