"""A real HTTP server on 127.0.0.1 that speaks OpenAI's and Ollama's dialects, with moods.

    with running_server() as server:
        server.moods = ["500", "fine"]   # for the next answers; after them all is fine
        ... server.url ...

Moods: "fine"; a status such as "429" (its body quotes KEY); "slow", "drip" (late); "drop" (no
answer); "reversed" (another order, rightly numbered); "nan", "size", "ragged", "count", "strings",
"odd items", "truncated", "not json", "other json", "huge" (wrong in one way each).
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

from mneme.testing.embedders import HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-key-of-the-test-server"
SLOW_S = 0.5
_DRIP_BYTES, _DRIP_S = 20, 0.05
_RETRY_AFTER_S = 1
_RAW = {"not json": b"<html>hello</html>", "other json": b"[]", "huge": b"[" * 10_000_000}


class Asked(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    model: str
    texts: list[str]
    at_s: float  # time.monotonic()


class EmbeddingServer(ThreadingHTTPServer):
    """Serves the vectors of HashEmbedder; keeps what was asked."""

    daemon_threads = True

    def __init__(self, dim: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.embedder = HashEmbedder(dim)
        self.moods: list[str] = []
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that gave up is what the tests are about."""


@contextmanager
def running_server(*, dim: int = 16) -> Iterator[EmbeddingServer]:
    """A server that runs in a thread until the block ends."""
    with EmbeddingServer(dim) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = dict(self.headers)
        asked = Asked(self.path, headers, body["model"], body["input"], time.monotonic())
        self.server.asked.append(asked)
        mood = self.server.moods.pop(0) if self.server.moods else "fine"
        if mood == "slow":
            time.sleep(SLOW_S)
        if mood.isdigit():
            self._send(f'{{"error": "{KEY} is no good"}}'.encode(), int(mood))
        elif mood != "drop":
            self._send(self._answer(asked, mood), 200, drip=mood == "drip")

    def _answer(self, asked: Asked, mood: str) -> bytes:
        vectors = _spoiled(self.server.embedder.embed(asked.texts).tolist(), mood)
        items: list[object] = [
            {"index": index, "embedding": vector} for index, vector in enumerate(vectors)
        ]
        if mood == "reversed":
            items.reverse()
        if mood == "odd items":
            items = [1]
        answer = {"embeddings": vectors} if asked.path == "/api/embed" else {"data": items}
        data = json.dumps(answer).encode()
        return data[: len(data) // 2] if mood == "truncated" else _RAW.get(mood, data)

    def _send(self, data: bytes, status: int, *, drip: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", str(_RETRY_AFTER_S))
        if status == 302:
            self.send_header("Location", self.server.url)
        self.end_headers()
        step = _DRIP_BYTES if drip else max(len(data), 1)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            self.wfile.flush()
            time.sleep(_DRIP_S if drip else 0)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _spoiled(vectors: list[list[float]], mood: str) -> list[object]:
    first, last = vectors[0], vectors[-1]
    spoiled: dict[str, list[object]] = {
        "nan": [*vectors[:-1], [float("nan"), *last[1:]]],
        "size": [[*vector, 0.5] for vector in vectors],
        "ragged": [*vectors[:-1], last[:-1]],
        "count": [*vectors, first],
        "strings": ["none"] * len(vectors),
    }
    return spoiled.get(mood, list(vectors))
