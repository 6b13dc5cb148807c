"""Which of the question's terms a candidate and its neighbours hold, exactly or nearly.

In: the candidates of a search. Out: for each term and passage 1 for the term itself, or the
likeness of the nearest related word ("job" for "career"), from a table of the nearest words of each
word that `benchmarks/near_words.py` reads off the static embedding. It works without an embedder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mneme.recall.scan import Term
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]

NEAR_WORDS: Final = Path(__file__).parent / "near_words.npz"
_STEPS: Final = 255


@dataclass(frozen=True, slots=True)
class NearWords:
    """The nearest words of each word, by codes.

    codes: uint32 [words], rising. near: uint16 [words, k], places in `codes`. likeness: uint8.
    """

    codes: npt.NDArray[np.uint32]
    near: npt.NDArray[np.uint16]
    likeness: npt.NDArray[np.uint8]

    def of(
        self, codes: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint32], Floats]:
        """The words near to each of some words: places in `codes`, codes, likenesses, rising."""
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        known = np.flatnonzero(self.codes[places] == codes)
        likeness = self.likeness[places[known]]
        row, column = np.nonzero(likeness)
        order = np.argsort(likeness[row, column], kind="stable")
        row, column = row[order], column[order]
        near = self.codes[self.near[places[known[row]], column]]
        return known[row], near, likeness[row, column].astype(np.float32) / np.float32(_STEPS)


@lru_cache(maxsize=2)
def load_near_words(path: Path = NEAR_WORDS) -> NearWords:
    """The packaged table."""
    with np.load(path, allow_pickle=False) as arrays:
        return NearWords(arrays["codes"], arrays["near"], arrays["likeness"])


@dataclass(frozen=True, slots=True)
class Matches:
    """What is held, for each term [terms, ...].

    exact, near: By candidate, of the text. exact_prev, exact_next, near_prev, near_next: Of the
    neighbours. exact_passage, near_passage: By candidate, of the passage that holds most.
    """

    exact: Floats
    near: Floats
    exact_prev: Floats
    exact_next: Floats
    near_prev: Floats
    near_next: Floats
    exact_passage: Floats
    near_passage: Floats


def find_matches(
    index: NamespaceIndex, terms: list[Term], weights: Floats, slots: Slots
) -> Matches:
    """Look terms up in candidates and in their neighbours.

    Args:
        index: Of the namespace.
        terms: Of the question.
        weights: By term, how much it counts when the passage that holds most is chosen.
        slots: The candidates.
    """
    prev, after = index.prev[slots], index.next[slots]
    wanted = np.unique(np.concatenate([slots, prev, after]))
    wanted = wanted[(wanted >= 0)]
    wanted = wanted[index.column("passages")[wanted] > 0]
    passages, starts = _passages_of(index, wanted)
    place = np.full(len(index.passage_column("slot")), -1, np.int32)
    place[passages] = np.arange(len(passages), dtype=np.int32)
    exact = np.zeros((len(terms), len(passages)), np.float32)
    near = np.zeros_like(exact)
    owner, codes, likeness = load_near_words().of(np.array([t.code for t in terms], np.uint32))
    for number, holders in index.postings.find_many(codes):  # the nearest last, so that it stays
        held = place[holders]
        near[owner[number], held[held >= 0]] = likeness[number]
    for row, term in enumerate(terms):
        held = place[term.passages]
        held = held[held >= 0]
        exact[row, held] = 1
        near[row, held] = 1
    return _gather(index, (exact, near), weights, (wanted, starts), (slots, prev, after))


def _passages_of(index: NamespaceIndex, slots: npt.NDArray[Any]) -> tuple[Slots, Slots]:
    """All passages of some slots, one after the other, and where each slot's begin."""
    counts = index.column("passages")[slots].astype(np.int64)
    starts = np.cumsum(counts) - counts
    first = index.column("first_passage")[slots]
    return np.arange(int(counts.sum())) + np.repeat(first - starts, counts), starts


def _gather(
    index: NamespaceIndex,
    found: tuple[Floats, Floats],
    weights: Floats,
    wanted: tuple[npt.NDArray[Any], Slots],
    around: tuple[npt.NDArray[Any], ...],
) -> Matches:
    slots, starts = wanted
    terms = len(found[0])
    if not len(starts) or not terms:
        nothing = np.zeros((terms, len(around[0])), np.float32)
        return Matches(*[nothing] * 8)
    of_slot = np.full(
        index.slots + 1, len(slots), np.int64
    )  # a missing neighbour: the empty column
    of_slot[slots] = np.arange(len(slots))
    columns = [of_slot[each] for each in around]
    texts = [_padded(np.maximum.reduceat(values, starts, axis=1)) for values in found]
    best = [_padded(values[:, _fullest(weights @ values, starts)]) for values in found]
    return Matches(
        exact=texts[0][:, columns[0]], near=texts[1][:, columns[0]],
        exact_prev=texts[0][:, columns[1]], exact_next=texts[0][:, columns[2]],
        near_prev=texts[1][:, columns[1]], near_next=texts[1][:, columns[2]],
        exact_passage=best[0][:, columns[0]], near_passage=best[1][:, columns[0]],
    )  # fmt: skip


def _padded(values: Floats) -> Floats:
    """With a last column of zeros."""
    return np.hstack([values, np.zeros((len(values), 1), np.float32)])


def _fullest(score: Floats, starts: Slots) -> Slots:
    """For each slot, its passage with the highest score (the first of equals)."""
    highest = np.maximum.reduceat(score, starts)
    sizes = np.diff(starts, append=len(score))
    owner = np.repeat(np.arange(len(starts)), sizes)
    at = np.flatnonzero(score == highest[owner])
    result = np.empty(len(starts), np.int64)
    result[owner[at][::-1]] = at[::-1]
    return result
