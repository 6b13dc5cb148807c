"""An embedder behind an HTTP server; openai.py and ollama.py say what is asked and answered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mneme.backends.embedders.texts import embed_filled
from mneme.core.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.backends.embedders.endpoint import Endpoint
    from mneme.backends.embedders.texts import Vectors

BATCH_TEXTS = 64
_MAX_CHARS = 8_000  # below the 8,192 tokens that the usual models take, in any script
_MOST_BYTES = 65_536  # of an answer, beside its vectors
_MOST_BYTES_OF_A_VECTOR = 262_144  # 8,192 numbers of 32 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a kind of server is spoken to.

    `question` makes the body from model and texts; `vectors` finds the list of vectors in an
    answer; for another answer it raises TypeError or KeyError.
    """

    name: str
    path: str
    question: Callable[[str, list[str]], dict[str, object]]
    vectors: Callable[[object], list[object]]


class RemoteEmbedder:
    """Embeds by asking a server. Making one asks nothing.

    Args:
        dialect: How to speak to it.
        model: The model's name, as the server knows it.
        endpoint: Where it is.
        known_dim: Length of a vector; without it the first call asks, and so do `dim` and `id`,
            which can then raise BackendUnavailableError.
    """

    def __init__(
        self, dialect: Dialect, model: str, endpoint: Endpoint, *, known_dim: int | None = None
    ) -> None:
        self._dialect, self._model, self._endpoint = dialect, model, endpoint
        self._known_dim = known_dim

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        if self._known_dim is not None:
            return self._known_dim
        (vector,) = self._ask(["dimension"])
        if not isinstance(vector, list) or not vector:
            raise BackendUnavailableError("the embedder answered something else than a vector")
        return len(vector)

    @cached_property
    def id(self) -> str:
        """Kind of server, model, dimension; the server tells no hash of its weights."""
        return f"{self._dialect.name}@{self._model}:{self.dim}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        return embed_filled(texts, self._ask_all, dim=self.dim, max_chars=_MAX_CHARS)

    def _ask_all(self, texts: list[str]) -> list[object]:
        starts = range(0, len(texts), BATCH_TEXTS)
        return [vector for at in starts for vector in self._ask(texts[at : at + BATCH_TEXTS])]

    def _ask(self, texts: list[str]) -> list[object]:
        answer = self._endpoint.ask(
            self._dialect.path,
            self._dialect.question(self._model, texts),
            max_bytes=_MOST_BYTES + _MOST_BYTES_OF_A_VECTOR * len(texts),
        )
        try:
            vectors = self._dialect.vectors(answer)
        except (TypeError, KeyError) as error:
            raise BackendUnavailableError(
                f"the answer is not that of a {self._dialect.name} server"
            ) from error
        if len(vectors) != len(texts):
            raise BackendUnavailableError(
                f"the embedder answered {len(vectors)} vectors for {len(texts)} texts"
            )
        return vectors


def list_in(answer: object, key: str) -> list[object]:
    """The list under a key of a decoded answer.

    Raises:
        TypeError: There is none.
    """
    found = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise TypeError(f"no list {key!r}")
    return found
