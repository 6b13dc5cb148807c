"""Cut a session into episodes: successive turns on one topic.

In: for each turn its vector, its terms and its time. Out: runs of turns that cover the session.
A turn begins an episode where it surprises: where it is unlike the turns before it by more than
is usual nearby (mean plus some standard deviations). Each such boundary is then moved to the place
close by that separates the two sides best. Both steps are those of EM-LLM (arXiv:2407.09450); its
surprise is the loss of a language model, ours is unlikeness of words and vectors, so that no model
is needed. Pure functions; the cost grows with the number of turns.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

FEWEST_TURNS: Final = 2
MOST_TURNS: Final = 24
GAP_US: Final = 3_600_000_000  # after an hour of silence a new episode begins

_DEVIATIONS: Final = 1.0
_CONTEXT: Final = 4  # turns that a turn is compared with
_NEARBY: Final = 16  # turns that say what is usual
_REACH: Final = 2  # how far a boundary may be moved
_WORD_DIM: Final = 256


class Said(NamedTuple):
    """A turn, as far as cutting needs it.

    vector: float32 [dim], of length 1; None where there is none.
    terms: Codes of its terms, stop words left out.
    at: Microseconds since 1970; None if unknown.
    """

    vector: Floats | None
    terms: Sequence[int]
    at: int | None


def episodes(turns: Sequence[Said]) -> list[tuple[int, int]]:
    """Runs `[start, end)` of turns, in order, that cover all of them.

    No run is longer than `MOST_TURNS`; one is shorter than `FEWEST_TURNS` only where silence
    encloses it, or where the session is as short.
    """
    if not turns:
        return []
    points = _features(turns)
    hard = _gaps(turns)
    found: list[tuple[int, int]] = []
    for start, end in zip([0, *hard], [*hard, len(turns)], strict=True):
        found += [(start + a, start + b) for a, b in _cut(points[start:end])]
    return found


def surprise(points: Floats) -> Floats:
    """How unlike each turn and the one after it are to the turns before, 0 (the same) to 2."""
    n = len(points)
    ahead = _unit(points + np.vstack([points[1:], points[-1:]]))
    before = np.cumsum(np.vstack([np.zeros_like(points[:1]), points]), axis=0)
    first = np.maximum(np.arange(n) - _CONTEXT, 0)
    context = _unit(before[np.arange(n)] - before[first])
    found: Floats = (1.0 - (ahead * context).sum(1)).astype(np.float32)
    found[0] = 0.0
    return found


def _gaps(turns: Sequence[Said]) -> list[int]:
    """Turns that come after a long silence."""
    times = [turn.at for turn in turns]
    return [
        i
        for i in range(1, len(times))
        if (now := times[i]) is not None
        and (last := times[i - 1]) is not None
        and now - last > GAP_US
    ]


def _cut(points: Floats) -> list[tuple[int, int]]:
    """Episodes within one run without silence."""
    n = len(points)
    rises = surprise(points)
    edges: list[int] = []
    for i in range(FEWEST_TURNS, n - FEWEST_TURNS + 1):
        usual = rises[max(1, i - _NEARBY) : i + _NEARBY]
        high = rises[i] > usual.mean() + _DEVIATIONS * usual.std()
        if high and rises[i] >= rises[max(1, i - 1) : i + 2].max():
            edges.append(i)
    edges = _refined(points, _spaced(edges, rises))
    return _limited([0, *edges, n], rises)


def _spaced(edges: list[int], rises: Floats) -> list[int]:
    """Of edges closer than the shortest episode, the more surprising one."""
    kept: list[int] = []
    for edge in edges:
        if kept and edge - kept[-1] < FEWEST_TURNS:
            if rises[edge] > rises[kept[-1]]:
                kept[-1] = edge
        else:
            kept.append(edge)
    return kept


def _refined(points: Floats, edges: list[int]) -> list[int]:
    """Each edge moved, within reach, to where the two sides are least alike."""
    moved: list[int] = []
    for number, edge in enumerate(edges):
        low = (moved[-1] if moved else 0) + FEWEST_TURNS
        high = (edges[number + 1] if number + 1 < len(edges) else len(points)) - FEWEST_TURNS
        places = range(max(low, edge - _REACH), min(high, edge + _REACH) + 1)
        moved.append(min(places, key=lambda p: (_cohesion(points, p), abs(p - edge)), default=edge))
    return moved


def _cohesion(points: Floats, place: int) -> float:
    """Likeness across a place less that within its two sides."""
    left, right = points[max(0, place - _CONTEXT) : place], points[place : place + _CONTEXT]
    across = float((left @ right.T).mean())
    return across - (_within(left) + _within(right)) / 2


def _within(side: Floats) -> float:
    pairs = len(side) * (len(side) - 1)
    return float((side @ side.T).sum() - (side * side).sum()) / pairs if pairs else 0.0


def _limited(edges: list[int], rises: Floats) -> list[tuple[int, int]]:
    """Runs between edges, those that are too long cut at their most surprising turn."""
    runs: list[tuple[int, int]] = []
    todo = list(pairwise(edges))[::-1]
    while todo:
        start, end = todo.pop()
        if end - start <= MOST_TURNS:
            runs.append((start, end))
            continue
        first, last = start + FEWEST_TURNS, end - FEWEST_TURNS
        place = first + int(np.argmax(rises[first : last + 1]))
        todo += [(place, end), (start, place)]
    return runs


def _features(turns: Sequence[Said]) -> Floats:
    """Vector and words of each turn as one row of length 1 (0 where it has neither)."""
    words = np.zeros((len(turns), _WORD_DIM), np.float32)
    held: dict[int, int] = {}
    for turn in turns:
        for term in set(turn.terms):
            held[term] = held.get(term, 0) + 1
    for row, turn in zip(words, turns, strict=True):
        for term in turn.terms:
            row[term % _WORD_DIM] += np.log1p(len(turns) / held[term])
    parts = [_unit(words)]
    dim = next((len(t.vector) for t in turns if t.vector is not None), 0)
    if dim:
        none = np.zeros(dim, np.float32)
        vectors = np.stack([none if t.vector is None else t.vector for t in turns])
        parts.append(_unit(vectors - vectors.mean(0) if len(turns) > FEWEST_TURNS else vectors))
    return _unit(np.hstack(parts))


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Floats = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return found
