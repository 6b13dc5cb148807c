"""A real server on 127.0.0.1 that speaks OpenAI's chat dialect, with faults.

    with running_upstream() as server:
        Settings(upstream_url=server.url, upstream_key=KEY)
    with running_upstream(moods=["500", "cut"]) as server: ...

The same request gets the same bytes, so that two ways to it can be compared. It answers with the
last message's words, or what `answer` makes of the messages; calls the first tool that a request
offers, once; gives JSON where a `response_format` asks for it; and knows `n`, `logprobs`, `stream`
and `stream_options`. HTTP/1.1, streams in chunks.

Moods of an answer: "good"; a status such as "429" (with Retry-After) or "500"; "garbage" (no JSON,
or an event that is none); "html"; "problem" (409, RFC 9457); "drop" (the connection, with no
answer); "silent" (30 s); "cut" (in the middle); "shut" (the same in a body without a length, as
servers of HTTP/1.0 send it); "stalls" (in the middle, 30 s); "drip" (byte by byte); "undone" (an
end without a reason or [DONE]); "filtered" (by a content filter); "error" (as an event); "strict"
(400 where a system message is not the first); "cookie" (sets one); "large" (many words).

It ends by itself after a number of requests or seconds.
"""

from __future__ import annotations

import hashlib
import json
import select
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.testing.bounded_server import BoundedServer, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Talk = Sequence[dict[str, Any]]

KEY: Final = "sk-key-of-the-upstream"
MODEL: Final = "echo"
_SILENCE_S: Final = 30.0
_MOST_BYTES: Final = 128 << 20  # of a request
_CREATED: Final = 1_700_000_000
_MANY_WORDS: Final = 2_000


class Asked(NamedTuple):
    """A request that came."""

    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any]
    mood: str
    path: str


class UpstreamServer(BoundedServer):
    """Answers chats; keeps what was asked.

    Args:
        moods: Of the next answers; after them all are good.
        answer: Makes the answer; the last message's words without it.
        word_s: Seconds before each word of a stream.
        wants_key: Whether a request without `KEY` gets 401.
        most_requests: After so many it ends by itself.
        most_s: After so many seconds, too.

    Attributes:
        left: Set when a client leaves in the middle of an answer.
    """

    def __init__(
        self,
        *,
        moods: Sequence[str] = (),
        answer: Callable[[Talk], str] | None = None,
        word_s: float = 0.0,
        wants_key: bool = False,
        most_requests: int = 100_000,
        most_s: float = 3600,
    ) -> None:
        super().__init__(_Handler, most_requests=most_requests, most_s=most_s)
        self.moods, self.wants_key, self.word_s = list(moods), wants_key, word_s
        self.answer = answer or (lambda messages: _words_of(messages[-1]))
        self.left = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address, as settings take it."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def take(self, headers: dict[str, str], raw: bytes, path: str) -> Asked:
        """Note a request, and say how to answer it."""
        with self._lock:
            mood = self.moods.pop(0) if self.moods else "good"
            if self.wants_key and headers.get("authorization") != f"Bearer {KEY}":
                mood = "401"
            try:
                body = json.loads(raw)
            except ValueError:
                body, mood = {}, "400"
            if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
                body, mood = {}, "400"
            asked = Asked(headers, raw, body, mood, path)
            self.asked.append(asked)
        return asked


