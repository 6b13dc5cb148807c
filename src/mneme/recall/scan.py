"""The cheap signals, for every cube of a namespace at once.

In: the index and a question taken apart. Out: float32 columns by slot: Okapi BM25 (Robertson and
Zaragoza 2009) of the text, of its best passage and of the three-turn window around it; the cosine
of its best passage; and a first score that joins them. The vectorised part of ranking: what costs
more is computed for candidates alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mneme.recall.query import Asked
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]

_K1: Final = 1.2
_B: Final = 0.75
_B_PASSAGE: Final = 0.4
_NEIGHBOUR: Final = 0.5  # weight of a neighbour's words in the window
_STOPWORD: Final = 0.1  # weight of a stopword beside content words
_COMMON: Final = 0.3  # a stopword in more than this share of the texts is not looked up


@dataclass(slots=True)
class Term:
    """One term of the question, met in the index.

    slots, counts: Live texts that hold it, rising, and how often.
    passages, in_passages: The same by passage.
    """

    code: int
    idf: float
    content: bool
    slots: npt.NDArray[np.int32]
    counts: Floats
    passages: npt.NDArray[np.int32]
    in_passages: Floats


@dataclass(slots=True)
class Scan:
    """Signals by slot; `best_passage` is the passage with the best lexical or dense score."""

    terms: list[Term]
    idf_sum: float
    lexical: Floats
    lexical_passage: Floats
    window: Floats
    dense: Floats
    by_passage: Floats
    dense_by_passage: Floats | None


def scan(index: NamespaceIndex, asked: Asked, vector: npt.NDArray[Any] | None) -> Scan:
    """Compute the cheap signals for all slots."""
    terms = _find_terms(index, asked)
    lexical = np.zeros(index.slots, np.float32)
    window = np.zeros(index.slots, np.float32)
    by_passage = np.zeros(len(index.passage_column("slot")), np.float32)
    lengths = _Lengths(index)
    for term in terms:
        weight = np.float32(term.idf * (_K1 + 1))
        lexical[term.slots] += weight * term.counts / (term.counts + lengths.norm[term.slots])
        by_passage[term.passages] += (
            weight * term.in_passages / (term.in_passages + lengths.norm_passage[term.passages])
        )
        near = _near(index, term)
        window += weight * near / (near + lengths.norm_window)
    single = len(by_passage) == index.slots
    dense_by_passage = None if vector is None else index.vectors.scores(vector)
    return Scan(
        terms=terms,
        idf_sum=sum(term.idf for term in terms) or 1.0,
        lexical=lexical,
        lexical_passage=by_passage if single else _best(index, by_passage),
        window=window,
        dense=_dense(index, dense_by_passage, single=single),
        by_passage=by_passage,
        dense_by_passage=dense_by_passage,
    )


class _Lengths:
    """The part of BM25's denominator that depends on length, by slot and passage."""

    def __init__(self, index: NamespaceIndex) -> None:
        words = index.column("words").astype(np.float32)
        mean = max(index.live_words / max(len(index), 1), 1.0)
        mean_passage = max(index.live_words / max(index.live_passages, 1), 1.0)
        around = np.append(words, np.float32(0))
        window = words + _NEIGHBOUR * (around[index.prev] + around[index.next])
        mean_window = mean * (1 + 2 * _NEIGHBOUR)
        in_passage = index.passage_column("words").astype(np.float32)
        self.norm = _norm(words, mean, _B)
        self.norm_window = _norm(window, mean_window, _B)
        self.norm_passage = _norm(in_passage, mean_passage, _B_PASSAGE)


def _norm(words: Floats, mean: float, b: float) -> Floats:
    norm = words * np.float32(_K1 * b / mean)
    norm += np.float32(_K1 * (1 - b))
    return norm


def _find_terms(index: NamespaceIndex, asked: Asked) -> list[Term]:
    has_content = any(asked.content)
    count = max(len(index), 1)
    terms = []
    for code, content in zip(asked.terms, asked.content, strict=True):
        passages, counts = index.postings.find(code)
        if not content and has_content and len(passages) > _COMMON * count:
            continue
        term = _of_slots(index, code, passages, counts)
        held = len(term.slots)
        term.idf = float(np.log(1 + (count - held + 0.5) / (held + 0.5)))
        if not content and has_content:
            term.idf *= _STOPWORD
        term.content = content
        terms.append(term)
    return terms


def _of_slots(
    index: NamespaceIndex, code: int, passages: npt.NDArray[np.int32], counts: npt.NDArray[np.uint8]
) -> Term:
    """Postings by slot, dead ones left out."""
    slots = index.passage_column("slot")[passages]
    in_passages = counts.astype(np.float32)
    live = index.column("live")[slots]
    if not live.all():
        slots, passages, in_passages = slots[live], passages[live], in_passages[live]
    by_slot = in_passages
    opens = np.flatnonzero(np.append(True, slots[1:] != slots[:-1])) if len(slots) else slots
    if len(opens) < len(slots):
        by_slot = np.add.reduceat(in_passages, opens)
        slots = slots[opens]
    return Term(code, 0.0, True, slots, by_slot, passages, in_passages)


def _near(index: NamespaceIndex, term: Term) -> Floats:
    """How often a term stands in each slot and, at half weight, in its neighbours."""
    near = np.zeros(index.slots + 1, np.float32)
    near[term.slots] = term.counts
    half = term.counts * np.float32(_NEIGHBOUR)
    near[index.next[term.slots]] += half
    near[index.prev[term.slots]] += half
    return near[:-1]


def _best(index: NamespaceIndex, by_passage: Floats) -> Floats:
    """The best passage's score of each slot."""
    result = np.zeros(index.slots, np.float32)
    filled = np.flatnonzero(index.column("passages"))
    if len(filled):
        starts = index.column("first_passage")[filled]
        result[filled] = np.maximum.reduceat(by_passage, starts)
    return result


def _dense(index: NamespaceIndex, by_passage: Floats | None, *, single: bool) -> Floats:
    if by_passage is None:
        return np.zeros(index.slots, np.float32)
    return by_passage if single else _best(index, by_passage)
