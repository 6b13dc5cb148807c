"""The signals of candidates: what the ranking model reads.

In: the index, the question, and the cheap signals of all slots, as a `View`. Out: float32
[candidates, signals] and their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mneme.recall.context_signals import people, question, shape, structure, when, wishes
from mneme.recall.text_signals import coverage, dense, lexical, likeness, pairs
from mneme.recall.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.recall.view import Floats

__all__ = ["GROUPS", "View", "compute"]

GROUPS: Final = {
    "lexical": lexical, "coverage": coverage, "pairs": pairs, "dense": dense,
    "likeness": likeness, "structure": structure, "people": people, "when": when,
    "shape": shape, "wishes": wishes, "question": question,
}  # fmt: skip


def compute(view: View, wanted: Sequence[str] = ()) -> tuple[tuple[str, ...], Floats]:
    """Signals of the candidates.

    Args:
        view: The search.
        wanted: Names of signals, in the order of the columns; empty for all.

    Returns:
        Names, and values [candidates, names].
    """
    found: dict[str, Floats] = {}
    for group in GROUPS.values():
        found |= group(view)
    names = tuple(wanted) or tuple(found)
    values = np.empty((len(names), len(view.candidates)), np.float32)
    for row, name in zip(values, names, strict=True):
        row[:] = found[name]
    return names, np.ascontiguousarray(values.T)
