"""What a careful user would write by hand: the floors that speeds are stated against.

Exact numpy scan over float32 vectors, SQLite's FTS5 through apsw, and both added up. Writes go to
one WAL database with synchronous=FULL, as Mneme's do: a floor that may lose data is no floor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw
import numpy as np

_STOP_TEXT = """
    a an the of to in on at for and or is are was were be been do does did has have had what
    when where who why how which with by from s it its this that as
"""
STOP = frozenset(_STOP_TEXT.split())
SCHEMA = """
create table item(key integer primary key, ns text, id text, text text, vector blob);
create index item_ns on item(ns);
create virtual table words using fts5(
    text, ns unindexed, content='', contentless_delete=1, tokenize='porter unicode61');
"""


def open_durable(path: Path | str) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.execute("pragma journal_mode=wal").fetchall()
    db.execute("pragma synchronous=full")
    return db


def match_text(question: str) -> str:
    """The words of a question, quoted and joined by OR."""
    words = [w for w in re.findall(r"\w+", question.lower()) if w not in STOP] or ["zzz"]
    return " OR ".join(f'"{w}"' for w in words)


class HandStore:
    """Rows, vectors and words in one durable SQLite file; both searches, and their sum."""

    def __init__(self, path: Path | str) -> None:
        self.db = open_durable(path)
        if not self.db.execute("select 1 from sqlite_master where name='item'").fetchall():
            for statement in SCHEMA.strip().split(";\n"):
                self.db.execute(statement)
        self._matrices: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, ns: str, ids: Sequence[str], texts: Sequence[str], vectors: np.ndarray) -> None:
        """All of it in one durable transaction."""
        last = self.db.execute("select coalesce(max(key), 0) from item").fetchall()[0][0]
        keys = range(last + 1, last + 1 + len(ids))
        blobs = [v.tobytes() for v in vectors.astype(np.float32, copy=False)]
        with self.db:
            rows = zip(keys, [ns] * len(ids), ids, texts, blobs, strict=True)
            self.db.executemany("insert into item values(?,?,?,?,?)", rows)
            words = zip(keys, texts, [ns] * len(ids), strict=True)
            self.db.executemany("insert into words(rowid,text,ns) values(?,?,?)", words)
        self._matrices.pop(ns, None)

    def matrix(self, ns: str) -> tuple[np.ndarray, np.ndarray]:
        """Keys and vectors of a namespace, kept once read."""
        if ns not in self._matrices:
            rows = self.db.execute("select key, vector from item where ns=? order by key", (ns,))
            keys, blobs = zip(*rows.fetchall(), strict=True)
            flat = np.frombuffer(b"".join(blobs), dtype=np.float32)
            self._matrices[ns] = np.array(keys), flat.reshape(len(keys), -1)
        return self._matrices[ns]

    def dense(self, ns: str, vector: np.ndarray, k: int) -> list[tuple[int, float]]:
        """Exact scan, best first."""
        keys, matrix = self.matrix(ns)
        scores = matrix @ vector
        top = np.argpartition(-scores, k)[:k] if len(scores) > k else np.arange(len(scores))
        top = top[np.argsort(-scores[top])]
        return [(int(keys[i]), float(scores[i])) for i in top]

    def words(self, ns: str, question: str, k: int) -> list[tuple[int, float]]:
        """BM25 of one FTS5 table over all namespaces, then only those rows of this one."""
        sql = (
            "select words.rowid, -words.rank from words join item on item.key = words.rowid "
            "where words match ? and item.ns = ? order by words.rank limit ?"
        )
        return self.db.execute(sql, (match_text(question), ns, k)).fetchall()

    def words_one_namespace(self, question: str, k: int) -> list[tuple[int, float]]:
        """The same where the file holds one namespace: no filter, no join."""
        sql = "select rowid, -rank from words where words match ? order by rank limit ?"
        return self.db.execute(sql, (match_text(question), k)).fetchall()

    def hybrid(self, ns: str, question: str, vector: np.ndarray, k: int) -> list[str]:
        """The sum of both, each as a share of its best, over 50 candidates of each; with texts."""
        scores: dict[int, float] = {}
        for ranked in (self.dense(ns, vector, 50), self.words(ns, question, 50)):
            best = max((s for _, s in ranked), default=0.0) or 1.0
            for key, score in ranked:
                scores[key] = scores.get(key, 0.0) + score / best
        top = sorted(scores, key=lambda key: -scores[key])[:k]
        return [self.fetch(key) for key in top]

    def fetch(self, key: int) -> str:
        return self.db.execute("select id, text from item where key=?", (key,)).fetchall()[0][0]

    def close(self) -> None:
        self.db.close()


class WordsPerNamespace:
    """An FTS5 table for each namespace: no namespace pays for another's rows."""

    def __init__(self, path: Path | str) -> None:
        self.db = open_durable(path)
        self._tables: dict[str, str] = {}

    def add(self, ns: str, texts: Iterable[str]) -> None:
        table = self._tables.setdefault(ns, f"words_{len(self._tables)}")
        with self.db:
            self.db.execute(
                f"create virtual table if not exists {table} using fts5(text, content='', "
                "contentless_delete=1, tokenize='porter unicode61')"
            )
            rows = ((text,) for text in texts)
            self.db.executemany(f"insert into {table}(text) values(?)", rows)

    def search(self, ns: str, question: str, k: int) -> list[Any]:
        table = self._tables[ns]
        sql = f"select rowid, rank from {table} where {table} match ? order by rank limit ?"
        return self.db.execute(sql, (match_text(question), k)).fetchall()

    def close(self) -> None:
        self.db.close()


def raw_insert(path: Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    """The least that is durable: text and vector rows, one transaction, no index."""
    db = open_durable(path)
    db.execute("create table item(key integer primary key, text text, vector blob)")
    blobs = [v.tobytes() for v in vectors.astype(np.float32, copy=False)]
    with db:
        rows = zip(texts, blobs, strict=True)
        db.executemany("insert into item(text, vector) values(?,?)", rows)
    db.close()
