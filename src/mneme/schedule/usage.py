"""How often cubes are used: counted in memory, written by a job: reading never commits."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.vault.parts import Parts


class Usage:
    """Counts uses of cubes until they are written."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = Lock()
        self._uses: dict[int, int] = {}

    def count(self, keys: Iterable[int]) -> None:
        """Note that cubes were used."""
        with self._lock:
            for key in keys:
                self._uses[key] = self._uses.get(key, 0) + 1

    def flush(self) -> None:
        """Write what was counted."""
        with self._lock:
            uses, self._uses = self._uses, {}
        if uses:
            now = self._parts.clock.now_us()
            with self._parts.store.write() as tx:
                tx.ledger.add_usage((key, count, now, 0.0) for key, count in uses.items())
