"""Which texts nearly repeat one another: sketches to find them by, and the measure that decides.

MinHash with banding (Broder 1997, "On the resemblance and containment of documents"): texts whose
sets of terms overlap by 90 % share a band in 99 of 100 cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

ALIKE: Final = 0.8
_FEWEST_TERMS: Final = 4
_LEAST_LENGTH: Final = 0.6  # a text that is much shorter is no repeat, whatever its words
_BANDS: Final = 3
_SEEDS: Final = np.array(
    [0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646D], np.uint32
)


def sketches(terms: Sequence[bytes]) -> list[tuple[int, ...]]:
    """Bands of each text, signed 64-bit; none for a text too short to tell.

    Args:
        terms: For each text its hashed terms, little-endian uint32.
    """
    bands: list[tuple[int, ...]] = [()] * len(terms)
    long = [i for i, each in enumerate(terms) if len(each) >= 4 * _FEWEST_TERMS]
    if not long:
        return bands
    sizes = np.array([len(terms[i]) // 4 for i in long])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    codes = np.frombuffer(b"".join(terms[i] for i in long), "<u4")
    lowest = np.stack([np.minimum.reduceat(_mix(codes, seed), starts) for seed in _SEEDS], axis=1)
    joined = lowest.astype(np.uint64).reshape(len(long), _BANDS, 2)
    values = (joined[:, :, 0] << np.uint64(32) | joined[:, :, 1]).view(np.int64)
    for row, i in zip(values.tolist(), long, strict=True):
        bands[i] = tuple(row)
    return bands


def _mix(codes: npt.NDArray[np.uint32], seed: np.uint32) -> npt.NDArray[np.uint32]:
    mixed = (codes ^ seed) * np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(15)
    return mixed * np.uint32(0x297A2D39)


def is_like(one: bytes, other: bytes) -> bool:
    """Whether two texts say nearly the same: most of their terms are in both (Jaccard)."""
    shorter, longer = sorted((len(one), len(other)))
    if shorter < longer * _LEAST_LENGTH:
        return False
    a = set(np.frombuffer(one, "<u4").tolist())
    b = set(np.frombuffer(other, "<u4").tolist())
    return len(a & b) >= ALIKE * len(a | b) > 0
