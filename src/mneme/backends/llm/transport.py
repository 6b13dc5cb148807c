"""POST over HTTP that ends when its time is up, whatever the server does.

A server may be silent, send a byte now and then, or send without end. So the request runs on an
event loop in a thread of its own, where it can be cancelled at any point, and the body is counted
as it comes. No redirects and no proxies from the environment: they could carry the key elsewhere.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mneme.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from ssl import SSLContext
    from types import ModuleType
    from typing import Any

T = TypeVar("T")
_GRACE = 0.02  # share of the time that the loop has to notice that a request is over
_CONNECT_S = 10.0


class Received(NamedTuple):
    """What a server answered; `body` is None where it was longer than allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Streamed(NamedTuple):
    """An answer that is still coming."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class NotReachedError(Exception):
    """No connection, or one that broke; its text names the cause, never the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request: where to, and what."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    most_bytes: int  # of the answer
    method: str = "POST"


def post(request: Post, *, deadline: float) -> Received:
    """Send it and read the answer.

    Args:
        request: Its `most_bytes` bounds the body that is read.
        deadline: A moment of `time.monotonic()`.

    Raises:
        TimeoutError: The deadline passed.
        NotReachedError: No connection, or it broke.
        MissingDependencyError: httpx2 is not installed.
    """
    client = _httpx2()
    _trusted()  # here, not on the loop that all requests share
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    future = _LOOP.start(_send(client, request, left_s))
    try:
        return future.result(timeout=left_s * (1 + _GRACE))
    except concurrent.futures.TimeoutError:
        future.cancel()
        raise TimeoutError from None


@contextmanager
def streamed(request: Post, *, silence_s: float, deadline: float) -> Iterator[Streamed]:
    """Send it and read the answer while it comes; leaving the block ends the request.

    Args:
        request: Its `most_bytes` bounds the body that is read.
        silence_s: Longest time without a byte.
        deadline: A moment of `time.monotonic()`, for all of it.

    Raises:
        TimeoutError: Silence, or the deadline passed; also while chunks are read.
        NotReachedError: No connection, or it broke, or the body is too long; also while chunks
            are read.
        MissingDependencyError: httpx2 is not installed.
    """
    client = _httpx2()
    _trusted()
    arrived: SimpleQueue[Received | bytes | Exception | None] = SimpleQueue()

    def taken() -> Received | bytes | None:
        left_s = min(silence_s, deadline - time.monotonic())
        try:
            found = arrived.get(timeout=max(left_s, 0.0))
        except Empty:
            raise TimeoutError from None
        if isinstance(found, Exception):
            raise found
        return found

    def chunks() -> Iterator[bytes]:
        while isinstance(found := taken(), bytes):
            yield found

    future = _LOOP.start(_pump(client, request, silence_s, arrived.put))
    try:
        head = taken()
        assert isinstance(head, Received)
        yield Streamed(head.status, head.headers, chunks())
    finally:
        future.cancel()


async def _pump(
    client: ModuleType,
    request: Post,
    silence_s: float,
    put: Callable[[Received | bytes | Exception | None], None],
) -> None:
    """Hand over the head of the answer, its chunks, and None or what went wrong."""
    size = 0
    limits = client.Timeout(silence_s, connect=min(silence_s, _CONNECT_S))
    try:
        async with (
            client.AsyncClient(trust_env=False, verify=_trusted(), timeout=limits) as session,
            session.stream(
                request.method, request.url, content=request.body, headers=dict(request.headers)
            ) as answer,
        ):
            put(Received(answer.status_code, answer.headers, None))
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > request.most_bytes:
                    put(NotReachedError("it sends without end"))
                    return
                put(chunk)
        put(None)
    except client.TimeoutException:
        put(TimeoutError())
    except (client.HTTPError, client.InvalidURL, client.StreamError, OSError) as error:
        put(NotReachedError(type(error).__name__))  # its text may quote the key


async def _send(client: ModuleType, request: Post, left_s: float) -> Received:
    limits = client.Timeout(left_s, connect=min(left_s, _CONNECT_S))
    try:
        async with (
            asyncio.timeout(left_s),
            client.AsyncClient(trust_env=False, verify=_trusted(), timeout=limits) as session,
            session.stream(
                request.method, request.url, content=request.body, headers=dict(request.headers)
            ) as answer,
        ):
            body = await _body(answer, request.most_bytes)
            return Received(answer.status_code, answer.headers, body)
    except client.TimeoutException as error:
        if isinstance(error, client.ConnectTimeout) and left_s > _CONNECT_S:
            raise NotReachedError("ConnectTimeout") from None
        raise TimeoutError from None
    except (client.HTTPError, client.InvalidURL, client.StreamError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise NotReachedError(type(error).__name__) from None  # its text may quote the key


async def _body(answer: Any, most_bytes: int) -> bytes | None:  # noqa: ANN401 (httpx2.Response)
    data = bytearray()
    async for chunk in answer.aiter_raw():  # not decompressed: a bomb stays small
        data += chunk
        if len(data) > most_bytes:
            return None
    return bytes(data)


class _Loop:
    """An event loop in a daemon thread, one for each process, made at the first request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Coroutine[None, None, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():  # a fork has no thread
                self._open()
            assert self._loop is not None
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _open(self) -> None:
        self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="mneme-llm", daemon=True
        )
        self._thread.start()
        atexit.register(self._close)

    def _close(self) -> None:
        if self._loop is None or self._thread is None or self._pid != os.getpid():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=1)
        if not self._loop.is_running():
            self._loop.close()
        self._loop = None


_LOOP = _Loop()


@lru_cache(maxsize=1)
def _trusted() -> SSLContext:
    """The certificates to trust; made once, since reading them takes longer than a request."""
    context: SSLContext = _httpx2().create_ssl_context()
    return context


def _httpx2() -> ModuleType:
    try:
        import httpx2
    except ImportError as error:
        raise MissingDependencyError("httpx2", "llm", "a language model") from error
    return httpx2
