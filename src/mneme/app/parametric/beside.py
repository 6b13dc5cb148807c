"""Adapters that no slot holds (cartridges and others): the few used last are kept ready."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine, Session
    from mneme.memories.parametric.adapter import Adapter, Applied

_READY = 4


class Beside:
    """Applied adapters by digest.

    Args:
        engine: Whose model they change.
        load: Gives an adapter by its digest.
    """

    def __init__(self, engine: Engine, load: Callable[[str], Adapter]) -> None:
        self._engine, self._load = engine, load
        self._ready: OrderedDict[str, Applied] = OrderedDict()
        self._open: WeakSet[AppliedSession] = WeakSet()
        self._lock = RLock()

    def session(self, digest: str) -> Session:
        """A prompt that is read and answered with an adapter on."""
        with self._lock:
            session = AppliedSession(self._engine, self._applied(digest))
            self._open.add(session)
            return session

    def let_go(self, present: Callable[[set[str]], set[str]]) -> None:
        """Drop those that have no row any longer."""
        with self._lock:
            for digest in set(self._ready) - present(set(self._ready)):
                self._ready.pop(digest).close()

    def close(self) -> None:
        """Drop all."""
        self.let_go(lambda _digests: set())

    def _applied(self, digest: str) -> Applied:
        from mneme.memories.parametric.writers import build_carrier

        with self._lock:
            if digest not in self._ready:
                adapter = self._load(digest)
                self._ready[digest] = build_carrier(adapter.carrier).apply(self._engine, adapter)
            self._ready.move_to_end(digest)
            self._make_room(digest)
            return self._ready[digest]

    def _make_room(self, digest: str) -> None:
        """Drop what was used least lately, save what an open session runs with."""
        in_use = {id(session.applied) for session in self._open}
        for other in list(self._ready)[: max(0, len(self._ready) - _READY)]:
            if other != digest and id(self._ready[other]) not in in_use:
                self._ready.pop(other).close()


class AppliedSession:
    """A `Session` (core/engine.py) all of whose passes run with an adapter on."""

    def __init__(self, engine: Engine, applied: Applied) -> None:
        self._inner, self.applied = engine.session(applied.past), applied

    @property
    def position(self) -> int:
        return self._inner.position

    def feed(self, tokens: Sequence[int]) -> Tensor:
        with self.applied.on():
            logits: Tensor = self._inner.feed(tokens)
            return logits

    def feed_at(self, tokens: Sequence[int], positions: Sequence[int], visible: Tensor) -> Tensor:
        with self.applied.on():
            logits: Tensor = self._inner.feed_at(tokens, positions, visible)
            return logits

    def recorded(self) -> KV:
        return self._inner.recorded()

    def cached(self) -> KV:
        return self._inner.cached()
