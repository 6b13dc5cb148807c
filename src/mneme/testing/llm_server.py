"""A real HTTP server on 127.0.0.1 that plays a language model, in good and bad moods.

    with running_llm_server(moods=["500", "good"]) as server:   # these, then good ones
        ... server.url ...
    with running_llm_server(seed=7) as server:                  # drawn anew for each request

It speaks OpenAI's, Anthropic's and Ollama's dialects. A prompt that holds turns as a JSON array on
a line of its own gets statements made from them by a simple rule (llm_script.py); any other gets
the simplest value of its schema. Moods: "good"; "truncated" JSON; "wrong schema"; "invented" (good
ones and one that no turn says); "429" (with Retry-After), "500" or another status; "silent" (30 s);
"huge" (10 MB); "reader" (instructions to whoever reads the answer); also "drip", "drop", "cut",
"fenced", "not json", "no choices".

It ends by itself after a number of requests or seconds.
"""

from __future__ import annotations

import json
import random
import select
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.testing.bounded_server import BoundedServer, running
from mneme.testing.llm_script import answer_to, spoiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEY = "sk-key-of-the-test-server"
DRAWN: Final = (
    "good", "truncated", "wrong schema", "invented", "429", "500", "silent", "huge", "reader",
)  # fmt: skip
_SILENCE_S, _HUGE_BYTES, _CHUNK = 30.0, 10_000_000, 65_536
_STEP_S = 0.05
_DRIPPED = 3  # bytes at a time


class Asked(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    mood: str
    number: int
    at_s: float  # time.monotonic()


class LlmServer(BoundedServer):
    """Plays a language model; keeps what was asked.

    Args:
        moods: Of the next answers; after them all are good.
        seed: Else each answer's mood is drawn; the same seed draws the same.
        retry_after_s: What "429" asks for.
        most_requests: After so many it ends by itself.
        most_s: After so many seconds, too.
    """

    def __init__(
        self,
        *,
        moods: Sequence[str] = (),
        seed: int | None = None,
        retry_after_s: float = 1,
        most_requests: int = 100_000,
        most_s: float = 3600,
    ) -> None:
        super().__init__(_Handler, most_requests=most_requests, most_s=most_s)
        self.moods, self.seed = list(moods), seed
        self.retry_after_s = retry_after_s
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Asked:
        """Note a request, and say in which mood to answer it."""
        with self._lock:
            if self.moods:
                mood = self.moods.pop(0)
            elif self.seed is not None:
                mood = random.Random(f"{self.seed}:{len(self.asked)}").choice(DRAWN)
            else:
                mood = "good"
            asked = Asked(path, headers, body, mood, len(self.asked), time.monotonic())
            self.asked.append(asked)
        return asked


@contextmanager
def running_llm_server(**options: Any) -> Iterator[LlmServer]:  # noqa: ANN401 (of LlmServer)
    """A server that runs in a thread until the block ends, at the latest."""
    with running(LlmServer(**options)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: LlmServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = self.server.take(self.path, dict(self.headers), body)
        if asked.mood.isdigit():
            self._send(int(asked.mood), b'{"error": {"message": "no %s"}}' % KEY.encode())
        elif asked.mood == "silent":
            self._stay(_SILENCE_S)
        elif asked.mood == "huge":
            self._send_huge()
        elif asked.mood != "drop":
            self._send(200, self._answer(asked), drip=asked.mood == "drip")

    def _answer(self, asked: Asked) -> bytes:
        rng = random.Random(f"{self.server.seed}:{asked.number}:answer")
        text = spoiled(answer_to(asked.body, asked.path), asked.mood, rng)
        answer = _wrapped(asked, text)
        if asked.mood == "no choices":
            answer = {"choices": [], "content": [], "message": None}
        return json.dumps(answer).encode()

    def _send(self, status: int, data: bytes, *, drip: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        if status == 429:
            self.send_header("Retry-After", f"{self.server.retry_after_s:g}")
        if status == 302:
            self.send_header("Location", self.server.url)
        self.end_headers()
        step = _DRIPPED if drip else max(len(data), 1)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            self.wfile.flush()
            if drip and self._stay(_STEP_S):
                return

    def _send_huge(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(_HUGE_BYTES))
        self.end_headers()
        for _ in range(_HUGE_BYTES // _CHUNK + 1):
            self.wfile.write(b" " * _CHUNK)

    def _stay(self, seconds: float) -> bool:
        """Wait; True if the client left, or the server is to end, before that."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.server.ending.is_set():
            readable, _, _ = select.select([self.connection], [], [], _STEP_S)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return True
        return self.server.ending.is_set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _wrapped(asked: Asked, text: str) -> dict[str, Any]:
    """The text as a server of the path's kind answers it."""
    read, written = len(str(asked.body)) // 4, len(text) // 4 + 1
    cut = asked.mood == "cut"
    if asked.path.endswith("/messages"):
        try:
            block = {"type": "tool_use", "name": "answer", "input": json.loads(text)}
        except ValueError:
            block = {"type": "text", "text": text}
        usage = {"input_tokens": read, "output_tokens": written}
        return {"content": [block], "usage": usage, "stop_reason": "max_tokens" if cut else "end"}
    message = {"role": "assistant", "content": text}
    if asked.path.endswith("/api/chat"):
        counts = {"prompt_eval_count": read, "eval_count": written}
        return {"message": message, "done_reason": "length" if cut else "stop", **counts}
    usage = {"prompt_tokens": read, "completion_tokens": written}
    choice = {"message": message, "finish_reason": "length" if cut else "stop"}
    return {"choices": [choice], "usage": usage}
