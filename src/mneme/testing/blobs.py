"""A place for blobs in memory, which can be full, down or wrong."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from mneme.core.blob_names import checked
from mneme.core.errors import BackendUnavailableError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class MemoryBlobs:
    """Keeps blobs in a dictionary.

    Attributes:
        room_bytes: Most bytes in all; None: no limit. Tests set it.
        down: Whether every call fails. Tests set it.
        calls: The names of the methods that were called, in order.
    """

    def __init__(self, *, name: str = "remote", room_bytes: int | None = None) -> None:
        self._name, self.room_bytes = name, room_bytes
        self.down = False
        self.calls: list[str] = []
        self._blobs: dict[str, bytes] = {}
        self._lock = Lock()

    @property
    def name(self) -> str:
        return self._name

    def put(self, blobs: Mapping[str, bytes]) -> None:
        names = checked(blobs)
        self._called("put")
        with self._lock:
            for name in names:
                others = sum(len(data) for other, data in self._blobs.items() if other != name)
                if self.room_bytes is not None and others + len(blobs[name]) > self.room_bytes:
                    raise StoreFullError(f"no room in {self._name}; raise room_bytes")
                self._blobs[name] = bytes(blobs[name])

    def get(self, names: Sequence[str]) -> list[memoryview | None]:
        names = checked(names)
        self._called("get")
        with self._lock:
            found = [self._blobs.get(name) for name in names]
        return [None if data is None else memoryview(data) for data in found]

    def drop(self, names: Iterable[str]) -> None:
        names = checked(names)
        self._called("drop")
        with self._lock:
            for name in names:
                self._blobs.pop(name, None)

    def names(self) -> Iterator[str]:
        self._called("names")
        with self._lock:
            return iter(sorted(self._blobs))

    def total_bytes(self) -> int:
        self._called("total_bytes")
        with self._lock:
            return sum(map(len, self._blobs.values()))

    def close(self) -> None:
        """Nothing is held open."""

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self.down:
            raise BackendUnavailableError(f"{self._name} does not answer; try again later")
