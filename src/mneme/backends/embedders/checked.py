"""The gate that every embedder passes: what comes out is right, or a typed error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.backends.embedders.texts import check_texts, unit_rows
from mneme.core.errors import BackendUnavailableError, MnemeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.backends.embedders.texts import Vectors
    from mneme.core.protocols import Embedder

_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class CheckedEmbedder:
    """Wraps an embedder that may fail or answer nonsense.

    Vectors come out as float32 unit rows, one for each text. Anything else that the embedder
    does (an exception of its own, NaN, another count or size) is a BackendUnavailableError.
    `id` and `dim` are the embedder's; where it must ask a server for them, they can raise too.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def id(self) -> str:
        """The embedder's id."""
        return self._embedder.id

    @property
    def dim(self) -> int:
        """The embedder's dimension."""
        return self._embedder.dim

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        check_texts(texts)
        try:
            answer = self._embedder.embed(texts, query=query)
            dim = self._embedder.dim
        except MnemeError:
            raise
        except _FAILURES as error:
            raise BackendUnavailableError(
                f"the embedder failed with {type(error).__name__}"
            ) from error
        return unit_rows(answer, rows=len(texts), dim=dim)
