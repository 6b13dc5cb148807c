"""A real HTTP server on 127.0.0.1 that takes LoRA adapters while it runs, as vLLM does.

    with running_lora_server() as server:
        lora = LoraServer(url=server.url)

It has `/v1/models`, `/v1/load_lora_adapter`, `/v1/unload_lora_adapter` and a streaming
`/v1/chat/completions` that answers with the name of the model that was asked, or 404 where it does
not have it. It looks into the folder of an adapter as vLLM does: without a config there is none,
and a rank above its limit is refused. Statuses and words are those of vLLM's `serving_models.py`,
in the form of older versions (the error is the body) or newer ones (the error is in the body).

Moods of an answer: "good"; a status such as "401" or "500"; "garbage"; "drop"; "silent" (30 s);
"endless". It ends by itself after a number of requests or seconds.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.testing.bounded_server import BoundedServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEY: Final = "sk-key-of-the-lora-server"
BASE_MODEL: Final = "small"
_SILENCE_S = 30.0
_MOST_BYTES = 1 << 20
_ENDLESS_BYTES = 64 << 20
_MOST_REQUESTS, _MOST_S = 10_000, 3600.0


class LoraRequest(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Reply(NamedTuple):
    """Status and body; a text is a success of vLLM."""

    status: int
    body: object


class LoraTestServer(BoundedServer):
    """Keeps which adapters are loaded, and what was asked.

    Args:
        moods: Of the next answers; after them all are good.
        takes_adapters: Whether it was started so that adapters come and go.
        is_old: Whether errors have the form of older versions.
        most_rank: Of an adapter.
        wants_key: Whether a request without `KEY` gets 401.

    Attributes:
        adapters: Paths by name.
    """

    def __init__(
        self,
        *,
        moods: Sequence[str] = (),
        takes_adapters: bool = True,
        is_old: bool = False,
        most_rank: int = 16,
        wants_key: bool = False,
    ) -> None:
        super().__init__(_Handler, most_requests=_MOST_REQUESTS, most_s=_MOST_S)
        self.moods, self.takes_adapters, self.is_old = list(moods), takes_adapters, is_old
        self.most_rank, self.wants_key = most_rank, wants_key
        self.adapters: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address, as an engine takes it."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def take(self, request: LoraRequest) -> str:
        """Note a request; the mood in which to answer it."""
        with self._lock:
            self.asked.append(request)
            if self.wants_key and request.headers.get("Authorization") != f"Bearer {KEY}":
                return "401"
            return self.moods.pop(0) if self.moods else "good"

    def answer(self, request: LoraRequest) -> Reply:
        """What vLLM would."""
        with self._lock:
            if request.path == "/v1/models":
                return Reply(200, {"object": "list", "data": self._cards()})
            if self.takes_adapters and request.path == "/v1/load_lora_adapter":
                return self._load(request.body)
            if self.takes_adapters and request.path == "/v1/unload_lora_adapter":
                return self._unload(request.body)
        return Reply(404, {"detail": "Not Found"})

    def has(self, model: object) -> bool:
        """Whether a request may name this model."""
        return model == BASE_MODEL or model in self.adapters

    def _cards(self) -> list[dict[str, Any]]:
        base: dict[str, Any] = {"id": BASE_MODEL, "object": "model", "parent": None}
        return [base] + [
            {"id": name, "object": "model", "root": path, "parent": BASE_MODEL}
            for name, path in self.adapters.items()
        ]

    def _load(self, body: dict[str, Any]) -> Reply:
        name, path = body.get("lora_name"), body.get("lora_path")
        if not name or not path:
            said = "Both 'lora_name' and 'lora_path' must be provided."
            return self.error(400, "InvalidUserInput", said)
        if name in self.adapters:
            said = f"The lora adapter '{name}' has already been loaded."
            return self.error(400, "InvalidUserInput", said)
        try:
            rank = json.loads((Path(path) / "adapter_config.json").read_bytes())["r"]
        except OSError:
            said = f"Loading lora {name} failed: No adapter found for {path}"
            return self.error(404, "NotFoundError", said)
        if rank > self.most_rank:
            said = f"LoRA rank {rank} is greater than max_lora_rank {self.most_rank}."
            return self.error(400, "BadRequestError", said)
        self.adapters[name] = path
        return Reply(200, f"Success: LoRA adapter '{name}' added successfully.")

    def _unload(self, body: dict[str, Any]) -> Reply:
        name = body.get("lora_name")
        if self.adapters.pop(str(name), None) is None:
            said = f"The lora adapter '{name}' cannot be found."
            return self.error(404, "NotFoundError", said)
        return Reply(200, f"Success: LoRA adapter '{name}' removed successfully.")

    def error(self, status: int, kind: str, message: str) -> Reply:
        """An error in the form of the server's version."""
        said = {"message": message, "type": kind, "param": None, "code": status}
        return Reply(status, {"object": "error", **said} if self.is_old else {"error": said})


@contextmanager
def running_lora_server(**options: Any) -> Iterator[LoraTestServer]:  # noqa: ANN401
    """A server that runs in a thread until the block ends, at the latest."""
    with running(LoraTestServer(**options)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: LoraTestServer

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        size = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
        self._reply(json.loads(self.rfile.read(size) or b"{}"))

    def _reply(self, body: dict[str, Any]) -> None:
        request = LoraRequest(self.path, dict(self.headers), body)
        mood = self.server.take(request)
        if mood == "silent":
            self.server.ending.wait(_SILENCE_S)
        elif mood == "endless":
            self._send(200, b" " * _ENDLESS_BYTES)
        elif mood == "garbage":
            self._send(200, b"<html>a proxy</html>")
        elif mood.isdigit():
            reply = self.server.error(int(mood), "Error", f"no {KEY}")
            self._send(reply.status, json.dumps(reply.body).encode())
        elif mood != "drop":
            self._answer(request)

    def _answer(self, request: LoraRequest) -> None:
        if request.path != "/v1/chat/completions":
            reply = self.server.answer(request)
            said = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self._send(reply.status, said.encode())
        elif not self.server.has(request.body.get("model")):
            reply = self.server.error(404, "NotFoundError", "The model does not exist.")
            self._send(reply.status, json.dumps(reply.body).encode())
        else:
            piece = {"delta": {"content": request.body["model"]}, "finish_reason": "stop"}
            event = json.dumps({"choices": [piece]})
            self._send(200, f"data: {event}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")

    def _send(self, status: int, data: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
