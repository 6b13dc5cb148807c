"""Standing wishes: "always name the platform when I ask about films".

In: candidates that say when they hold (`Shape.SCOPED`; the last passage of such a text is the part
that says it). Out: how well that part fits the question, and a rule: the wishes that fit best are
among the first results, since a wish that holds shares few words with the question that it is for.
A wish may also be for a kind of answer: "always confirm dates when I ask about deadlines" is for
every question of when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.memories.plaintext.build import Shape
from mneme.memories.plaintext.language.terms import code_of, stem
from mneme.recall.breadth import is_broad
from mneme.recall.matches import load_near_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mneme.recall.query import Asked
    from mneme.recall.scan import Scan
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]

_PLACE: Final = 9  # where a wish comes that fits but that the model puts further down
_MOST: Final = 2  # wishes that come there
_FITS_DENSE: Final = 0.4
_FITS_COVER: Final = 0.55  # where there are no vectors
_ANSWERS: Final = {  # by kind of question, words of wishes for such answers
    "when": "date time timeline schedule scheduling deadline calendar",
    "how long": "duration length",
    "where": "location place address venue",
    "count": "number amount cost price quantity percentage count",
}
_VAGUE: Final = "time length place number count"  # said in a question, they name no kind of answer


def _codes(words: str) -> frozenset[int]:
    return frozenset(code_of(stem(word)) for word in words.split())


_ANSWER_CODES: Final = {kind: _codes(words) for kind, words in _ANSWERS.items()}
_VAGUE_CODES: Final = _codes(_VAGUE)


def fit_of_wishes(
    index: NamespaceIndex, asked: Asked, scan: Scan, candidates: Slots
) -> dict[str, Floats]:
    """For each candidate, how well what it holds for fits the question; 0 for other texts.

    scope_cover: The likeness of its word that is nearest to one of the question's.
    scope_dense: The cosine of that part with the question.
    scope_answer: 1 where the wish is for a kind of answer that is asked for.
    """
    cover, cosine, answer = (np.zeros(len(candidates), np.float32) for _ in range(3))
    scoped = np.flatnonzero(index.column("shape")[candidates] & int(Shape.SCOPED))
    if len(scoped):
        slots = candidates[scoped]
        last = index.column("first_passage")[slots] + index.column("passages")[slots] - 1
        cover[scoped] = _cover(index, _asked(scan), last)
        if scan.dense_by_passage is not None:
            cosine[scoped] = scan.dense_by_passage[last]
        answer[scoped] = _answers(index, asked, slots)
    return {"scope_cover": cover, "scope_dense": cosine, "scope_answer": answer}


def _answers(index: NamespaceIndex, asked: Asked, slots: Slots) -> list[bool]:
    """Whether texts hold a word for a kind of answer that is asked for."""
    wanted = _wanted(asked)
    if not wanted:
        return [False] * len(slots)
    starts = index.passage_column("first_code")[index.column("first_passage")[slots]].tolist()
    sizes = index.column("words")[slots].tolist()
    return [
        not wanted.isdisjoint(index.codes[a : a + n].tolist())
        for a, n in zip(starts, sizes, strict=True)
    ]


def _wanted(asked: Asked) -> frozenset[int]:
    """Codes of the words of wishes for such answers as the question asks for."""
    if is_broad(asked):
        return frozenset()
    named = frozenset(asked.terms) - _VAGUE_CODES
    found: frozenset[int] = frozenset()
    for kind, codes in _ANSWER_CODES.items():
        of_kind = {"how", "long"} <= asked.words if kind == "how long" else asked.is_kind(kind)
        if of_kind or not codes.isdisjoint(named):
            found |= codes
    return found


def _asked(scan: Scan) -> dict[int, float]:
    """Codes of the question's words and of words near to them, with their likeness."""
    content = [term.code for term in scan.terms if term.content]
    _, near, likeness = load_near_words().of(np.array(content, np.uint32))
    return dict(zip(near.tolist(), likeness.tolist(), strict=True)) | dict.fromkeys(content, 1.0)


def _cover(index: NamespaceIndex, asked: dict[int, float], passages: Slots) -> list[float]:
    starts = index.passage_column("first_code")[passages].tolist()
    sizes = index.passage_column("words")[passages].tolist()
    texts = [index.codes[a : a + n].tolist() for a, n in zip(starts, sizes, strict=True)]
    return [max((asked.get(code, 0.0) for code in codes), default=0.0) for codes in texts]


def lift(
    margin: npt.NDArray[Any], names: Sequence[str], values: npt.NDArray[np.float32]
) -> npt.NDArray[Any]:
    """Margins with the best-fitting wishes among the first results.

    Args:
        margin: Of each candidate.
        names: Of the signals.
        values: [candidates, signals].
    """
    if "scope_dense" not in names or "scope_cover" not in names or len(margin) <= _PLACE:
        return margin
    cover = values[:, names.index("scope_cover")]
    dense = values[:, names.index("scope_dense")]
    fit = dense + np.float32(0.3) * cover
    chosen = _best(fit, dense >= _FITS_DENSE if dense.any() else cover >= _FITS_COVER, 1)
    if "scope_answer" in names:
        of_answer = _best(fit, values[:, names.index("scope_answer")] > 0, _MOST)
        chosen += [wish for wish in of_answer if wish not in chosen]
    lifted = margin.copy()
    for wish in reversed(chosen[:_MOST]):
        ninth = np.sort(np.delete(lifted, wish))[-_PLACE]
        lifted[wish] = max(float(lifted[wish]), float(np.nextafter(ninth, np.inf)))
    return lifted


def _best(fit: Floats, fits: npt.NDArray[np.bool_], count: int) -> list[int]:
    """The places of those that fit best."""
    found = np.flatnonzero(fits)
    return [int(place) for place in found[np.argsort(-fit[found], kind="stable")[:count]]]
