"""Score ranked lists against the turns that answer a question. Pure functions."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TURN_CUTS = (1, 5, 10, 20)
SESSION_CUTS = (1, 5, 10)
DEPTH = max(TURN_CUTS) * 2  # hits asked for: sessions need more of them

Row = dict[str, float]


def score_turns(found: Sequence[str], evidence: frozenset[str]) -> Row:
    """recall@k and any@k in percent, and ndcg@10, of one question."""
    right = [ref in evidence for ref in found]
    row = {f"r@{k}": 100 * sum(right[:k]) / len(evidence) for k in TURN_CUTS}
    row |= {f"any@{k}": 100.0 * any(right[:k]) for k in TURN_CUTS}
    gain = sum(1 / log2(place + 2) for place, hit in enumerate(right[:10]) if hit)
    best = sum(1 / log2(place + 2) for place in range(min(len(evidence), 10)))
    return row | {"ndcg@10": 100 * gain / best}


def score_sessions(found: Iterable[str], wanted: frozenset[str]) -> Row:
    """S_all@k: 100 if all sessions that are needed are among the first k found."""
    order = list(dict.fromkeys(found))
    return {f"S_all@{k}": 100.0 * (wanted <= set(order[:k])) for k in SESSION_CUTS}


def mean_rows(rows: Sequence[Mapping[str, float]]) -> Row:
    """The mean of each column over the rows that have it."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in columns.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie; 0.0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
