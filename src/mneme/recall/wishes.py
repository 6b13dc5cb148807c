"""Standing wishes: "always name the platform when I ask about films".

In: candidates that say when they hold (`Shape.SCOPED`; the last passage of such a text is the part
that says it). Out: how well that part fits the question, and a rule: the wish that fits best is
among the first results, since a wish that holds shares few words with the question that it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.memories.plaintext.build import Shape
from mneme.recall.matches import load_near_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mneme.recall.scan import Scan
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]

_PLACE: Final = 9  # where a wish comes that fits but that the model puts further down
_FITS_DENSE: Final = 0.4
_FITS_COVER: Final = 0.55  # where there are no vectors


def fit_of_wishes(index: NamespaceIndex, scan: Scan, candidates: Slots) -> dict[str, Floats]:
    """For each candidate, how well what it holds for fits the question; 0 for other texts.

    scope_cover: The likeness of its word that is nearest to one of the question's.
    scope_dense: The cosine of that part with the question.
    """
    cover = np.zeros(len(candidates), np.float32)
    cosine = np.zeros(len(candidates), np.float32)
    scoped = np.flatnonzero(index.column("shape")[candidates] & int(Shape.SCOPED))
    if len(scoped):
        slots = candidates[scoped]
        last = index.column("first_passage")[slots] + index.column("passages")[slots] - 1
        cover[scoped] = _cover(index, _asked(scan), last)
        if scan.dense_by_passage is not None:
            cosine[scoped] = scan.dense_by_passage[last]
    return {"scope_cover": cover, "scope_dense": cosine}


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
    """Margins with the best-fitting wish among the first results.

    Args:
        margin: Of each candidate.
        names: Of the signals.
        values: [candidates, signals].
    """
    if "scope_dense" not in names or "scope_cover" not in names:  # a model without these signals
        return margin
    cover = values[:, names.index("scope_cover")]
    dense = values[:, names.index("scope_dense")]
    fits = dense >= _FITS_DENSE if dense.any() else cover >= _FITS_COVER
    wishes = np.flatnonzero(fits)
    if not len(wishes) or len(margin) <= _PLACE:
        return margin
    best = int(wishes[np.argmax(dense[wishes] + np.float32(0.3) * cover[wishes])])
    ninth = np.sort(np.delete(margin, best))[-_PLACE]
    lifted = margin.copy()
    lifted[best] = max(float(lifted[best]), float(np.nextafter(ninth, np.inf)))
    return lifted
