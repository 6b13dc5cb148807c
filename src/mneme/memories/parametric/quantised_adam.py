"""AdamW whose two moments are kept in 8 bits each, block by block (arXiv 2110.02861).

Every 256 values share one scale, their largest magnitude; a value is kept as the nearest of 256
numbers between -1 and 1 that lie closer together near zero, as small values need. Plain torch:
right on every device.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

BLOCK: Final = 256  # values that share a scale
SMALLEST: Final = 4096  # values; what is smaller keeps its moments in float32
_PART: Final = 4096 * BLOCK  # values that are opened at a time, which bounds what they take then
_EXPONENTS: Final = 7  # powers of ten that are told apart


class QuantisedAdamW(torch.optim.Optimizer):
    """AdamW in 2 bytes a weight for its state, and 8 in each 256 for scales.

    Args:
        weights: What is trained.
        lr: The learning rate.
        betas: Of the two moments.
        eps: Added to the root of the second.
        weight_decay: Decoupled, as in AdamW (arXiv 1711.05101).
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        said = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(weights, said)

    @torch.no_grad()
    def step(self, _closure: Any = None) -> None:  # type: ignore[override]  # noqa: ANN401
        for group in self.param_groups:
            for weight in group["params"]:
                self._step(weight, group)

    def _step(self, weight: Tensor, group: dict[str, Any]) -> None:
        state, grad = self.state[weight], weight.grad
        if grad is None:
            return
        _begin(state, weight)
        state["step"] += 1
        weights, grads = weight.view(-1), grad.reshape(-1)
        weights.mul_(1 - group["lr"] * group["weight_decay"])
        small = "first" in state
        for start in range(0, len(weights), len(weights) if small else _PART):
            part = slice(start, start + (len(weights) if small else _PART))
            first, second = _moments(state, part)
            moved = _moved(first, second, grads[part].float(), float(state["step"]), group)
            weights[part].sub_(moved, alpha=group["lr"])
            if not small:
                _keep(state, part, first, second)


def _moved(
    first: Tensor, second: Tensor, grad: Tensor, step: float, group: dict[str, Any]
) -> Tensor:
    """The step of Adam, without the rate; both moments are moved in place."""
    beta1, beta2 = group["betas"]
    first.lerp_(grad, 1 - beta1)
    second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    root = (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
    moved: Tensor = (first / root).div_(1 - beta1**step)
    return moved


def packed(values: Tensor, *, signed: bool) -> tuple[Tensor, Tensor]:
    """Values of any shape in 8 bits: uint8 [values], float32 [blocks]."""
    flat = values.flatten()
    padded = torch.nn.functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    scales = padded.abs().amax(-1)
    shares = padded / scales.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    levels = _levels(signed).to(values.device)
    codes = torch.bucketize(shares, (levels[1:] + levels[:-1]) / 2)
    if not signed:  # what is not zero must not become it: it is divided by
        codes = codes.maximum((shares > 0).long())
    codes = codes.to(torch.uint8)
    return codes.flatten()[: len(flat)], scales


def unpacked(codes: Tensor, scales: Tensor, *, signed: bool) -> Tensor:
    """What `packed` packed, nearly: float32 [values]."""
    shares = _levels(signed).to(codes.device)[codes.long()]
    return shares * scales.repeat_interleave(BLOCK)[: len(shares)]


@cache
def _levels(signed: bool) -> Tensor:
    """The 256 numbers, rising: each power of ten has twice as many as the one below it."""
    bits = _EXPONENTS - 1 if signed else _EXPONENTS
    found = [0.0, 1.0]
    for number in range(_EXPONENTS):
        edges = torch.linspace(0.1, 1, 2 ** (number + bits - _EXPONENTS + 1) + 1)
        middles = (edges[1:] + edges[:-1]) / 2 * 10.0 ** (number - _EXPONENTS + 1)
        found += middles.tolist() + ((-middles).tolist() if signed else [])
    return torch.tensor(sorted(found))


def _begin(state: dict[str, Any], weight: Tensor) -> None:
    """Zeros, if there is nothing yet: whatever the codes, a scale of zero makes them so."""
    if state:
        return
    state["step"], values = torch.zeros(()), weight.numel()
    for name in ("first", "second"):
        if values < SMALLEST:
            state[name] = torch.zeros(values, dtype=torch.float32, device=weight.device)
        else:
            state[f"{name}_codes"] = torch.zeros(values, dtype=torch.uint8, device=weight.device)
            state[f"{name}_scales"] = torch.zeros(-(-values // BLOCK), device=weight.device)


def _moments(state: dict[str, Any], part: slice) -> tuple[Tensor, Tensor]:
    if "first" in state:
        return state["first"], state["second"]
    first, second = (
        unpacked(state[f"{name}_codes"][part], state[f"{name}_scales"][_blocks(part)], signed=sign)
        for name, sign in (("first", True), ("second", False))
    )
    return first, second


def _keep(state: dict[str, Any], part: slice, first: Tensor, second: Tensor) -> None:
    for name, values, sign in (("first", first, True), ("second", second, False)):
        codes, scales = packed(values, signed=sign)
        state[f"{name}_codes"][part] = codes
        state[f"{name}_scales"][_blocks(part)] = scales


def _blocks(part: slice) -> slice:
    return slice(part.start // BLOCK, -(-part.stop // BLOCK))
