"""Gradient ascent on what is to be forgotten, with the loss of what is to be retained.

Ascent alone has no end and takes all else with it. Here it ends, answer by answer, where the base
without the adapter finds the answer as unlikely: what was never learned is the yardstick.
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

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Lesson
    from mneme.memories.parametric.unlearn.unlearner import Progress

_ENOUGH, _KEPT = 0.05, 0.1  # at these losses of both it is done


@dataclass(frozen=True, slots=True)
class Ascent:
    """Forgets by steps up the loss.

    Attributes:
        steps: Most steps.
        step: Length of a step, as a share of the length of the adapter's numbers.
        keep: Weight of the loss of what is retained.
        batch: Lessons of either kind in a step.
    """

    steps: int = 60
    step: float = 0.02
    keep: float = 3.0
    batch: int = 64

    @property
    def name(self) -> str:
        return "ascent"

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
        far, steps, short, kept = self.step * opened.size(), 0, 0.0, 0.0
        for steps in range(1, self.steps + 1):
            picked = drawn(len(forget), self.batch, steps, seed=2 * seed)
            rest = drawn(len(retain), self.batch, steps, seed=2 * seed + 1)
            with opened.on(), torch.enable_grad():
                said = surprise(engine, [forget[at] for at in picked])
                gap = (bound[list(picked)] - said).clamp_min(0).mean()
                loss = surprise(engine, [retain[at] for at in rest]).mean()
                total = gap + self.keep * loss
                short, kept = float(gap.detach()), float(loss.detach())
                if short < _ENOUGH and kept < _KEPT:
                    break
                slopes = opened.gradients(total)
            opened.move(slopes, far * min(1.0, float(total.detach())))
            if progress is not None:
                progress(steps, self.steps, float(total.detach()))
        cpu_s = time.process_time() - began
        figures = {"steps": steps, "short": short, "kept": kept, "cpu_s": cpu_s}
        return Unlearned(opened.closed(), figures)
