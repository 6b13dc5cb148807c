"""Few searches at a time, in the order in which they came.

A search is some milliseconds of Python and numpy on indexes in memory. Threads that do that at once
take the interpreter from each other: of 32 that searched at once, half of the processor went into
that, and the slowest waited three times as long as in a queue (docs/benchmarks-server.md). So those
who ask wait without a thread. What waits for others (an embedder behind an address) may be many.

A turn is taken once the whole request has come in, so that whoever sends slowly holds up nobody.
"""

from __future__ import annotations

from asyncio import Semaphore
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mneme.settings import Settings

AT_ONCE: Final = 2
AT_ONCE_REMOTE: Final = 32
_REMOTE: Final = ("openai:", "ollama:")


class Turns:
    """Turns of a server, for searches and, apart, for contexts: those may wait for what is read.

    Args:
        settings: Say whether the embedder is in this process.
    """

    def __init__(self, settings: Settings) -> None:
        count = AT_ONCE_REMOTE if settings.embedder.startswith(_REMOTE) else AT_ONCE
        self.search = Semaphore(count)
        self.recall = Semaphore(count)


async def _to_search(request: Request) -> AsyncIterator[None]:
    async with request.app.state.turns.search:
        yield


async def _to_recall(request: Request) -> AsyncIterator[None]:
    async with request.app.state.turns.recall:
        yield


# For the `dependencies` of a route; the turn ends before the answer is sent.
TO_SEARCH: Final[Any] = Depends(_to_search, scope="function")
TO_RECALL: Final[Any] = Depends(_to_recall, scope="function")
