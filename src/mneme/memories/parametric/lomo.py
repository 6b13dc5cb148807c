"""Plain descent within the backward pass (LOMO, arXiv 2306.09782).

Each weight is moved, and its gradient let go of, as soon as the gradient is there: never is there
more than one gradient in memory, and there is no state at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

_LONGEST: Final = 1.0


class Lomo(torch.optim.Optimizer):
    """Moves weights as gradients come; `step` has nothing left to do.

    The rate must be set before the backward pass, which must be the only one of its step. In the
    paper, all gradients are held to one length, for which a second backward pass is needed; here
    each is held to its own.

    Args:
        weights: Leaves that require gradients.
        lr: The learning rate.
        longest: Largest length of one weight's gradient; what is longer is shortened to it.
    """

    def __init__(
        self, weights: Iterable[Tensor], lr: float = 1e-2, *, longest: float = _LONGEST
    ) -> None:
        super().__init__(weights, {"lr": lr, "longest": longest})
        self._hooks = [
            weight.register_post_accumulate_grad_hook(_Move(group))
            for group in self.param_groups
            for weight in group["params"]
        ]

    def step(self, _closure: Any = None) -> None:  # type: ignore[override]  # noqa: ANN401
        """Nothing: all was done in the backward pass."""

    def close(self) -> None:
        """Take the hooks off the weights."""
        while self._hooks:
            self._hooks.pop().remove()


class _Move:
    """A hook on a weight; the group gives the rate of the moment."""

    def __init__(self, group: dict[str, Any]) -> None:
        self._group = group

    @torch.no_grad()
    def __call__(self, weight: Tensor) -> None:
        grad = weight.grad
        if grad is not None:
            length = float(torch.linalg.vector_norm(grad))
            shorter = min(1.0, self._group["longest"] / length) if length else 1.0
            weight.add_(grad, alpha=-self._group["lr"] * shorter)
            weight.grad = None
