"""`AsyncMemory`: the calls of `Memory` as coroutines, each run in a thread."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mneme.compat.mem0.config import ROOT
from mneme.compat.mem0.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from mneme.app.memory import MemoryOS
    from mneme.client import Client
    from mneme.core.clock import Clock

P = ParamSpec("P")
T = TypeVar("T")


def _later(
    call: Callable[Concatenate[Memory, P], T],
) -> Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, T]]:
    @wraps(call)
    async def awaits(self: AsyncMemory, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(partial(call, self.inner, *args, **kwargs))

    return awaits


class AsyncMemory:
    """The same, whose calls are coroutines; an asynchronous context manager.

    Args:
        config: As `from_config` takes it; None: the user's store, no model.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self.inner = Memory(config)

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any]) -> Self:
        """As `Memory.from_config`."""
        return cls(config_dict)

    @classmethod
    def over(
        cls, store: MemoryOS | Client, *, root: str = ROOT, clock: Clock | None = None
    ) -> Self:
        """As `Memory.over`."""
        made = cls.__new__(cls)
        made.inner = Memory.over(store, root=root, clock=clock)
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, if this opened it."""
        self.inner.close()

    add = _later(Memory.add)
    update = _later(Memory.update)
    delete = _later(Memory.delete)
    delete_all = _later(Memory.delete_all)
    reset = _later(Memory.reset)
    get = _later(Memory.get)
    get_all = _later(Memory.get_all)
    search = _later(Memory.search)
    history = _later(Memory.history)
