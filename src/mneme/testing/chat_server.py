"""A real HTTP server on 127.0.0.1 that streams answers and keeps prefixes, as vLLM does.

    with running_chat_server() as server:
        engine = mneme.remote_engine("small", url=server.url)
    with running_chat_server(moods=["500", "cut"], report="none") as server: ...

It speaks OpenAI's `/v1/chat/completions` with `stream: true`. A token is a word of the messages, in
their order, with one for the role before each. Full blocks of 16 tokens are kept by what stands
before them; a prompt that begins with known blocks gets them from the cache, all but its last
token, and the usage at the end says how many. The answer is the last message's words, or what
`answer` makes of the messages.

Moods of an answer: "good"; a status such as "401", "429" (with Retry-After) or "500"; "old" (400
where `stream_options` is asked for); "garbage"; "error" (within the stream); "cut"; "drop" (no
answer at all); "silent" (30 s); "stalls" (within the answer); "drip" (byte by byte); "endless";
"whole" (JSON, no stream); "html".

It ends by itself after a number of requests or seconds.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.testing.bounded_server import BoundedServer, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Talk = Sequence[dict[str, Any]]

KEY = "sk-key-of-the-chat-server"
BLOCK_TOKENS: Final = 16
REPORTS: Final = ("details", "hit", "flat", "timings", "none")
_SILENCE_S = 30.0
_MOST_BYTES = 64 << 20  # of a request
_ENDLESS_WORDS = 200_000


class Turn(NamedTuple):
    """A request that came, and what of its prompt was known."""

    headers: dict[str, str]
    body: dict[str, Any]
    mood: str
    prompt_tokens: int
    cached_tokens: int


class PrefixCache:
    """Full blocks of tokens by their chain of hashes; the least used go first.

    Args:
        most_blocks: As many are kept.
    """

    def __init__(self, most_blocks: int = 4096) -> None:
        self._most = most_blocks
        self._blocks: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._blocks)

    def take(self, tokens: Sequence[str]) -> int:
        """How many of the first tokens are known, all but the last at most; keeps all blocks."""
        known, still, parent = 0, True, b""
        with self._lock:
            for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
                block = tokens[start : start + BLOCK_TOKENS]
                parent = hashlib.sha256(parent + "\0".join(block).encode()).digest()
                still = still and parent in self._blocks and start + BLOCK_TOKENS < len(tokens)
                known += BLOCK_TOKENS * still
                self._blocks[parent] = None
                self._blocks.move_to_end(parent)
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
        return known


def tokens_of(messages: Talk) -> list[str]:
    """The prompt's tokens: the words of the messages, each message after its role."""
    return [
        word
        for message in messages
        for word in (f"<{message['role']}>", *str(message["content"]).split())
    ]


class ChatServer(BoundedServer):
    """Streams answers; keeps what was asked.

    Args:
        moods: Of the next answers; after them all are good.
        report: How it says what was cached: "details" (OpenAI, vLLM, SGLang), "hit" (DeepSeek),
            "flat", "timings" (llama.cpp) or "none".
        answer: Makes the answer; the last message's words without it.
        wants_key: Whether a request without `KEY` gets 401.
        most_requests: After so many it ends by itself.
        most_s: After so many seconds, too.
    """

    def __init__(
        self,
        *,
        moods: Sequence[str] = (),
        report: str = "details",
        answer: Callable[[Talk], str] | None = None,
        wants_key: bool = False,
        most_requests: int = 100_000,
        most_s: float = 3600,
    ) -> None:
        if report not in REPORTS:
            raise ValueError(f"report is one of {REPORTS}, not {report!r}")
        super().__init__(_Handler, most_requests=most_requests, most_s=most_s)
        self.moods, self.report, self.wants_key = list(moods), report, wants_key
        self.answer = answer or (lambda messages: str(messages[-1]["content"]))
        self.cache = PrefixCache()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address, as an engine takes it."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def take(self, headers: dict[str, str], body: dict[str, Any]) -> Turn:
        """Note a request, and say how to answer it."""
        with self._lock:
            mood = self.moods.pop(0) if self.moods else "good"
            if self.wants_key and headers.get("Authorization") != f"Bearer {KEY}":
                mood = "401"
            if mood == "old" and "stream_options" in body:
                self.moods.insert(0, mood)  # until it is asked without
                mood = "400"
            tokens = tokens_of(body["messages"])
            known = 0 if mood.isdigit() else self.cache.take(tokens)
            turn = Turn(headers, body, mood, len(tokens), known)
            self.asked.append(turn)
        return turn


