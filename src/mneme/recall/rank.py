"""Rank a namespace's cubes by how well they answer a question.

In: the index, the question, and which slots may be given back. Out: keys with scores, best first;
equal scores in order of writing. Three steps, each on fewer cubes: cheap signals for all (`scan`),
a linear score for a pool of thousands (`first`), all signals and fitted trees for the best of these
(`signals`, `model`). No I/O but reading the packaged model once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from mneme.recall import first, model, signals, wishes
from mneme.recall.breadth import is_broad, layout_of, spread
from mneme.recall.query import Question, take_apart
from mneme.recall.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from mneme.recall.query import Asked
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]
    Learned = Callable[[Sequence[str], Floats], npt.NDArray[Any]]

__all__ = ["CANDIDATES", "Mode", "Question", "Ranked", "rank"]

Mode = Literal["hybrid", "lexical", "dense"]
CANDIDATES: Final = 100
_UTILITY: Final = 1.0  # the most that use can add to, or take from, a candidate's margin


@dataclass(frozen=True, slots=True)
class Ranked:
    """One cube that was found.

    Attributes:
        key: The store's number of the cube.
        score: Between 0 and 1, comparable within one mode.
        signals: What the score was made from, and `passage`: the number of the passage of the cube
            that answers best. Empty for what came after the candidates.
    """

    key: int
    score: float
    signals: Mapping[str, float] = field(default_factory=dict)


def rank(  # noqa: PLR0913 (what is learned stands beside what was used)
    index: NamespaceIndex,
    question: Question,
    *,
    allowed: npt.NDArray[np.bool_] | None = None,
    limit: int = 10,
    mode: Mode = "hybrid",
    utility: npt.NDArray[Any] | None = None,
    learned: Learned | None = None,
) -> list[Ranked]:
    """The cubes that answer a question best.

    Args:
        index: Of the namespace; `apply` has been called with all changes.
        question: What is asked; without a vector, "hybrid" is "lexical" and "dense" finds nothing.
        allowed: By slot, which may be given back; None for all live ones.
        limit: How many to give back at most.
        mode: Whether to use words, vectors or both.
        utility: By slot, -1 to 1: how much earlier use speaks for a cube; None for no use at all.
        learned: Names and values of signals to a change of margins (recall.learning).
    """
    index.prepare()
    live = index.column("live")
    places = np.flatnonzero(live if allowed is None else allowed & live)
    if not len(places) or limit < 1:
        return []
    if mode == "dense":
        return _rank_dense(index, question, places, limit)
    vector = question.vector if mode == "hybrid" and index.vectors.dim else None
    search = _Search(index, take_apart(question), vector, places)
    return search.run(limit, utility, learned)


class _Search:
    """One question on its way through the three steps."""

    def __init__(
        self, index: NamespaceIndex, asked: Asked, vector: Floats | None, places: Slots
    ) -> None:
        self.index, self.places = index, places
        hybrid, lexical = model.load()
        self.model = lexical if vector is None else hybrid
        scanned = scan(index, asked, vector)
        self.base = first.base_score(index, scanned, places)
        self.pool = first.choose_pool(self.base, places)
        columns = first.parts(index, asked, scanned, self.base, self.pool)
        self.first = first.first_score(index, columns, self.model.first, self.pool)
        self.candidates = _best(index, self.first, self.pool, CANDIDATES)
        self.view = signals.View(index, asked, scanned, self.first, self.pool, self.candidates)

    def run(
        self, limit: int, utility: npt.NDArray[Any] | None, learned: Learned | None
    ) -> list[Ranked]:
        names, values = signals.compute(self.view, self.model.signals)
        margin = wishes.lift(self.model.margin(values), names, values)
        if is_broad(self.view.asked):
            margin = spread(margin, self.view.asked, layout_of(self.index, self.candidates))
        if utility is not None:
            margin += _UTILITY * np.clip(utility[self.candidates], -1, 1)
        if learned is not None:
            margin = margin + learned(names, values)
        score = self.model.share(margin)
        keys = self.index.column("key")[self.candidates]
        order = np.lexsort((keys, -margin))[:limit]
        ranked = [
            Ranked(int(keys[i]), float(score[i]), _Signals(names, values[i], self._passage(i)))
            for i in order
        ]
        return ranked + self._rest(limit - len(ranked), float(score.min()))

    def _passage(self, candidate: int) -> int:
        """Which passage of a candidate answers best."""
        slot = int(self.candidates[candidate])
        start = int(self.index.column("first_passage")[slot])
        part = slice(start, start + int(self.index.column("passages")[slot]))
        scanned = self.view.scan
        score = scanned.by_passage[part] / np.float32(scanned.idf_sum)
        if scanned.dense_by_passage is not None:
            score = score + scanned.dense_by_passage[part]
        return int(np.argmax(score)) if len(score) else 0

    def _rest(self, count: int, below: float) -> list[Ranked]:
        """What comes after the candidates: the pool by its first score, then by the fixed sum."""
        if count <= 0:
            return []
        taken = np.zeros(self.index.slots, bool)
        taken[self.candidates] = True
        rest = self.places[~taken[self.places]]
        score = np.where(self.first > first.OUTSIDE, self.first + 1000, self.base)
        keys = self.index.column("key")
        found = _best(self.index, score.astype(np.float32), rest, count)
        return [Ranked(int(keys[slot]), below / (2 + i)) for i, slot in enumerate(found)]


class _Signals(Mapping[str, float]):
    """Signals by name, made into a dictionary only where somebody looks."""

    __slots__ = ("_names", "_passage", "_values")

    def __init__(self, names: Sequence[str], values: Floats, passage: int) -> None:
        self._names, self._values, self._passage = names, values, passage

    def __getitem__(self, name: str) -> float:
        if name == "passage":
            return float(self._passage)
        try:
            return float(self._values[self._names.index(name)])
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter((*self._names, "passage"))

    def __len__(self) -> int:
        return len(self._names) + 1


def _best(index: NamespaceIndex, score: Floats, slots: Slots, count: int) -> Slots:
    """The best slots by a score, ties in order of keys."""
    values = score[slots]
    if len(slots) > 4 * count:
        least = np.partition(values, len(values) - count)[len(values) - count]
        slots = slots[values >= least]
        values = score[slots]
    return slots[np.lexsort((index.column("key")[slots], -values))[:count]]


def _rank_dense(
    index: NamespaceIndex, question: Question, places: Slots, limit: int
) -> list[Ranked]:
    """By cosine alone."""
    if question.vector is None:
        return []
    found = scan(index, take_apart(Question("")), question.vector).dense
    order = _best(index, found, places, limit)
    keys = index.column("key")
    return [
        Ranked(int(keys[slot]), float(found[slot]), {"dense": float(found[slot])}) for slot in order
    ]
