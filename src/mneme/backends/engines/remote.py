"""A language model behind an OpenAI-compatible server, as `core.engine.RemoteEngine`.

vLLM, SGLang, llama.cpp and the large providers keep a cache of prefixes of their own. Nothing of
theirs can be stored here; but a prompt whose stable part comes first hits that cache, and the usage
that the server sends says how much it hit. vLLM says it with `--enable-prompt-tokens-details`,
SGLang with `--enable-cache-report`.

In: messages. Out: pieces of the answer, the last one with the counts. An answer that breaks off is
an error, after the pieces that came: half an answer is never taken for a whole one.
"""

from __future__ import annotations

import http
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from mneme.backends.llm.client import is_web_address
from mneme.backends.llm.dialects import bearer, count_of, text_of
from mneme.backends.llm.pace import asked_pause
from mneme.backends.llm.transport import NotReachedError, Post, streamed
from mneme.core.engine import RemotePiece
from mneme.core.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mneme.backends.llm.transport import Streamed
    from mneme.core.engine import Message, RemoteAdapters

_PATH = "/chat/completions"
_STREAM = "text/event-stream"
_LEAST_BYTES, _TOKEN_BYTES = 1 << 20, 4096  # of an answer: at all, and for each token asked for
_TOKEN_S = 1.0  # an answer may take the time-out and so many seconds for each token
_OTHER_FORM = frozenset({http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.UNPROCESSABLE_ENTITY})
_FORMS = 3
_HINTS = {
    400: "the prompt may be too long for it, or it has no such model",
    401: "check the key",
    403: "check the key, and what it may use",
    404: "check url (most servers want /v1 at its end) and the model's name",
    413: "the prompt is too long for it",
    429: "it has too much to do, or the key has no quota left; try again later",
}


class _Told(NamedTuple):
    """What one event of the stream says."""

    text: str
    ends: bool
    counts: RemotePiece | None


