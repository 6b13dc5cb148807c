"""Rounding to few levels, with steps that are kept as bfloat16.

A step is rounded first, away from what would cut the range, and the codes are computed with the
rounded step: so its coarseness widens the steps by under 1 %, but adds no error of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mneme.core.errors import InvalidInputError

LARGEST = 1e36  # so that a range, or the sum over a head's channels, is a float32
_SMALLEST = torch.finfo(torch.bfloat16).tiny


def as_float32(numbers: Tensor) -> Tensor:
    """The numbers as float32.

    Raises:
        InvalidInputError: Some are not numbers, or beyond 1e36.
    """
    floats = numbers.float()
    low, high = torch.aminmax(floats)
    if not (float(low) >= -LARGEST and float(high) <= LARGEST):  # NaN is neither
        raise InvalidInputError(f"keys and values that are not within {LARGEST} are only kept raw")
    return floats


def narrowed(floats: Tensor, dtype: torch.dtype) -> Tensor:
    """In a dtype; what is beyond its range becomes its largest number, not infinite."""
    if dtype == torch.float16:
        most = torch.finfo(dtype).max
        floats = floats.float().clamp(-most, most)  # bfloat16 does not have this number
    return floats.to(dtype)


def symmetric(floats: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Codes from -127 to 127, and the step of each run along `dim`.

    Returns:
        int8 of the same shape, and bfloat16 with size 1 along `dim`. |number - code x step| is
        at most step / 2; step is at most 1.008 x largest / 127 (and at least 1.2e-38).
    """
    step = _upwards((floats.abs().amax(dim, keepdim=True) / 127).clamp_(min=_SMALLEST))
    codes = (floats / step).round_().clamp_(-127, 127)
    return codes.to(torch.int8), step.to(torch.bfloat16)


def asymmetric(floats: Tensor, dim: int, levels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes from 0 to levels - 1, and the step and least number of each run along `dim`.

    Returns:
        uint8 of the same shape; two of bfloat16 with size 1 along `dim`. |number - (least + code
        x step)| is at most step / 2; step is at most 1.008 x (range + |smallest| / 128) /
        (levels - 1) (and at least 1.2e-38).
    """
    smallest, top = floats.amin(dim, keepdim=True), levels - 1
    least = torch.where(smallest < 0, -_upwards(smallest.neg()), _towards_0(smallest))
    range_ = floats.amax(dim, keepdim=True) - least
    step = _upwards((range_ / top).clamp_(min=_SMALLEST))
    codes = ((floats - least) / step).round_().clamp_(0, top)
    return codes.to(torch.uint8), step.to(torch.bfloat16), least.to(torch.bfloat16)


def _upwards(positive: Tensor) -> Tensor:
    """The next number that bfloat16 has, which is the upper half of a float32."""
    return ((positive.view(torch.int32) + 0xFFFF) & -0x10000).view(torch.float32)


def _towards_0(floats: Tensor) -> Tensor:
    return (floats.view(torch.int32) & -0x10000).view(torch.float32)
