"""Any server that speaks OpenAI's `/v1/embeddings`: OpenAI, vLLM, LM Studio, LocalAI, TEI, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.backends.embedders.remote import Dialect, RemoteEmbedder, list_in

if TYPE_CHECKING:
    from mneme.backends.embedders.endpoint import Endpoint

DEFAULT_URL = "https://api.openai.com/v1"


def openai_embedder(
    model: str, endpoint: Endpoint, *, known_dim: int | None = None
) -> RemoteEmbedder:
    """An embedder of an OpenAI-compatible server; the endpoint's URL ends with `/v1`."""
    return RemoteEmbedder(_DIALECT, model, endpoint, known_dim=known_dim)


def _question(model: str, texts: list[str]) -> dict[str, object]:
    return {"model": model, "input": texts, "encoding_format": "float"}


def _vectors(answer: object) -> list[object]:
    """The vectors in the order of their `index`, which need not be that of the list."""
    by_index = {}
    for place, item in enumerate(list_in(answer, "data")):
        if not isinstance(item, dict):
            raise TypeError("an item of data is no object")
        by_index[item.get("index", place)] = item["embedding"]
    return [by_index[index] for index in range(len(by_index))]


_DIALECT = Dialect(name="openai", path="/embeddings", question=_question, vectors=_vectors)
