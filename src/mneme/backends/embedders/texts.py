"""What every embedder does with its texts and its vectors, before and after the model.

Texts are checked, blank ones are kept from the model (several servers refuse them) and get the
zero vector; vectors are checked and made unit length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from mneme.core.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


_EXACT = 1e-5  # of a squared length: what float32 rounding leaves


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what is not a sequence of strings, a lone string included.

    Raises:
        InvalidInputError: `texts` is a string, or holds something else than strings.
    """
    if isinstance(texts, str):
        raise InvalidInputError("embed takes a list of texts, not one string")
    for text in texts:
        if not isinstance(text, str):
            raise InvalidInputError(f"embed takes strings, not {type(text).__name__}")


def encodable(text: str, max_chars: int) -> str:
    """The text's start, lone surrogates (which UTF-8 cannot carry) replaced by "?"."""
    cut = text[:max_chars]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode("utf-8")


def embed_filled(
    texts: Sequence[str], embed: Callable[[list[str]], object], *, dim: int, max_chars: int
) -> Vectors:
    """Vectors of texts by a model that sees only those with something in them.

    Args:
        texts: Any strings.
        embed: The model: texts, cut and encodable, to an array [texts, dim].
        dim: Length of a vector.
        max_chars: Where a text is cut.

    Returns:
        float32 [len(texts), dim], unit rows, zero rows for blank texts.

    Raises:
        InvalidInputError: `texts` is no sequence of strings.
        BackendUnavailableError: The model's answer is not what it should be.
    """
    check_texts(texts)
    filled = [row for row, text in enumerate(texts) if text.strip()]
    vectors = np.zeros((len(texts), dim), np.float32)
    if filled:
        answer = embed([encodable(texts[row], max_chars) for row in filled])
        vectors[filled] = unit_rows(answer, rows=len(filled), dim=dim)
    return vectors


def unit_rows(answer: object, *, rows: int, dim: int) -> Vectors:
    """A model's answer as unit rows; rows of zeros stay zero.

    Raises:
        BackendUnavailableError: The answer has another shape, or holds no finite numbers.
    """
    if _is_right(answer, rows, dim):
        return answer
    try:
        vectors = np.asarray(answer, np.float64)
    except (TypeError, ValueError) as error:
        raise BackendUnavailableError(
            "the embedder answered something else than numbers"
        ) from error
    if vectors.shape != (rows, dim):
        raise BackendUnavailableError(
            f"the embedder answered an array of shape {vectors.shape}, not {(rows, dim)}"
        )
    if not np.isfinite(vectors).all():
        raise BackendUnavailableError("the embedder answered numbers that are not finite")
    peaks = np.abs(vectors).max(axis=1, initial=0.0, keepdims=True)
    vectors = vectors / np.where(peaks > 0, peaks, 1)  # first, so that no square overflows
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _is_right(answer: object, rows: int, dim: int) -> TypeGuard[Vectors]:
    """Whether nothing is left to do: the usual case, in one pass. NaN and infinity fail it."""
    if not isinstance(answer, np.ndarray) or answer.dtype != np.float32:
        return False
    if answer.shape != (rows, dim):
        return False
    squares = np.einsum("ij,ij->i", answer, answer)
    blank = squares == 0  # or too small to square
    return bool(((np.abs(squares - 1) < _EXACT) | blank).all()) and not answer[blank].any()
