"""The only place that sends: one shell that waits, one that awaits."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from mneme.client.retry import persistently
from mneme.client.wire import Answer, Lost, Request
from mneme.core.errors import ForbiddenError, InvalidInputError, MissingDependencyError, MnemeError
from mneme.ingest import checks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from types import ModuleType

    import httpx2

    from mneme.client.wire import Flow

T = TypeVar("T")

_CHUNK_BYTES = 1 << 20
_KEEPALIVE_S = 2.0  # less than servers keep idle connections, so that none is used as it closes


class Sender:
    """Runs verbs, waiting for each answer."""

    def __init__(self, url: str, *, key: str | None, timeout_s: float) -> None:
        self._library = _httpx2()
        self._http: httpx2.Client = self._library.Client(
            **_options(self._library, url, key, timeout_s)
        )

    def run(self, flow: Flow[T]) -> T:
        """The result of a verb."""
        steps = persistently(flow)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Request):
                    step = steps.send(self._send(step))
                else:
                    time.sleep(step)
                    step = next(steps)
        except StopIteration as done:
            result: T = done.value
            return result

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def _send(self, request: Request) -> Answer | Lost:
        content = _read_file(request.upload) if request.upload else request.body
        sending = self._http.stream(**_arguments(request), content=content)
        try:
            with _download(request.into) as download, sending as response:
                if download is None or not response.is_success:
                    return _answer(response, response.read())
                for chunk in response.iter_bytes():
                    download.file.write(chunk)
                download.whole = True
                return _answer(response, b"")
        except self._library.HTTPError as error:
            return _lost(self._library, error)


class AsyncSender:
    """Runs verbs without holding up the event loop."""

    def __init__(self, url: str, *, key: str | None, timeout_s: float) -> None:
        self._library = _httpx2()
        self._http: httpx2.AsyncClient = self._library.AsyncClient(
            **_options(self._library, url, key, timeout_s)
        )

    async def run(self, flow: Flow[T]) -> T:
        """The result of a verb."""
        from anyio import sleep  # comes with httpx2; it knows asyncio and trio

        steps = persistently(flow)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Request):
                    step = steps.send(await self._send(step))
                else:
                    await sleep(step)
                    step = next(steps)
        except StopIteration as done:
            result: T = done.value
            return result

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def _send(self, request: Request) -> Answer | Lost:
        from anyio import to_thread

        content = _read_later(request.upload) if request.upload else request.body
        sending = self._http.stream(**_arguments(request), content=content)
        try:
            with _download(request.into) as download:
                async with sending as response:
                    if download is None or not response.is_success:
                        return _answer(response, await response.aread())
                    async for chunk in response.aiter_bytes():
                        await to_thread.run_sync(download.file.write, chunk)
                    download.whole = True
                    return _answer(response, b"")
        except self._library.HTTPError as error:
            return _lost(self._library, error)


def _httpx2() -> ModuleType:
    try:
        import httpx2
    except ImportError as error:
        raise MissingDependencyError("httpx2", "client", "the client") from error
    return httpx2


def _options(library: ModuleType, url: object, key: object, timeout_s: object) -> dict[str, Any]:
    """What both shells tell httpx2; the environment is not asked for proxies or passwords."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise InvalidInputError(
            f"url takes an address such as http://127.0.0.1:8377, not {url!r:.80}"
        )
    if key is not None and not (isinstance(key, str) and key.isascii() and key.isprintable()):
        raise InvalidInputError("key takes the text of a key, as `mneme keys add` prints it")
    seconds = checks.seconds_of(timeout_s, name="timeout_s")
    if not seconds:
        raise InvalidInputError("timeout_s takes seconds above 0")
    return {
        "base_url": url,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": seconds,
        "trust_env": False,
        "limits": library.Limits(keepalive_expiry=_KEEPALIVE_S),
    }


def _arguments(request: Request) -> dict[str, Any]:
    kind = {"Content-Type": "application/json"} if request.body is not None else {}
    return {
        "method": request.method,
        "url": request.path,
        "params": list(request.query),
        "headers": {**kind, **request.headers},
    }


def _answer(response: httpx2.Response, body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, body=body)


def _lost(library: ModuleType, error: Exception) -> Lost:
    unsent = (library.ConnectError, library.ConnectTimeout, library.PoolTimeout)
    why = str(error) or type(error).__name__
    return Lost(sent=not isinstance(error, unsent), why=why)


@dataclass(slots=True)
class _Download:
    """A file on its way; it takes its name once all of it came."""

    file: BinaryIO
    whole: bool = False


@contextmanager
def _download(path: Path | None) -> Iterator[_Download | None]:
    """A file that is opened before anything is asked for; None where none is wanted."""
    if path is None:
        yield None
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            download = _Download(file)
            yield download
            file.flush()
            os.fsync(file.fileno())
        if download.whole:
            part.replace(path)
    except OSError as error:
        if isinstance(error, MnemeError):
            raise
        raise ForbiddenError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(partial(file.read, _CHUNK_BYTES), b"")


async def _read_later(path: Path) -> AsyncIterator[bytes]:
    from anyio import open_file

    async with await open_file(path, "rb") as file:
        while chunk := await file.read(_CHUNK_BYTES):
            yield chunk
