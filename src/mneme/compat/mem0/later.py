"""`AsyncMemory`: the calls of `Memory` as coroutines, each run in a thread."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mneme.compat.mem0.config import ROOT
from mneme.compat.mem0.memory import Memory
from mneme.core.errors import InvalidInputError

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

    async def add(  # noqa: PLR0913 (mem0's; the last one is not an argument of Memory.add)
        self,
        messages: object,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: object = None,
        expiration_date: object = None,
        infer: bool = True,
        memory_type: str | None = None,
        prompt: str | None = None,
        llm: object = None,
    ) -> dict[str, Any]:
        """As `Memory.add`; `llm` is None: a model is chosen in the configuration."""
        if llm is not None:
            raise InvalidInputError("llm is not used; name a model in the configuration")
        return await asyncio.to_thread(
            self.inner.add,
            messages,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            metadata=metadata,
            timestamp=timestamp,
            expiration_date=expiration_date,
            infer=infer,
            memory_type=memory_type,
            prompt=prompt,
        )

    update = _later(Memory.update)
    delete = _later(Memory.delete)
    delete_all = _later(Memory.delete_all)
    reset = _later(Memory.reset)
    get = _later(Memory.get)
    get_all = _later(Memory.get_all)
    search = _later(Memory.search)
    history = _later(Memory.history)
