"""Geometric unlearning: only steps that what is retained does not feel.

To first order the loss of what is retained stays if a step is orthogonal to its gradients
(Geometric-Disentanglement Unlearning, GU). So each step up the loss of what is to be forgotten
loses its part within the span of gradients of what is retained, and has a bounded length (a trust
region: beyond it the first order says nothing).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mneme.memories.parametric.unlearn.opened import Opened, never_learned, surprise
from mneme.memories.parametric.unlearn.unlearner import Unlearned, checked
from mneme.memories.parametric.writers.loop import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Lesson
    from mneme.memories.parametric.unlearn.unlearner import Progress

_ENOUGH = 0.3  # at this loss it is done


@dataclass(frozen=True, slots=True)
class Projection:
    """Forgets by steps beside what is retained.

    Attributes:
        steps: Most steps.
        step: Length of a step, as a share of the length of the adapter's numbers.
        directions: Gradients of what is retained that span what a step leaves out; each is of the
            mean loss of some lessons. Memory: one number for each of these and each number of
            the adapter.
        lessons: Most retained lessons that are read for a step, and most forgotten ones.
    """

    steps: int = 30
    step: float = 0.01
    directions: int = 60
    lessons: int = 240

    @property
    def name(self) -> str:
        return "projection"

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
        began = time.process_time()
        opened = Opened(engine, adapter)
        bound = never_learned(engine, forget)
        far, steps, short, free = self.step * opened.size(), 0, 0.0, 1.0
        for steps in range(1, self.steps + 1):
            picked = drawn(len(forget), self.lessons, steps, seed=2 * seed)
            rest = drawn(len(retain), self.lessons, steps, seed=2 * seed + 1)
            with opened.on(), torch.enable_grad():
                said = surprise(engine, [forget[at] for at in picked])
                gap = (bound[list(picked)] - said).clamp_min(0).mean()
                short = float(gap.detach())
                if short < _ENOUGH:
                    break
                slope = _flat(opened.gradients(gap))
                span = self._span(opened, [retain[at] for at in rest])
            beside = slope - span @ (span.T @ slope)
            free = float(beside.norm() / slope.norm())
            opened.move(_shaped(beside, opened.moving), far)
            if progress is not None:
                progress(steps, self.steps, short)
        cpu_s = time.process_time() - began
        figures = {"steps": steps, "short": short, "free_share": free, "cpu_s": cpu_s}
        return Unlearned(opened.closed(), figures)

    def _span(self, opened: Opened, lessons: Sequence[Lesson]) -> Tensor:
        """Orthonormal columns [numbers, directions or fewer]."""
        each = -(-len(lessons) // self.directions)
        columns = []
        for at in range(0, len(lessons), each):
            loss = surprise(opened.engine, lessons[at : at + each]).mean()
            slope = _flat(opened.gradients(loss))
            columns.append(slope / slope.norm().clamp_min(1e-20))
        span: Tensor = torch.linalg.qr(torch.stack(columns, dim=1)).Q
        return span


def _flat(parts: Sequence[Tensor]) -> Tensor:
    first = parts[0].device
    return torch.cat([part.flatten().to(first) for part in parts])


def _shaped(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    parts = torch.split(flat, [each.numel() for each in like])
    return [part.view_as(each) for part, each in zip(parts, like, strict=True)]
