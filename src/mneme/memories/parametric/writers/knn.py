"""Rows of a datastore, read off the base (kNN-LM, arXiv 1911.00172): no step is trained."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.knn import NAME, output_layer
from mneme.memories.parametric.landmarks import kept, survey
from mneme.memories.parametric.training import Written
from mneme.memories.parametric.writers.losses import checked

if TYPE_CHECKING:
    from mneme.core.engine import Engine
    from mneme.memories.parametric.training import Course, Run, Training


class KnnWriter:
    """The `Writer` "knn" (training.py); of the settings it needs none."""

    @property
    def name(self) -> str:
        return NAME

    def write(self, engine: Engine, course: Course, training: Training, run: Run) -> Written:
        began = process_time()
        checked(engine, course, training)
        found = survey(engine, course, output_layer(engine))
        adapter = Adapter(
            carrier=NAME,
            base=base_of(engine.fields),
            config={
                "tokens": [each.token for each in found],
                "facts": [each.fact for each in found],
            },
            tensors=kept(found),
        )
        if run.progress is not None:
            run.progress(1, 1, 0.0)
        figures = {"steps": 0, "rows": len(found), "cpu_s": process_time() - began}
        return Written(adapter, {**figures, "loss": 0.0, "resumed_at": 0})
