"""Adapters that no slot holds (cartridges and others): the few used last are kept ready."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING

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
        self._lock = RLock()

    def session(self, digest: str) -> Session:
        """A prompt that is read and answered with an adapter on."""
        return AppliedSession(self._engine, self._applied(digest))

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
            while len(self._ready) > _READY:
                self._ready.popitem(last=False)[1].close()
            return self._ready[digest]


class AppliedSession:
    """A `Session` (core/engine.py) all of whose passes run with an adapter on."""

    def __init__(self, engine: Engine, applied: Applied) -> None:
        self._inner, self._applied = engine.session(applied.past), applied

    @property
    def position(self) -> int:
        return self._inner.position

    def feed(self, tokens: Sequence[int]) -> Tensor:
        with self._applied.on():
            logits: Tensor = self._inner.feed(tokens)
            return logits

    def feed_at(self, tokens: Sequence[int], positions: Sequence[int], visible: Tensor) -> Tensor:
        with self._applied.on():
            logits: Tensor = self._inner.feed_at(tokens, positions, visible)
            return logits

    def recorded(self) -> KV:
        return self._inner.recorded()

    def cached(self) -> KV:
        return self._inner.cached()
