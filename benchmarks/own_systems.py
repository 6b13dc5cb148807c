"""Mneme and the floors behind the face of peer_systems.py, so that one worker measures all.

The floors are given the vectors that the peers get. Mneme embeds by itself, with the same table:
its figures hold that work too.
"""

from __future__ import annotations

import collections
from datetime import datetime
from typing import Any

import numpy as np

import mneme
from floors import HandStore, match_text, open_durable
from peer_systems import System


class Mneme(System):
    """As a user calls it, with its defaults: turns with speaker, session and time."""

    has_batch = True

    def open(self) -> None:
        self.memory = mneme.open(str(self.path))
        self.turn_of: dict[str, str] = {}

    def _fields(self, item: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "user", "name": item["speaker"], "content": item["said"]}
        at = datetime.fromisoformat(item["at"]) if item["at"] else None
        about = {"turn": item["id"]}
        return {"content": message, "session": item["session"], "at": at, "metadata": about}

    def add(self, item: dict[str, Any]) -> None:
        fields = self._fields(item)
        self.memory.namespace(item["user"]).add(fields.pop("content"), **fields)

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        by_user = collections.defaultdict(list)
        for item in items:
            by_user[item["user"]].append(self._fields(item))
        for user, many in by_user.items():
            self.memory.namespace(user).add_many(many)

    def search(self, user: str, text: str, k: int) -> list[str]:
        hits = self.memory.namespace(user).search(text, limit=k)
        return [str(hit.cube.metadata["turn"]) for hit in hits]

    def close(self) -> None:
        self.memory.close()


class FloorNumpy(System):
    """Exact cosine in memory: what the vectors alone can find. Keeps nothing."""

    has_batch = True

    def open(self) -> None:
        self.rows: dict[str, list[list[float]]] = {}
        self.ids: dict[str, list[str]] = {}
        self.matrix: dict[str, np.ndarray] = {}

    def add(self, item: dict[str, Any]) -> None:
        self.add_batch([item])

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        for item, row in zip(items, self.vectors.many([i["text"] for i in items]), strict=True):
            self.rows.setdefault(item["user"], []).append(row)
            self.ids.setdefault(item["user"], []).append(item["id"])
            self.matrix.pop(item["user"], None)

    def search(self, user: str, text: str, k: int) -> list[str]:
        if user not in self.rows:
            return []
        if user not in self.matrix:
            self.matrix[user] = np.asarray(self.rows[user], dtype=np.float32)
        scores = self.matrix[user] @ np.asarray(self.vectors.one(text), dtype=np.float32)
        return [self.ids[user][i] for i in np.argsort(-scores)[:k]]


class FloorWords(System):
    """FTS5's BM25 (porter), WAL and synchronous=FULL, no vectors."""

    has_batch = True

    def open(self) -> None:
        self.db = open_durable(self.path / "words.db")
        self.db.execute(
            "create virtual table if not exists words using fts5("
            "id unindexed, user unindexed, text, tokenize='porter unicode61')"
        )

    def add(self, item: dict[str, Any]) -> None:
        self.add_batch([item])

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        with self.db:
            rows = [(i["id"], i["user"], i["text"]) for i in items]
            self.db.executemany("insert into words values(?,?,?)", rows)

    def search(self, user: str, text: str, k: int) -> list[str]:
        sql = "select id from words where words match ? and user=? order by rank limit ?"
        return [row[0] for row in self.db.execute(sql, (match_text(text), user, k))]

    def close(self) -> None:
        self.db.close()


class FloorBoth(System):
    """Both by hand: the sum of the scan and the words, over one durable file."""

    has_batch = True

    def open(self) -> None:
        self.store = HandStore(self.path / "hand.db")

    def add(self, item: dict[str, Any]) -> None:
        self.add_batch([item])

    def add_batch(self, items: list[dict[str, Any]]) -> None:
        by_user = collections.defaultdict(list)
        for item in items:
            by_user[item["user"]].append(item)
        for user, many in by_user.items():
            texts = [i["text"] for i in many]
            vectors = np.asarray(self.vectors.many(texts), dtype=np.float32)
            self.store.add(user, [i["id"] for i in many], texts, vectors)

    def search(self, user: str, text: str, k: int) -> list[str]:
        vector = np.asarray(self.vectors.one(text), dtype=np.float32)
        return self.store.hybrid(user, text, vector, k)

    def close(self) -> None:
        self.store.close()


OWN = {
    "mneme": Mneme,
    "floor-numpy": FloorNumpy,
    "floor-fts5": FloorWords,
    "floor-both": FloorBoth,
}
