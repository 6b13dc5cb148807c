"""Adam in a few directions of each matrix's gradient (GaLore, arXiv 2403.03507).

A matrix of m rows and n columns, m <= n, keeps its two moments as [rank, n] instead of [m, n], and
the [m, rank] directions in which its gradient is largest. Every so often these are found anew. It
saves memory where whole matrices are trained; a low-rank matrix has no more directions than that
already, and is trained by plain Adam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

RANK: Final = 128
_GAP: Final = 200  # steps with the same directions
_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8
_SCALE: Final = 0.25  # of steps within them, as the paper has it


class GaLore(torch.optim.Optimizer):
    """Adam, projected.

    Args:
        weights: What is trained.
        lr: The learning rate.
        rank: Directions of each matrix; vectors and smaller matrices get plain Adam.
        gap: Steps until directions are found anew.
        scale: Of a step within the directions.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float = 1e-3,
        *,
        rank: int = RANK,
        gap: int = _GAP,
        scale: float = _SCALE,
    ) -> None:
        super().__init__(weights, {"lr": lr, "rank": rank, "gap": gap, "scale": scale})

    @torch.no_grad()
    def step(self, _closure: Any = None) -> None:  # type: ignore[override]  # noqa: ANN401
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _step(weight, weight.grad, self.state[weight], group)


def projects(shape: torch.Size | tuple[int, ...], rank: int = RANK) -> bool:
    """Whether a weight of that shape is trained in few directions."""
    return len(shape) == 2 and min(shape) > rank


def _step(weight: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not projects(weight.shape, group["rank"]):
        weight.add_(_adam(grad.float(), state), alpha=-group["lr"])
        return
    wide = weight.shape[0] <= weight.shape[1]
    grad, moves = (grad, weight) if wide else (grad.T, weight.T)
    if int(state.get("step", 0)) % group["gap"] == 0:
        state["basis"] = directions(grad.float(), group["rank"])
    basis: Tensor = state["basis"]
    moved = basis @ _adam(basis.T @ grad.float(), state)
    moves.add_(moved, alpha=-group["lr"] * group["scale"])


def directions(grad: Tensor, rank: int) -> Tensor:
    """The directions in which a gradient is largest, [rows, rank], each of length one.

    Args:
        grad: float32 [rows, columns], no more rows than columns.
        rank: How many.
    """
    found: Tensor = torch.linalg.eigh(grad @ grad.T).eigenvectors  # the least first
    return found[:, -rank:].contiguous()


def _adam(grad: Tensor, state: dict[str, Any]) -> Tensor:
    """The step of Adam for a gradient, without the rate."""
    if "step" not in state:
        state["step"] = torch.zeros(())
        state["first"], state["second"] = torch.zeros_like(grad), torch.zeros_like(grad)
    first: Tensor = state["first"]
    second: Tensor = state["second"]
    state["step"] += 1
    first.lerp_(grad, 1 - _BETA1)
    second.mul_(_BETA2).addcmul_(grad, grad, value=1 - _BETA2)
    step = float(state["step"])
    root = (second / (1 - _BETA2**step)).sqrt_().add_(_EPS)
    moved: Tensor = first / root / (1 - _BETA1**step)
    return moved
