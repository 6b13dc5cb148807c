"""An adapter whose small matrices may move, and what a model with it says to lessons."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.batch import forward, padded
from mneme.memories.parametric.lora import LoraApplied, factors, linears, targets, weight_names
from mneme.memories.parametric.writers.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Lesson

_ROWS = 64  # lessons of one forward pass


class Opened:
    """A copy of an adapter in float32 on the device, open to gradients.

    Args:
        engine: Of the adapter's base.
        adapter: Of "lora"; stays as it is.

    Attributes:
        moving: The matrices, two for each layer: down, up, down, up, ...

    Raises:
        InvalidInputError: It is of another base, or does not fit the model.
    """

    def __init__(self, engine: Engine, adapter: Adapter) -> None:
        if adapter.base != base_of(engine.fields):
            raise InvalidInputError("the adapter is of another base; unlearn on the one it is of")
        layers, parts = linears(engine.model), factors(adapter, targets(engine.model))
        self.engine, self._adapter, self._paths = engine, adapter, list(parts)
        self.moving: list[Tensor] = []
        for path, part in parts.items():
            device = next(layers[path].parameters()).device
            both = [each.to(device, torch.float32, copy=True) for each in part[:2]]
            self.moving += both
            parts[path] = part._replace(a=both[0], b=both[1])
        for each in self.moving:
            each.requires_grad_()
        self._applied = LoraApplied(engine, parts, keep=True)

    @contextmanager
    def on(self) -> Iterator[None]:
        """The adapter is on, and nothing else of the model learns; holds the engine's lock."""
        with self.engine.lock, frozen(self.engine.model, recompute=False), self._applied.on():
            yield

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Of a loss, for each of `moving`."""
        return list(torch.autograd.grad(loss, self.moving))

    def size(self) -> float:
        """The Euclidean length of all numbers of `moving` together."""
        return length(self.moving)

    def move(self, against: Sequence[Tensor], by: float) -> None:
        """A step of a length, against a gradient of any length; none where it is zero."""
        if not (far := length(against)):
            return
        with torch.no_grad():
            for number, slope in zip(self.moving, against, strict=True):
                number -= slope.to(number.device) * (by / far)

    def closed(self) -> Adapter:
        """What it has become, on the CPU."""
        names = [name for path in self._paths for name in weight_names(path)]
        moved = {n: t.detach().cpu().clone() for n, t in zip(names, self.moving, strict=True)}
        return replace(self._adapter, tensors=moved)


def length(parts: Sequence[Tensor]) -> float:
    """The Euclidean length of tensors, taken as one vector."""
    return math.sqrt(sum(float(part.detach().double().square().sum()) for part in parts))


def surprise(engine: Engine, lessons: Sequence[Lesson]) -> Tensor:
    """How unlikely each answer is: -log p, summed over its tokens; float32 [lessons].

    With whatever is on; gradients flow if they are on. The caller holds the engine's lock.
    """
    return torch.cat([part for part, _ in _read(engine, lessons)])


def never_learned(engine: Engine, lessons: Sequence[Lesson]) -> Tensor:
    """How unlikely the base without any adapter finds each answer; float32 [lessons]."""
    with engine.lock, torch.no_grad():
        return surprise(engine, lessons)


def is_right(engine: Engine, lessons: Sequence[Lesson]) -> Tensor:
    """Whether each token of an answer is the likeliest; bool [lessons]. As `surprise` otherwise."""
    with torch.no_grad():
        return torch.cat([part for _, part in _read(engine, lessons)])


def _read(engine: Engine, lessons: Sequence[Lesson]) -> Iterator[tuple[Tensor, Tensor]]:
    """Surprise and rightness of some lessons after others."""
    for at in range(0, len(lessons), _ROWS):
        part = lessons[at : at + _ROWS]
        keep = max(len(lesson.answer) for lesson in part)
        ids, mask = padded([(*each.prompt, *each.answer[:-1]) for each in part], engine.device)
        logits = forward(engine, ids, mask, keep=keep).float()
        rows = [[-100] * (keep - len(each.answer)) + list(each.answer) for each in part]
        want = torch.tensor(rows, device=logits.device)
        cost = functional.cross_entropy(logits.transpose(1, 2), want, reduction="none")
        yield cost.sum(-1), ((logits.argmax(-1) == want) | (want == -100)).all(-1)
