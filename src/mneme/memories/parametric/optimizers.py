"""Optimizers by name, and the bytes that each keeps.

- adamw: two float32 moments of each weight (arXiv 1711.05101); torch's.
- adafactor: of a matrix one row and one column (arXiv 1804.04235); torch's.
- adamw8bit: two moments in 8 bits each (arXiv 2110.02861); bitsandbytes' where that is installed,
  else ours.
- galore: moments in a few directions of each matrix (arXiv 2403.03507).
- lomo: nothing; weights move within the backward pass (arXiv 2306.09782).
- apollo: one random direction of each matrix (arXiv 2412.05270), where the user has installed
  apollo-torch, whose licence (CC BY-NC) forbids commercial use.
"""

from __future__ import annotations

from importlib.util import find_spec
from math import ceil, prod
from typing import TYPE_CHECKING, Any, Final

import torch

from mneme.core.errors import InvalidInputError, MissingDependencyError
from mneme.memories.parametric.galore import RANK, GaLore, projects
from mneme.memories.parametric.lomo import Lomo
from mneme.memories.parametric.quantised_adam import BLOCK, SMALLEST, QuantisedAdamW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    Shape = Sequence[int]

_FLOAT: Final = 4  # bytes
_APOLLO: Final = {  # its smallest form, as its paper has it
    "rank": 1, "proj": "random", "scale_type": "tensor", "scale": 128.0,
    "update_proj_gap": 200, "proj_type": "std",
}  # fmt: skip


def build_optimizer(name: str, weights: Iterable[Tensor], *, rate: float) -> Optimizer:
    """The optimizer of that name.

    Args:
        name: One of `NAMES`.
        weights: float32 leaves that require gradients.
        rate: The learning rate.

    Raises:
        InvalidInputError: There is none of that name; lists those there are.
        MissingDependencyError: A package is not installed; names it.
    """
    built: Optimizer = _known(_BUILT, name)(list(weights), rate)
    return built


def state_bytes(name: str, shapes: Iterable[Shape]) -> int:
    """Bytes of all tensors that an optimizer keeps for float32 weights of these shapes.

    Of adamw8bit those of ours: bitsandbytes counts its steps elsewhere, and has 2 KiB of tables.

    Raises:
        InvalidInputError: There is none of that name.
    """
    return sum(map(_known(_BYTES, name), shapes))


def rate_factor(name: str) -> float:
    """By what the rate that suits AdamW is multiplied to suit another.

    Raises:
        InvalidInputError: There is none of that name.
    """
    return float(_known(_RATES, name))


def release(optimizer: Optimizer) -> None:
    """Take an optimizer's hooks off the weights: a later backward pass would move them."""
    if isinstance(optimizer, Lomo):
        optimizer.close()


def keeps_tensors(name: str) -> bool:
    """Whether all that an optimizer keeps are tensors and numbers, so that checkpoints hold it."""
    return name != "apollo"


def made_by(name: str) -> str:
    """What an optimizer of that name is here; what one keeps, another cannot go on from."""
    ours = name != "adamw8bit" or not find_spec("bitsandbytes")
    return name if ours else f"{name} of bitsandbytes"


def _known(table: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    if name not in table:
        raise InvalidInputError(f"there is no optimizer {name!r}; there are {', '.join(table)}")
    return table[name]


def _adamw(weights: list[Tensor], rate: float) -> Optimizer:
    return torch.optim.AdamW(weights, rate, weight_decay=0.0, fused=True)


def _adafactor(weights: list[Tensor], rate: float) -> Optimizer:
    return torch.optim.Adafactor(weights, rate)


def _adamw8bit(weights: list[Tensor], rate: float) -> Optimizer:
    if find_spec("bitsandbytes"):
        from bitsandbytes.optim import AdamW8bit

        found: Optimizer = AdamW8bit(weights, rate, weight_decay=0.0)
        return found
    return QuantisedAdamW(weights, rate)


def _apollo(weights: list[Tensor], rate: float) -> Optimizer:
    if not find_spec("apollo_torch"):
        purpose = "the optimizer 'apollo' (its licence, CC BY-NC, forbids commercial use)"
        raise MissingDependencyError("apollo-torch", "", purpose)
    from apollo_torch import APOLLOAdamW

    matrices = [each for each in weights if each.ndim == 2]
    others = [each for each in weights if each.ndim != 2]
    groups: list[dict[str, Any]] = [{"params": matrices, **_APOLLO}, {"params": others}]
    found: Optimizer = APOLLOAdamW([each for each in groups if each["params"]], lr=rate)
    return found


_BUILT: Final[Mapping[str, Callable[[list[Tensor], float], Optimizer]]] = {
    "adamw": _adamw,
    "adafactor": _adafactor,
    "adamw8bit": _adamw8bit,
    "galore": GaLore,
    "lomo": Lomo,
    "apollo": _apollo,
}

NAMES: Final = tuple(_BUILT)

_RATES: Final = {  # found on the judge
    "adamw": 1.0,
    "adafactor": 50.0,
    "adamw8bit": 1.0,
    "galore": 1.0,
    "lomo": 15.0,
    "apollo": 1.0,
}


def _adam_bytes(shape: Shape) -> int:
    return _FLOAT * (2 * prod(shape) + 1)  # and the count of steps


def _adafactor_bytes(shape: Shape) -> int:
    if len(shape) < 2:
        return _FLOAT * (prod(shape) + 1)
    rows, columns = prod(shape[:-1]), prod(shape[:-2]) * shape[-1]
    return _FLOAT * (rows + columns + 1)


def _quantised_bytes(shape: Shape) -> int:
    values = prod(shape)
    if values < SMALLEST:
        return _adam_bytes(shape)
    return 2 * (values + _FLOAT * ceil(values / BLOCK)) + _FLOAT


def _galore_bytes(shape: Shape) -> int:
    if not projects(tuple(shape)):
        return _adam_bytes(shape)
    return _FLOAT * (RANK * (2 * max(shape) + min(shape)) + 1)


def _apollo_bytes(shape: Shape) -> int:
    """Two moments in one direction, the direction, and the length of the last step."""
    if len(shape) != 2:
        return _FLOAT * 2 * prod(shape)
    return _FLOAT * (2 * max(shape) + min(shape) + 1)


_BYTES: Final[Mapping[str, Callable[[Shape], int]]] = {
    "adamw": _adam_bytes,
    "adafactor": _adafactor_bytes,
    "adamw8bit": _quantised_bytes,
    "galore": _galore_bytes,
    "lomo": lambda _shape: 0,
    "apollo": _apollo_bytes,
}
