"""Selective synaptic dampening (Foster et al., arXiv:2308.07707) on the matrices of an adapter.

A number matters to a lesson as much as the square of its gradient (the diagonal of the Fisher
information). Numbers that matter to what is to be forgotten far more than to all lessons are made
smaller. No step is taken along a gradient, and nothing is trained.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mneme.memories.parametric.unlearn.opened import Opened, surprise
from mneme.memories.parametric.unlearn.unlearner import Unlearned, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Lesson
    from mneme.memories.parametric.unlearn.unlearner import Progress


@dataclass(frozen=True, slots=True)
class Dampening:
    """Dampens what matters to the forgotten.

    Attributes:
        select: Numbers are chosen that matter this many times more to the forgotten than to all.
        strength: A chosen number is multiplied by `strength * matters to all / to the forgotten`,
            at most by 1.
    """

    select: float = 1.3
    strength: float = 0.1

    @property
    def name(self) -> str:
        return "ssd"

    @property
    def exact(self) -> bool:
        return False

    def unlearn(
        self,
        engine: Engine,
        adapter: Adapter,
        forget: Sequence[Lesson],
        retain: Sequence[Lesson],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Unlearned:
        checked(forget, retain)
        began, told = time.process_time(), _Told(progress, len(forget) + len(retain))
        opened = Opened(engine, adapter)
        theirs = _matters(opened, forget, told)
        rest = _matters(opened, retain, told)
        share = len(forget) / (len(forget) + len(retain))
        chosen = 0
        with torch.no_grad():
            for number, of_forget, of_rest in zip(opened.moving, theirs, rest, strict=True):
                of_all = share * of_forget + (1 - share) * of_rest
                where = of_forget > self.select * of_all
                factor = (self.strength * of_all / of_forget.clamp_min(1e-30)).clamp_max(1.0)
                number[where] *= factor[where]
                chosen += int(where.sum())
        total = sum(each.numel() for each in opened.moving)
        figures = {"dampened_share": chosen / total, "cpu_s": time.process_time() - began}
        return Unlearned(opened.closed(), figures)


class _Told:
    """Counts the lessons that were read, for who watches."""

    def __init__(self, progress: Progress | None, steps: int) -> None:
        self._progress, self._steps, self._step = progress, steps, 0

    def one_more(self, loss: float) -> None:
        self._step += 1
        if self._progress is not None:
            self._progress(self._step, self._steps, loss)


def _matters(opened: Opened, lessons: Sequence[Lesson], told: _Told) -> list[Tensor]:
    """The mean square of the gradient of one lesson, for each number of each matrix."""
    found = [torch.zeros_like(each) for each in opened.moving]
    for lesson in lessons:
        with opened.on(), torch.enable_grad():
            loss = surprise(opened.engine, [lesson]).sum()
            gradients = opened.gradients(loss)
        for total, gradient in zip(found, gradients, strict=True):
            total += gradient.square() / len(lessons)
        told.one_more(float(loss.detach()))
    return found
