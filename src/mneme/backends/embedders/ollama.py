"""An Ollama server: `/api/embed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.backends.embedders.remote import Dialect, RemoteEmbedder, list_in

if TYPE_CHECKING:
    from mneme.backends.embedders.endpoint import Endpoint

DEFAULT_URL = "http://127.0.0.1:11434"


def ollama_embedder(
    model: str, endpoint: Endpoint, *, known_dim: int | None = None
) -> RemoteEmbedder:
    """An embedder of an Ollama server, for a model that was pulled there."""
    return RemoteEmbedder(_DIALECT, model, endpoint, known_dim=known_dim)


def _question(model: str, texts: list[str]) -> dict[str, object]:
    return {"model": model, "input": texts, "truncate": True}


def _vectors(answer: object) -> list[object]:
    return list_in(answer, "embeddings")


_DIALECT = Dialect(name="ollama", path="/api/embed", question=_question, vectors=_vectors)
