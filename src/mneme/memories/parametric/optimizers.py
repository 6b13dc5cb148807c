"""Optimizers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def build_optimizer(name: str, weights: Iterable[Tensor], *, rate: float) -> torch.optim.Optimizer:
    """The optimizer of that name."""
    return torch.optim.AdamW(list(weights), rate, weight_decay=0.0, fused=True)
