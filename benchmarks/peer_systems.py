"""Other memory stores behind one small face: open, add, add_batch, search, close.

Runs inside each peer's own environment, so it imports numpy and that peer alone. What a system
embeds comes from `Vectors`: the same precomputed vectors for all, so that what is timed is the
store's own work. Every system is used as its own documentation shows; where a default would phone
home or want a key, the switch that turns it off is here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(
    MEM0_TELEMETRY="False",
    ANONYMIZED_TELEMETRY="False",
    HF_HUB_OFFLINE="1",
    LANGSMITH_TRACING="false",
    OPENAI_API_KEY="unused",
)


class Vectors:
    """Text to vector, looked up; made once by Mneme's static embedder."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        with np.load(path, allow_pickle=False) as data:
            texts, vectors = data["texts"].tolist(), data["vectors"]
        self.dim = int(vectors.shape[1])
        self._rows = {text.strip(): row for text, row in zip(texts, vectors, strict=True)}

    def many(self, texts: list[str]) -> list[list[float]]:
        return [self._rows[text.strip()].tolist() for text in texts]

    def one(self, text: str) -> list[float]:
        return self._rows[text.strip()].tolist()


class System:
    """A store under test. `path` is an empty folder of its own."""

    has_batch = False

    def __init__(self, path: Path, vectors: Vectors) -> None:
        self.path, self.vectors = path, vectors

    def open(self) -> None:
        raise NotImplementedError

    def add(self, item: dict[str, Any]) -> None:
        raise NotImplementedError

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def search(self, user: str, text: str, k: int) -> list[str]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to close, unless a subclass says so."""


class Mem0(System):
    """mem0 with infer=False: each text is kept as it is, no LLM is asked."""

    provider = ""

    def open(self) -> None:
        os.environ["MEM0_DIR"] = str(self.path)
        from mem0 import Memory
        from mem0.utils.factory import EmbedderFactory

        vectors = self.vectors

        class Given:
            config = type("Config", (), {"embedding_dims": vectors.dim})()
            embed = staticmethod(lambda text, action=None: vectors.one(text))
            embed_batch = staticmethod(lambda texts, action="add": vectors.many(texts))

        # There is no provider for vectors made elsewhere: the factory hands ours out instead.
        EmbedderFactory.create = classmethod(lambda cls, *args: Given())
        self.memory = Memory.from_config(
            {
                "vector_store": {"provider": self.provider, "config": self.store()},
                "llm": {"provider": "openai", "config": {"api_key": "unused"}},
                "history_db_path": str(self.path / "history.db"),
            }
        )

    def store(self) -> dict[str, Any]:
        raise NotImplementedError

    def add(self, item: dict[str, Any]) -> None:
        about = {"turn": item["id"], "when": item["when"]}
        self.memory.add(item["text"], user_id=item["user"], metadata=about, infer=False)

    def search(self, user: str, text: str, k: int) -> list[str]:
        found = self.memory.search(text, filters={"user_id": user}, top_k=k, threshold=0.0)
        return [hit["metadata"]["turn"] for hit in found["results"]]

    def close(self) -> None:
        self.memory.close()


class Mem0Qdrant(Mem0):
    """mem0's default store: Qdrant in its embedded mode, on disk."""

    provider = "qdrant"

    def store(self) -> dict[str, Any]:
        return {
            "collection_name": "mem0",
            "path": str(self.path / "qdrant"),
            "embedding_model_dims": self.vectors.dim,
            "on_disk": True,
        }


class Mem0Faiss(Mem0):
    provider = "faiss"

    def store(self) -> dict[str, Any]:
        return {
            "collection_name": "mem0",
            "path": str(self.path / "faiss"),
            "embedding_model_dims": self.vectors.dim,
            "distance_strategy": "cosine",
        }


class LangGraphStore(System):
    """What LangGraph's two stores share: one namespace of keys for each user."""

    has_batch = True

    def index(self) -> dict[str, Any]:
        # InMemoryStore reads "fields", SqliteStore "text_fields".
        embed = self.vectors.many
        dim = self.vectors.dim
        return {"dims": dim, "embed": embed, "fields": ["text"], "text_fields": ["text"]}

    def value(self, item: dict[str, Any]) -> dict[str, str]:
        return {"text": item["text"], "when": item["when"]}

    def add(self, item: dict[str, Any]) -> None:
        self.store.put(("memories", item["user"]), item["id"], self.value(item))

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        from langgraph.store.base import PutOp

        self.store.batch(
            [PutOp(("memories", i["user"]), i["id"], self.value(i)) for i in items],
        )

    def search(self, user: str, text: str, k: int) -> list[str]:
        return [hit.key for hit in self.store.search(("memories", user), query=text, limit=k)]


class LangGraphMemory(LangGraphStore):
    def open(self) -> None:
        from langgraph.store.memory import InMemoryStore

        self.store = InMemoryStore(index=self.index())


class LangGraphSqlite(LangGraphStore):
    def open(self) -> None:
        use_sqlite_with_extensions()
        from langgraph.store.sqlite import SqliteStore

        path = str(self.path / "store.db")
        self.context = SqliteStore.from_conn_string(path, index=self.index())
        self.store = self.context.__enter__()
        self.store.setup()

    def close(self) -> None:
        self.context.__exit__(None, None, None)


class Chroma(System):
    """The bare vector store that many home-made memories start from."""

    has_batch = True

    def open(self) -> None:
        import chromadb
        from chromadb.config import Settings

        quiet = Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(str(self.path), settings=quiet)
        self.collection = self.client.get_or_create_collection(
            "memories", metadata={"hnsw:space": "cosine"}, embedding_function=None
        )

    def add(self, item: dict[str, Any]) -> None:
        self.add_batch([item])

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        self.collection.add(
            ids=[i["id"] for i in items],
            documents=[i["text"] for i in items],
            metadatas=[{"user": i["user"], "when": i["when"]} for i in items],
            embeddings=self.vectors.many([i["text"] for i in items]),
        )

    def search(self, user: str, text: str, k: int) -> list[str]:
        vector = self.vectors.one(text)
        found = self.collection.query(
            query_embeddings=[vector], n_results=k, where={"user": user}, include=[]
        )
        return found["ids"][0]


def use_sqlite_with_extensions() -> None:
    """Many builds of Python leave loadable extensions out, which sqlite-vec needs."""
    import sqlite3

    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        import pysqlite3

        sys.modules["sqlite3"] = pysqlite3


PEERS = {
    "mem0-qdrant": Mem0Qdrant,
    "mem0-faiss": Mem0Faiss,
    "langgraph-inmemory": LangGraphMemory,
    "langgraph-sqlite": LangGraphSqlite,
    "chroma": Chroma,
}
