"""Mneme as a system of `retrieval_bench.py`: what a user gets, with the default settings.

    cd benchmarks && python ../../shared/bench/retrieval_bench.py \
        --data locomo --systems bm25,mneme_adapter:Mneme

The packaged ranking was fitted on these sets: for figures on what it never saw, see
`recall_table.py`. This one shows that the package gives back what those tables measure.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from typing import Any

import mneme

ROLES = frozenset({"user", "assistant", "system", "tool"})
NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # refers "last week" to nothing when no time is given


class Mneme:
    """One corpus in one namespace of a new store."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mneme-bench-")
        self._memory = mneme.open(self._folder.name)
        self._namespace = self._memory.namespace("bench")

    def add(self, items: list[dict[str, Any]]) -> None:
        self._namespace.add_many([self._item(item) for item in items])
        self._memory.drain()  # written memory reads the turns, too

    def _item(self, item: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "user", "content": item["text"]}
        if item["speaker"] in ROLES:
            message["role"] = item["speaker"]
        else:
            message["name"] = item["speaker"]
        return {
            "content": message, "session": item["session"], "at": item["timestamp"] or None,
            "metadata": {"id": item["id"]},
        }  # fmt: skip

    def search(self, query: str, k: int, now: str | None = None) -> list[str]:
        hits = self._namespace.search(query, limit=k, now=now or NEVER)
        return [hit.cube.metadata["id"] for hit in hits]
