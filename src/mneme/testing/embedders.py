"""Embedders for tests: one that needs nothing, and one that fails on demand."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Literal

import numpy as np

from mneme.core.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from mneme.core.protocols import Embedder

Mood = Literal["fine", "down", "slow", "nan", "wrong size", "wrong count", "bug"]


class HashEmbedder:
    """Texts that share words get near vectors; the same everywhere, for any dimension.

    Args:
        dim: Length of a vector.
        name: First part of the id, to tell generations apart.
    """

    def __init__(self, dim: int = 64, *, name: str = "hash") -> None:
        self.dim = dim
        self.id = f"{name}:words:{dim}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InvalidInputError("embed takes a list of strings")
        vectors = np.zeros((len(texts), self.dim))
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row] += self._direction(word)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    def _direction(self, word: str) -> NDArray[np.float64]:
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        seed = int.from_bytes(digest[:8], "little")
        return np.random.Generator(np.random.PCG64(seed)).standard_normal(self.dim)


class FlakyEmbedder:
    """An embedder with moods: one for each call, then `mood` for all that follow.

    Tests can set `mood` (and read `calls`) at any time.

    Args:
        inner: What it is when it is fine.
        moods: For the first calls.
        mood: For the calls after them.
        slow_s: How long "slow" takes.
    """

    def __init__(
        self,
        inner: Embedder,
        moods: Iterable[Mood] = (),
        *,
        mood: Mood = "fine",
        slow_s: float = 0.2,
    ) -> None:
        self._inner, self._moods, self._slow_s = inner, iter(moods), slow_s
        self.mood: Mood = mood
        self.id, self.dim = inner.id, inner.dim
        self.calls = 0

    def embed(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        self.calls += 1
        mood = next(self._moods, self.mood)
        if mood == "down":
            raise BackendUnavailableError("the embedder is down")
        if mood == "bug":
            raise RuntimeError("the embedder has a bug")
        if mood == "slow":
            time.sleep(self._slow_s)
        vectors: NDArray[np.float32] = self._inner.embed(texts, query=query)
        return _spoiled(vectors, mood)


def _spoiled(vectors: NDArray[np.float32], mood: Mood) -> NDArray[np.float32]:
    if mood == "nan":
        return np.full_like(vectors, np.nan)
    if mood == "wrong size":
        return vectors[:, :-1]
    if mood == "wrong count":
        return np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])
    return vectors
