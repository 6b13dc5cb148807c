"""Values of the slots of a memory layer, trained on a course (arXiv 2412.09764)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.landmarks import Hooked, kept, survey
from mneme.memories.parametric.memory_layer import NAME, Slots, memory_place
from mneme.memories.parametric.training import Written
from mneme.memories.parametric.writers.loop import Pupil, train
from mneme.memories.parametric.writers.losses import checked

if TYPE_CHECKING:
    from mneme.core.engine import Engine
    from mneme.memories.parametric.training import Course, Run, Training

_RATE: Final = 0.1
_ENOUGH: Final = 0.05


class MemoryLayerWriter:
    """The `Writer` "memory-layer" (training.py); a fact takes as many slots as it needs."""

    @property
    def name(self) -> str:
        return NAME

    def write(self, engine: Engine, course: Course, training: Training, run: Run) -> Written:
        checked(engine, course, training)
        path, layer = memory_place(engine)
        found = survey(engine, course, layer)
        if not found:
            raise InvalidInputError("the base answers all lessons by itself; nothing to write")
        tensors, device = kept(found), next(layer.parameters()).device
        keys, radii = (tensors[name].to(device) for name in ("keys", "radii"))
        values = torch.zeros_like(keys)
        applied = Hooked(engine, layer, Slots(keys, radii, values))
        try:
            pupil = Pupil({"values": values}, applied, _RATE, _ENOUGH, kind=f"{NAME} {path}")
            figures = train(engine, course, training, run, pupil)
        finally:
            applied.close()
        adapter = Adapter(
            carrier=NAME,
            base=base_of(engine.fields),
            config={"layer": path, "facts": [each.fact for each in found]},
            tensors={**tensors, "values": values.detach().cpu()},
        )
        return Written(adapter, {**figures, "slots": len(found)})