@contextmanager
def running_chat_server(**options: Any) -> Iterator[ChatServer]:  # noqa: ANN401 (of ChatServer)
    """A server that runs in a thread until the block ends, at the latest."""
    with running(ChatServer(**options)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        size = min(int(self.headers["Content-Length"]), _MOST_BYTES)
        turn = self.server.take(dict(self.headers), json.loads(self.rfile.read(size)))
        if turn.mood.isdigit():
            self._whole(int(turn.mood), b'{"error": {"message": "no %s"}}' % KEY.encode())
        elif turn.mood == "html":
            self._whole(200, b"<html>a proxy</html>", kind="text/html")
        elif turn.mood == "whole":
            self._whole(200, b'{"choices": [{"message": {"content": "all at once"}}]}')
        elif turn.mood == "silent":
            self._stay(_SILENCE_S)
        elif turn.mood != "drop":
            self._stream(turn)

    def _whole(self, status: int, data: bytes, *, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", kind)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, turn: Turn) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()  # HTTP/1.0: the body ends with the connection
        words = self.server.answer(turn.body["messages"]).split()
        most = turn.body.get("max_tokens") or turn.body["max_completion_tokens"]
        cut = len(words) > most
        words = ["more"] * _ENDLESS_WORDS if turn.mood == "endless" else words[:most]
        self._event({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, turn)
        for number, word in enumerate(words):
            if number == 1 and self._goes_wrong(turn):
                return
            text = word if number == 0 else f" {word}"
            self._event({"choices": [{"delta": {"content": text}, "finish_reason": None}]}, turn)
        reason = "length" if cut else "stop"
        self._event({"choices": [{"delta": {}, "finish_reason": reason}]}, turn)
        if turn.body.get("stream_options"):
            self._event(_usage(turn, len(words), self.server.report), turn)
        self.wfile.write(b"data: [DONE]\n\n")

    def _goes_wrong(self, turn: Turn) -> bool:
        """Spoil the answer after its first word, in some moods; whether it ends here."""
        if turn.mood == "garbage":
            self.wfile.write(b"data: {not json\n\n")
        elif turn.mood == "error":
            self._event({"error": {"message": f"no {KEY}"}}, turn)
        elif turn.mood == "stalls":
            self._stay(_SILENCE_S)
        return turn.mood in {"garbage", "error", "stalls", "cut"}

    def _event(self, event: dict[str, Any], turn: Turn) -> None:
        data = f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        step = 1 if turn.mood == "drip" else len(data)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            self.wfile.flush()

    def _stay(self, seconds: float) -> None:
        self.server.ending.wait(seconds)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _usage(turn: Turn, answer_tokens: int, report: str) -> dict[str, Any]:
    """The last event of a stream, as servers of a kind send it."""
    known = turn.cached_tokens
    usage: dict[str, Any] = {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": answer_tokens,
        "prompt_tokens_details": {"cached_tokens": known} if report == "details" else None,
    }
    if report == "hit":
        usage["prompt_cache_hit_tokens"] = known
    if report == "flat":
        usage["cached_tokens"] = known
    timings = {"timings": {"cache_n": known}} if report == "timings" else {}
    return {"choices": [], "usage": usage} | timings