class OpenAIEngine:
    """Asks a server for an answer. Making one asks nothing; several threads may use it at once.

    Args:
        model: The model's name, as the server knows it.
        url: The server's address, such as http://127.0.0.1:8000/v1.
        key: Its key, if it wants one.
        timeout_s: How long it may be silent. A whole answer may take so long and one second for
            each token asked for.

    Raises:
        InvalidInputError: An argument cannot be right.
    """

    def __init__(
        self, model: str, *, url: str, key: str | None = None, timeout_s: float = 60.0
    ) -> None:
        if not model:
            raise InvalidInputError("model must be the name of a model that the server has")
        if not is_web_address(url):
            raise InvalidInputError(
                "url must be http:// or https:// with a host, and without a user or a query"
            )
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InvalidInputError("key holds characters that no key has")
        if not timeout_s > 0:
            raise InvalidInputError("timeout_s must be above 0")
        self._model, self._url, self._key = model, url.rstrip("/"), key
        self._timeout_s = timeout_s
        self._form = 0 if urlsplit(url).hostname == "api.openai.com" else 1

    def __repr__(self) -> str:
        return f"OpenAIEngine({self.id!r})"

    @property
    def id(self) -> str:
        """Its address and model."""
        return f"{self._url} {self._model}"

    @property
    def adapters(self) -> RemoteAdapters | None:
        return None

    def stream(self, messages: Sequence[Message], *, max_new_tokens: int) -> Iterator[RemotePiece]:
        if max_new_tokens < 1:
            raise InvalidInputError("max_new_tokens must be above 0")
        deadline = time.monotonic() + self._timeout_s + max_new_tokens * _TOKEN_S
        return self._pieces(messages, max_new_tokens, deadline)

    def _pieces(
        self, messages: Sequence[Message], most_tokens: int, deadline: float
    ) -> Iterator[RemotePiece]:
        for form in range(self._form, _FORMS):
            request = self._request(messages, most_tokens, form)
            try:
                with streamed(request, silence_s=self._timeout_s, deadline=deadline) as answer:
                    if answer.status in _OTHER_FORM and form + 1 < _FORMS:
                        continue
                    if answer.status == http.HTTPStatus.OK:
                        self._form = form
                    yield from self._read(answer)
                    return
            except TimeoutError:
                raise self._down(
                    f"did not go on answering in {self._timeout_s:g} s; "
                    "see its log, or give it a longer timeout_s"
                ) from None
            except NotReachedError as error:
                raise self._down(f"does not answer ({error}); is it running?") from None

    def _request(self, messages: Sequence[Message], most_tokens: int, form: int) -> Post:
        """The first form is what OpenAI wants; the last is what any server knows."""
        said = [dict(message) for message in messages]
        body: dict[str, Any] = {"model": self._model, "messages": said, "stream": True}
        if form == 0:
            body["max_completion_tokens"] = most_tokens
        else:
            body |= {"max_tokens": most_tokens, "temperature": 0}
        if form < _FORMS - 1:
            body["stream_options"] = {"include_usage": True}
        return Post(
            url=self._url + _PATH,
            headers={
                "Content-Type": "application/json",
                "Accept": _STREAM,
                "Accept-Encoding": "identity",
            }
            | bearer(self._key),
            body=json.dumps(body).encode(),
            most_bytes=_LEAST_BYTES + _TOKEN_BYTES * most_tokens,
        )

    def _read(self, answer: Streamed) -> Iterator[RemotePiece]:
        """The pieces of an answer, and a last one with what was counted."""
        if answer.status != http.HTTPStatus.OK:
            raise self._refused(answer)
        if not answer.headers.get("content-type", "").startswith(_STREAM):
            raise self._down("answers without a stream; is it an OpenAI-compatible server?")
        ended, last = False, RemotePiece(text="")
        for data in _events(answer.chunks):
            if data == b"[DONE]":
                ended = True
                break
            told = self._told(data)
            ended |= told.ends
            last = told.counts or last
            if told.text:
                yield RemotePiece(text=told.text)
        if not ended:
            raise self._down("broke off within its answer; ask again")
        yield last

    def _told(self, data: bytes) -> _Told:
        try:
            event = json.loads(data)
            if "error" in event:
                raise self._down("reports an error within its answer; see its log")
            choices = event.get("choices") or []
            delta = choices[0].get("delta") or {} if choices else {}
            text = text_of(delta.get("content"))
            ends = bool(choices) and choices[0].get("finish_reason") is not None
            return _Told(text, ends, _counts(event))
        except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
            raise self._down(
                "sends what is no answer; is it an OpenAI-compatible server?"
            ) from None

    def _refused(self, answer: Streamed) -> BackendUnavailableError:
        hint = _HINTS.get(answer.status, "see the server's log")
        if (pause_s := asked_pause(answer.headers)) > 0:
            hint += f"; it asks to wait {pause_s:g} s"
        return self._down(f"answered status {answer.status}; {hint}")

    def _down(self, what: str) -> BackendUnavailableError:
        return BackendUnavailableError(f"the engine at {urlsplit(self._url).netloc} {what}")


def _events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of server-sent events; comments and other fields are left out."""
    data: list[bytes] = []
    for line in _lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends. A server may cut anywhere, also within a character."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest


def _counts(event: Mapping[str, Any]) -> RemotePiece | None:
    """What was counted, where the event says it."""
    usage = event.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt_tokens = count_of(usage, "prompt_tokens")
    cached_tokens = _cached(event, usage)
    if prompt_tokens is not None and cached_tokens is not None and cached_tokens > prompt_tokens:
        cached_tokens = None  # not a count of this prompt's tokens
    return RemotePiece(
        text="",
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        answer_tokens=count_of(usage, "completion_tokens"),
    )


def _cached(event: Mapping[str, Any], usage: Mapping[str, Any]) -> int | None:
    """Tokens from the server's cache, wherever it says so; None where it says nothing."""
    places = (
        (usage.get("prompt_tokens_details"), "cached_tokens"),  # OpenAI, vLLM, SGLang
        (usage, "prompt_cache_hit_tokens"),  # DeepSeek
        (usage, "cached_tokens"),  # others
        (event, "cached_tokens"),
        (event.get("timings"), "cache_n"),  # llama.cpp
    )
    found = (count_of(place, name) for place, name in places)
    return next((count for count in found if count is not None), None)
