"""How often cubes and blocks are used: counted in memory, written later: reading never commits."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.vault.parts import Parts


class Usage:
    """Counts uses of cubes and blocks until they are written."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = Lock()
        self._uses: dict[int, int] = {}
        self._blocks: dict[int, int] = {}

    def count(self, keys: Iterable[int]) -> None:
        """Note that cubes were used."""
        with self._lock:
            for key in keys:
                self._uses[key] = self._uses.get(key, 0) + 1

    def count_blocks(self, numbers: Iterable[int]) -> None:
        """Note that blocks were used, by number."""
        with self._lock:
            for number in numbers:
                self._blocks[number] = self._blocks.get(number, 0) + 1

    def flush(self) -> None:
        """Write what was counted."""
        with self._lock:
            uses, self._uses = self._uses, {}
            blocks, self._blocks = self._blocks, {}
        if uses or blocks:
            now = self._parts.clock.now_us()
            with self._parts.store.write() as tx:
                tx.blocks.used(blocks.items(), now)
                tx.ledger.add_usage((key, count, now, 0.0) for key, count in uses.items())
