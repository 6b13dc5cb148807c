"""Few searches at a time, in the order in which they came.

A search is some milliseconds of Python and numpy on indexes in memory. Threads that do that at once
take the interpreter from each other: of 32 that searched at once, half of the processor went into
that, and the slowest waited three times as long as in a queue (docs/benchmarks-server.md). So those
who ask wait without a thread. What waits for others (an embedder behind an address) may be many.

A turn is taken once the whole request has come in, so that whoever sends slowly holds up nobody.
"""

from __future__ import annotations

from asyncio import Semaphore
from typing import TYPE_CHECKING, Final, TypeVar

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.settings import Settings

R = TypeVar("R")

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


async def take_turns(turns: Semaphore, work: Callable[[], R]) -> R:
    """Do work of a request that has come in whole in a thread, when it is its turn."""
    async with turns:
        return await run_in_threadpool(work)