@contextmanager
def running_upstream(**options: Any) -> Iterator[UpstreamServer]:  # noqa: ANN401
    """A server that runs in a thread until the block ends, at the latest."""
    with running(UpstreamServer(**options)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: UpstreamServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        models = [{"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "mneme"}]
        self._whole(200, json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self) -> None:
        size = min(int(self.headers["Content-Length"]), _MOST_BYTES)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = self.server.take(headers, self.rfile.read(size), self.path)
        try:
            self._answer(asked)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            self.server.left.set()

    def _answer(self, asked: Asked) -> None:
        roles = [each.get("role") for each in asked.body.get("messages", ())]
        if asked.mood.isdigit():
            self._fail(int(asked.mood))
        elif asked.mood == "strict" and "system" in roles[1:]:
            self._fail(400)
        elif asked.mood == "problem":
            said = b'{"type": "about:blank", "detail": "of the upstream"}'
            self._whole(409, said, kind="application/problem+json")
        elif asked.mood == "html":
            self._whole(200, b"<html>a proxy</html>", kind="text/html")
        elif asked.mood == "drop":
            self.close_connection = True
        elif asked.mood == "silent":
            self._stay()
        elif asked.body.get("stream"):
            self._stream(asked)
        else:
            self._complete(asked)

    # -- whole answers

    def _fail(self, status: int) -> None:
        said = {"message": f"no: {status}", "type": "of_upstream", "param": None, "code": None}
        self._whole(status, json.dumps({"error": said}).encode())

    def _complete(self, asked: Asked) -> None:
        data = json.dumps(_completion(asked, self.server.answer)).encode()
        if asked.mood == "garbage":
            data = b'{"choices": [{"mess'
        if asked.mood in {"cut", "stalls", "drip", "shut"}:
            self._head(200, None if asked.mood == "shut" else len(data))
            self._in_pieces(data, asked.mood)
        else:
            self._whole(200, data, cookie=asked.mood == "cookie")

    def _in_pieces(self, data: bytes, mood: str) -> None:
        half = data[: len(data) // 2]
        if mood == "drip":
            for at in range(len(data)):
                self._write(data[at : at + 1])
            return
        self._write(half)
        self.close_connection = True
        if mood == "stalls":
            self._stay()

    def _whole(
        self, status: int, data: bytes, *, kind: str = "application/json", cookie: bool = False
    ) -> None:
        self._head(status, len(data), kind, cookie=cookie)
        self._write(data)

    def _head(
        self,
        status: int,
        size: int | None,
        kind: str = "application/json",
        *,
        cookie: bool = False,
        chunked: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Request-Id", "req-of-the-upstream")
        if size is not None:
            self.send_header("Content-Length", str(size))
        elif chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        if cookie:
            self.send_header("Set-Cookie", "who=first; Path=/")
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()

    # -- streams

    def _stream(self, asked: Asked) -> None:
        chunked = asked.mood != "shut"
        self._head(200, None, "text/event-stream; charset=utf-8", chunked=chunked)
        events = _events(asked, self.server.answer)
        for number, event in enumerate(events):
            if number == len(events) // 2 and self._goes_wrong(asked.mood, chunked=chunked):
                return
            if self.server.word_s:
                time.sleep(self.server.word_s)
            self._send(f"data: {json.dumps(event)}\n\n".encode(), asked.mood, chunked=chunked)
        if asked.mood != "undone":
            self._send(b"data: [DONE]\n\n", asked.mood, chunked=chunked)
        if chunked:
            self._write(b"0\r\n\r\n")

    def _goes_wrong(self, mood: str, *, chunked: bool) -> bool:
        """Spoil a stream in its middle, in some moods; whether it ends here."""
        if mood == "garbage":
            self._send(b"data: {no json\n\n", mood, chunked=chunked)
        elif mood == "error":
            event = json.dumps({"error": {"message": "it broke", "type": "server_error"}})
            self._send(f"data: {event}\n\n".encode(), mood, chunked=chunked)
            self._write(b"0\r\n\r\n")
        elif mood == "stalls":
            self._stay()
        if mood in {"cut", "shut", "stalls"}:
            self.close_connection = True
        return mood in {"cut", "shut", "stalls", "error"}

    def _send(self, data: bytes, mood: str, *, chunked: bool) -> None:
        step = 1 if mood == "drip" else len(data)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            self._write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _stay(self) -> None:
        """Say nothing until the client leaves, or for a while."""
        self.close_connection = True
        ends = time.monotonic() + _SILENCE_S
        while time.monotonic() < ends and not self.server.ending.is_set():
            if select.select([self.connection], [], [], 0.01)[0]:
                self.server.left.set()
                return

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _words_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content or ())


def _message(asked: Asked, answer: Callable[[Talk], str]) -> tuple[dict[str, Any], str]:
    """What the model says, and why it stops."""
    messages, tools = asked.body["messages"], asked.body.get("tools")
    if tools and messages[-1].get("role") != "tool":
        called = {"name": tools[0]["function"]["name"], "arguments": '{"city": "Oslo"}'}
        calls = [{"id": "call_1", "type": "function", "function": called}]
        return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    text = answer(messages)
    if asked.body.get("response_format", {}).get("type", "text") != "text":
        text = json.dumps({"said": text})
    if asked.mood == "large":
        text = " ".join([text] * _MANY_WORDS)
    reason = "content_filter" if asked.mood == "filtered" else "stop"
    return {"role": "assistant", "content": text, "refusal": None}, reason


def _frame(asked: Asked, kind: str) -> dict[str, Any]:
    name = hashlib.sha256(asked.raw).hexdigest()[:24]
    model = asked.body.get("model", MODEL)
    return {"id": f"chatcmpl-{name}", "object": kind, "created": _CREATED, "model": model}


def _usage(asked: Asked, text: str | None) -> dict[str, int]:
    read = sum(len(_words_of(each).split()) for each in asked.body["messages"])
    written = len((text or "").split())
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _logprobs(asked: Asked, words: Sequence[str]) -> dict[str, Any] | None:
    if not asked.body.get("logprobs"):
        return None
    said: list[dict[str, Any]] = [
        {"token": w, "logprob": -0.5, "bytes": None, "top_logprobs": []} for w in words
    ]
    return {"content": said, "refusal": None}


def _completion(asked: Asked, answer: Callable[[Talk], str]) -> dict[str, Any]:
    message, reason = _message(asked, answer)
    words = (message["content"] or "").split()
    choices = [
        {
            "index": n,
            "message": message,
            "logprobs": _logprobs(asked, words),
            "finish_reason": None if asked.mood == "undone" else reason,
        }
        for n in range(asked.body.get("n") or 1)
    ]
    usage = _usage(asked, message["content"])
    return _frame(asked, "chat.completion") | {"choices": choices, "usage": usage}


def _events(asked: Asked, answer: Callable[[Talk], str]) -> list[dict[str, Any]]:
    message, reason = _message(asked, answer)
    frame = _frame(asked, "chat.completion.chunk")
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if message.get("tool_calls"):
        deltas += [{"tool_calls": [{"index": 0, **message["tool_calls"][0]}]}]
    words = (message["content"] or "").split(" ") if message["content"] else []
    deltas += [{"content": w if n == 0 else f" {w}"} for n, w in enumerate(words)]
    events = []
    for n in range(asked.body.get("n") or 1):
        steps: list[tuple[dict[str, Any], str | None]] = [(each, None) for each in deltas]
        steps += [] if asked.mood == "undone" else [({}, reason)]
        for delta, end in steps:
            choice = {"index": n, "delta": delta, "finish_reason": end}
            if asked.body.get("logprobs") and delta.get("content"):
                choice["logprobs"] = _logprobs(asked, [delta["content"]])
            events.append({**frame, "choices": [choice]})
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        events.append({**frame, "choices": [], "usage": _usage(asked, message["content"])})
    return events
