"""Brings what a session's next question will likely need to host memory, while nobody waits.

In: the chain that a chat used. Out: that chain, what followed it before, in memory. A guess costs a
read and some room in memory, never an answer: `Tiers.ahead` counts what came of it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from mneme.core.errors import MnemeError
from mneme.memories.activation.forms import is_cuttable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.rows import BlockRow
    from mneme.memories.activation.match import BlockIndex
    from mneme.memories.activation.tiers import Tiers

_WAITING = 4  # chats; the oldest is left out
_MOST_BLOCKS = 64


def likely(
    index: BlockIndex, rows: Sequence[BlockRow], *, most: int = _MOST_BLOCKS
) -> list[BlockRow]:
    """The chain of a chat, and what followed it in chats before, the most used first.

    Args:
        index: Of the namespace and the engine.
        rows: The chain that was used, from its head.
        most: Blocks beyond the chain.
    """
    ahead: list[BlockRow] = []
    open_ends = deque(rows[-1:])
    while open_ends and len(ahead) < most:
        used = [row for row in index.children(open_ends.popleft().key) if row.uses]
        used = [row for row in used if is_cuttable(row.form)]
        used.sort(key=lambda row: row.uses, reverse=True)
        ahead += used
        open_ends += used
    return [*rows, *ahead[:most]]


class Prefetcher:
    """One thread that brings blocks near after chats.

    Args:
        tiers: Where to.

    Attributes:
        asked: How many chats asked for it.
        left_out: How many of them were not served, because newer ones came or a read failed.
    """

    def __init__(self, tiers: Tiers) -> None:
        self._tiers = tiers
        self.asked = self.left_out = 0
        self._waiting: deque[Callable[[], Sequence[BlockRow]]] = deque()
        self._busy = self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def after(self, choose: Callable[[], Sequence[BlockRow]]) -> None:
        """Bring near what `choose` gives; it is called in another thread."""
        with self._changed:
            if self._closing:
                return
            self.asked += 1
            self._waiting.append(choose)
            if len(self._waiting) > _WAITING:
                self._waiting.popleft()
                self.left_out += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="mneme-prefetch", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing waits; whether that was in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Drop what waits, and end."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                choose = self._waiting.popleft()
                self._busy = True
            served = self._bring(choose)
            with self._changed:
                self.left_out += not served
                self._busy = False
                self._changed.notify_all()

    def _bring(self, choose: Callable[[], Sequence[BlockRow]]) -> bool:
        epoch = self._tiers.epoch  # before the rows are read
        try:
            self._tiers.warm(choose(), epoch=epoch)
        except MnemeError:
            return False
        return True
