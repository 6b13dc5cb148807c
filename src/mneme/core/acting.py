"""Who acts in this call, where that is not the one whom the settings name.

A server answers for many: it says for each request who acts, and what is written meanwhile (audit
entries, provenance) says so too. Threads that are started with a copy of the context see it.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACTOR: ContextVar[str | None] = ContextVar("actor", default=None)


def acting(otherwise: str) -> str:
    """Who acts in this context; `otherwise` where nobody was named."""
    return _ACTOR.get() or otherwise


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Let what is done within the block be done by a principal."""
    token = _ACTOR.set(name)
    try:
        yield
    finally:
        _ACTOR.reset(token)
