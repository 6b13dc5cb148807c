"""Low-rank matrices of a model's layers, trained on a course (arXiv 2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.lora import (
    NAME,
    Factors,
    LoraApplied,
    linears,
    lora_config,
    targets,
    weight_names,
)
from mneme.memories.parametric.optimizers import rate_factor
from mneme.memories.parametric.training import Written
from mneme.memories.parametric.writers.loop import Pupil, train

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.lora import LinearShape
    from mneme.memories.parametric.training import Course, Run, Training

_SCALE: Final = 2.0  # lora_alpha / rank
_RATE, _WIDTH = 2e-2, 128  # the rate that is best for a model of that width
_ENOUGH: Final = 0.03
_LOOKING: Final = ("q_proj", "k_proj")


class LoraWriter:
    """The `Writer` "lora" (training.py).

    Args:
        layers: Ends of the paths of the layers that are changed; None: all linear ones but those
            that make queries and keys. They say where to look, not what is known: without them
            an adapter knows as much and takes a quarter less (benchmarks/parametric_write.py).
        scale: lora_alpha / rank.
        enough: The moving loss at which it may stop.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        *,
        scale: float = _SCALE,
        enough: float = _ENOUGH,
    ) -> None:
        self._layers, self._scale, self._enough = layers, scale, enough

    @property
    def name(self) -> str:
        return NAME

    def write(self, engine: Engine, course: Course, training: Training, run: Run) -> Written:
        shapes = self.layers_of(engine.model)
        if not 1 <= training.rank <= min(min(each[:2]) for each in shapes.values()):
            raise InvalidInputError(f"rank {training.rank} does not suit the model's layers")
        parts = started(engine, shapes, training.rank, self._scale, training.seed)
        weights = _named(parts)
        applied = LoraApplied(engine, parts, keep=True)
        try:
            rate = suited_rate(engine, training.optimizer)
            pupil = Pupil(weights, applied, rate, self._enough, self._kind(shapes))
            figures = train(engine, course, training, run, pupil)
        finally:
            applied.close()
        alpha = self._scale * training.rank
        adapter = Adapter(
            carrier=NAME,
            base=base_of(engine.fields),
            config=lora_config(engine.model, shapes, rank=training.rank, alpha=alpha),
            tensors={name: each.detach().cpu() for name, each in weights.items()},
        )
        return Written(adapter, figures)

    def layers_of(self, model: Any) -> dict[str, LinearShape]:  # noqa: ANN401
        """The layers of a model that it changes.

        Raises:
            InvalidInputError: A layer that it was told to change is not there.
            UnsuitedModelError: The model has none.
        """
        found = targets(model, self._layers)
        if self._layers is not None:
            return found
        saying = {path: at for path, at in found.items() if not path.endswith(_LOOKING)}
        return saying or found

    def _kind(self, shapes: Mapping[str, LinearShape]) -> str:
        return repr((NAME, self._scale, self._enough, list(shapes)))


def started(
    engine: Engine, shapes: Mapping[str, LinearShape], rank: int, scale: float, seed: int
) -> dict[str, Factors]:
    """Float32 matrices that change nothing yet: A by chance as peft draws it, B zero."""
    chance = torch.Generator().manual_seed(seed)
    layers, found = linears(engine.model), {}
    for path, shape in shapes.items():
        device = next(layers[path].parameters()).device
        bound = shape.inputs**-0.5
        a = torch.empty(rank, shape.inputs).uniform_(-bound, bound, generator=chance)
        b = torch.zeros(shape.outputs, rank)
        found[path] = Factors(a.to(device), b.to(device), scale)
    return found


def suited_rate(engine: Engine, optimizer: str) -> float:
    """The peak of the learning rate, if the training does not say.

    Found on the judge, and made smaller as a model gets wider (arXiv 2203.03466).
    """
    width = int(engine.model.get_output_embeddings().weight.shape[-1])
    return _RATE * min(1.0, _WIDTH / width) * rate_factor(optimizer)


def _named(parts: Mapping[str, Factors]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for path, part in parts.items():
        found |= zip(weight_names(path), part[:2], strict=True)
    return found
