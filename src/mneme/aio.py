"""The same verbs as coroutines: each runs in a thread, so that an event loop never waits."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Self

from mneme.wiring import open_memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mneme.app.memory import MemoryOS
    from mneme.app.namespace import Namespace


def _awaitable(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @wraps(call)
    async def later(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (any verb)
        return await asyncio.to_thread(partial(call, *args, **kwargs))

    return later


class AsyncNamespace:
    """A Namespace whose verbs are coroutines, with the same names and arguments."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.path = namespace.path

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _awaitable(getattr(self._namespace, name))


class AsyncMemoryOS:
    """A MemoryOS whose verbs are coroutines; an asynchronous context manager."""

    def __init__(self, memory: MemoryOS) -> None:
        self._memory = memory

    def namespace(self, path: str | tuple[str, ...]) -> AsyncNamespace:
        """The memories of one owner."""
        return AsyncNamespace(self._memory.namespace(path))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _awaitable(getattr(self._memory, name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


async def open_async(*args: Any, **kwargs: Any) -> AsyncMemoryOS:  # noqa: ANN401
    """Open a memory without holding up the event loop; the arguments are those of `open`."""
    return AsyncMemoryOS(await asyncio.to_thread(partial(open_memory, *args, **kwargs)))
