"""Rank a namespace's cubes by how well they answer a question.

In: the index, the question, and which slots may be given back. Out: keys with scores, best first;
equal scores in order of writing. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from mneme.recall.query import Question, take_apart
from mneme.recall.scan import scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mneme.recall.scan import Scan
    from mneme.vault.index.namespace import NamespaceIndex

Mode = Literal["hybrid", "lexical", "dense"]
_NEIGHBOUR: Final = 0.25

__all__ = ["Mode", "Question", "Ranked", "rank"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One cube that was found.

    Attributes:
        key: The store's number of the cube.
        score: Comparable within one search.
        signals: What the score was made from.
    """

    key: int
    score: float
    signals: Mapping[str, float] = field(default_factory=dict)


def rank(
    index: NamespaceIndex,
    question: Question,
    *,
    allowed: npt.NDArray[np.bool_] | None = None,
    limit: int = 10,
    mode: Mode = "hybrid",
) -> list[Ranked]:
    """The cubes that answer a question best.

    Args:
        index: Of the namespace; `apply` has been called with all changes.
        question: What is asked.
        allowed: By slot, which may be given back; None for all live ones.
        limit: How many to give back at most.
        mode: Whether to use words, vectors or both.
    """
    index.prepare()
    live = index.column("live")
    allowed = live if allowed is None else allowed & live
    places = np.flatnonzero(allowed)
    if not len(places) or limit < 1:
        return []
    vector = None if mode == "lexical" else question.vector
    signals = scan(index, take_apart(question), vector)
    score = _fuse(index, signals, mode, places)
    order = np.lexsort((index.column("key")[places], -score[places]))[:limit]
    keys = index.column("key")
    return [Ranked(int(keys[p]), float(score[p]), _explain(signals, p)) for p in places[order]]


def _fuse(
    index: NamespaceIndex, signals: Scan, mode: Mode, places: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    if mode == "dense":
        return signals.dense
    parts = [(1.0, signals.lexical), (0.5, signals.window), (0.5, signals.lexical_passage)]
    if signals.dense_by_passage is not None:
        parts.append((1.0, signals.dense))
    score = sum(weight * _standard(part, places) for weight, part in parts)
    around = np.append(score, np.float32(0))
    best = np.maximum(around[index.prev], around[index.next])
    return np.asarray(score + _NEIGHBOUR * best, np.float32)


def _standard(values: npt.NDArray[np.float32], places: npt.NDArray[Any]) -> npt.NDArray[Any]:
    spread = float(values[places].std())
    return (values - values[places].mean()) / spread if spread > 1e-9 else values * 0


def _explain(signals: Scan, slot: int) -> dict[str, float]:
    return {
        "lexical": float(signals.lexical[slot]),
        "passage": float(signals.lexical_passage[slot]),
        "window": float(signals.window[slot]),
        "dense": float(signals.dense[slot]),
    }
