"""Blobs in a Redis server, or one that speaks its protocol, for several machines to share.

Every call ends in time: it runs in a thread of its own and is given up when its time is over,
whatever the server does. After a failure the server is left alone for some seconds, so that not
each request waits for it anew.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mneme.core.blob_names import checked, fits
from mneme.core.errors import (
    BackendUnavailableError,
    InvalidInputError,
    MissingDependencyError,
    StoreFullError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MOST_BYTES = 256 << 20  # of one blob; Redis itself holds 512 MiB
_GROUP_BYTES = 16 << 20  # in one request
_GROUP_NAMES = 1_000
_THREADS = 8  # requests at the same time; the others wait, within their time


class RedisBlobs:
    """Values of a server, under names that begin with `mneme:<store>:`.

    What the server evicts by itself counts as not there.
    """

    def __init__(
        self,
        url: str,
        *,
        store: str,
        timeout_s: float = 2.0,
        rest_s: float = 5.0,
        name: str = "remote",
    ) -> None:
        """Nothing is sent before the first call.

        Args:
            url: redis://, rediss:// (TLS) or unix://, with user, password and database as needed.
            store: Id of the store; those of other stores are never seen.
            timeout_s: For one `get` or `drop`, and for each 16 MiB of a `put`.
            rest_s: How long the server is left alone after a failure.
            name: Of this place.

        Raises:
            InvalidInputError: The address is none.
            MissingDependencyError: The package `redis` is not installed.
        """
        self._store, self._timeout_s, self._rest_s, self._name = store, timeout_s, rest_s, name
        self._prefix = f"mneme:{store}:"
        errors = _package().exceptions
        self._errors, self._full = errors.RedisError, errors.OutOfMemoryError
        self._client = _client_of(url, timeout_s)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mneme-redis")
        self._resting_until, self._closed = 0.0, False

    @property
    def name(self) -> str:
        return self._name

    def put(self, blobs: Mapping[str, bytes]) -> None:
        for name in checked(blobs):
            if len(blobs[name]) > MOST_BYTES:
                raise StoreFullError(
                    f"blob {name[:80]!r} has {len(blobs[name])} bytes; {self._name} takes up to "
                    f"{MOST_BYTES}"
                )
        for group in _groups({name: len(data) for name, data in blobs.items()}):
            self._asked(_mset, {self._prefix + name: blobs[name] for name in group})

    def get(self, names: Sequence[str]) -> list[memoryview | None]:
        names = checked(names)
        found = self._asked(self._values, list(dict.fromkeys(names))) if names else {}
        data = [found.get(name) for name in names]
        return [None if each is None else memoryview(each) for each in data]

    def drop(self, names: Iterable[str]) -> None:
        names = checked(names)
        for start in range(0, len(names), _GROUP_NAMES):
            self._asked(_unlink, [self._prefix + n for n in names[start : start + _GROUP_NAMES]])

    def names(self) -> Iterator[str]:
        pattern = re.sub(r"([\[\]*?^\\-])", r"\\\1", self._prefix) + "*"
        cursor, seen = 0, set[str]()
        while True:
            cursor, keys = self._asked(_scan, cursor, pattern)
            for key in keys:
                name = bytes(key).decode("utf-8", "replace").removeprefix(self._prefix)
                if name not in seen and fits(name):  # a scan may say a key twice
                    seen.add(name)
                    yield name
            if not cursor:
                return

    def total_bytes(self) -> int:
        names, total = list(self.names()), 0
        for start in range(0, len(names), _GROUP_NAMES):
            total += sum(self._asked(self._sizes, names[start : start + _GROUP_NAMES]).values())
        return total

    def close(self) -> None:
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _values(self, client: Any, names: Sequence[str]) -> dict[str, bytes | None]:  # noqa: ANN401
        found: dict[str, bytes | None] = {}
        for group in _groups(self._sizes(client, names)):
            found |= zip(group, client.mget([self._prefix + n for n in group]), strict=True)
        return found

    def _sizes(self, client: Any, names: Sequence[str]) -> dict[str, int]:  # noqa: ANN401
        """Bytes of each, 0 of what is not there; left out is what is no string, or too large."""
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.strlen(self._prefix + name)
            sizes = pipe.execute(raise_on_error=False)
        for size in sizes:
            if isinstance(size, Exception) and not str(size).startswith("WRONGTYPE"):
                raise size
        return {
            name: size
            for name, size in zip(names, sizes, strict=True)
            if isinstance(size, int) and size <= MOST_BYTES
        }

    def _asked(self, ask: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401
        """What `ask(client, *args)` gives, in time."""
        if time.monotonic() < self._resting_until:
            raise BackendUnavailableError(
                f"{self._name} did not answer a moment ago and is left alone for {self._rest_s:g} s"
            )
        own: list[Any] = []  # the client of this call, once it is connected

        def call() -> Any:  # noqa: ANN401
            with self._client.client() as client:
                own.append(client)
                return ask(client, *args)

        if self._closed:
            raise BackendUnavailableError(f"{self._name} was closed; open the store again")
        future = self._threads.submit(call)
        try:
            return future.result(self._timeout_s)
        except TimeoutError as error:
            future.cancel()
            for client in own:  # so that its thread ends
                client.connection.disconnect()
            raise self._failed(f"no answer within {self._timeout_s:g} s") from error
        except (OSError, UnicodeError, self._errors) as error:
            if isinstance(error, self._full):
                raise StoreFullError(
                    f"{self._name} has no room; raise its maxmemory, or let it evict by itself "
                    "(maxmemory-policy allkeys-lru)"
                ) from error
            raise self._failed(str(error).replace("\n", " ")[:200]) from error

    def _failed(self, why: str) -> BackendUnavailableError:
        self._resting_until = time.monotonic() + self._rest_s
        return BackendUnavailableError(f"{self._name} cannot be used: {why}; check the server")


def _mset(client: Any, keyed: Mapping[str, bytes]) -> None:  # noqa: ANN401
    client.mset(keyed)


def _unlink(client: Any, keys: Sequence[str]) -> None:  # noqa: ANN401
    client.unlink(*keys)


def _scan(client: Any, cursor: int, pattern: str) -> Any:  # noqa: ANN401
    return client.scan(cursor, match=pattern, count=_GROUP_NAMES)


def _package() -> Any:  # noqa: ANN401 (untyped)
    try:
        import redis
    except ImportError as error:
        raise MissingDependencyError("redis", "redis", "keeping blobs in a Redis server") from error
    return redis


def _client_of(url: str, timeout_s: float) -> Any:  # noqa: ANN401
    redis = _package()
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            protocol=2,
        )
    except ValueError as error:
        raise InvalidInputError(
            "the address of a Redis server looks like redis://127.0.0.1:6379, rediss://... or "
            "unix://..."
        ) from error


def _groups(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names whose bytes go in one request."""
    group: list[str] = []
    total = 0
    for name, size in sizes.items():
        if group and (total + size > _GROUP_BYTES or len(group) == _GROUP_NAMES):
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group
