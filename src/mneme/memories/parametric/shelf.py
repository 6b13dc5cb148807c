"""Adapters at hand: by digest in memory, within a budget, and from there into slots.

An adapter is loaded and checked without the engine's lock, and copied into a slot under it; the
pass runs before the lock is let go. Which slot holds what is asked of the slots themselves, at that
moment, under the lock: there is no second book that could be stale. What is taken back is
overwritten with zeros in memory and in its slot; who was just loading it loads again, and is told
by the loader that it is gone.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mneme.core.engine import KV, Engine, Session
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.fitted import Fitted
    from mneme.memories.parametric.slots import Slots


class Shelf:
    """Serves adapters by digest on one engine. Several threads may use it.

    Args:
        engine: Whose model.
        slots: On that engine; nobody else puts anything into them.
        load: Gives the adapter of a digest from where it is kept; raises if that has no row (any
            more). Called without the engine's lock, unless the caller of `using` holds it.
        host_bytes: The most that adapters may take in memory, beside those in slots and those
            that are just being loaded; the least lately used goes first.
    """

    def __init__(
        self, engine: Engine, slots: Slots, load: Callable[[str], Adapter], host_bytes: int
    ) -> None:
        if host_bytes < 0:
            raise InvalidInputError(f"host_bytes must be at least 0, not {host_bytes}")
        self._engine, self._slots, self._load = engine, slots, load
        self._host_bytes = host_bytes
        self._lock = threading.Lock()  # of what follows; never held while waiting for the engine
        self._kept: OrderedDict[str, Fitted] = OrderedDict()  # the least lately used first
        self._bytes = 0
        self._flights: set[_Flight] = set()
        self.hits = self.loads = 0
        # Under the engine's lock:
        self._order: OrderedDict[int, None] = OrderedDict.fromkeys(range(slots.count))
        self._busy: Counter[int] = Counter()  # slots of open blocks

    @property
    def capacity(self) -> int:
        """The most different adapters of one batch."""
        return self._slots.count

    def bytes(self) -> int:
        """Of the adapters in memory; those in slots are `Slots.bytes`."""
        with self._lock:
            return self._bytes

    def digests(self) -> set[str]:
        """Of all that is in memory or in a slot."""
        with self._lock:
            here = set(self._kept).union(*(flight.digests for flight in self._flights))
        return here | {tag for tag in self._slots.tags if tag is not None}

    @contextmanager
    def using(self, digests: Sequence[str | None]) -> Iterator[None]:
        """While it is open, row i of a batch runs with digests[i], or as the base.

        It holds the engine's lock, but not while it loads.

        Raises:
            InvalidInputError: More different digests than `capacity`, or an adapter that is not
                for this model. What `load` raises.
        """
        with self._placed(digests) as places:
            rows = [None if digest is None else places[digest] for digest in digests]
            with self._slots.on(rows):
                yield

    @contextmanager
    def using_all(self, digest: str) -> Iterator[None]:
        """While it is open, all rows of batches of any size run with one digest."""
        with self._placed([digest]) as places, self._slots.every(places[digest]):
            yield

    def applied(self, digest: str) -> ShelfApplied:
        """It as `Applied`, for what measures an adapter."""
        return ShelfApplied(self, digest)

    def session(self, digest: str) -> AdaptedSession:
        """A prompt in the making whose passes all run with one digest."""
        return AdaptedSession(self, digest, self._engine.session())

    def warm(self, digests: Sequence[str]) -> None:
        """Bring adapters into memory before they are asked for."""
        for digest in dict.fromkeys(digests):
            with self._flight([digest]) as flight:
                self._bring(flight, ())

    def let_go(self, present: Callable[[set[str]], set[str]]) -> set[str]:
        """Overwrite what is no longer there; who asks for it afterwards must load it.

        Returns after the pass that runs has ended.

        Args:
            present: Of some digests, those that still have a row. Called without a lock.

        Returns:
            The digests that were let go.
        """
        gone = self.digests()
        gone -= present(set(gone))
        with self._lock:
            for flight in self._flights:
                flight.is_stale |= not gone.isdisjoint(flight.digests)
            wiped = [self._drop(digest) for digest in gone & set(self._kept)]
        if gone:
            with self._engine.lock:  # nobody copies from memory, or runs, now
                for slot, tag in enumerate(self._slots.tags):
                    if tag in gone:
                        self._slots.clear(slot)
                for fitted in wiped:
                    fitted.numbers.zero_()
        return gone

    def close(self) -> None:
        """Let go of everything."""
        self.let_go(lambda _: set())

    @contextmanager
    def _placed(self, digests: Sequence[str | None]) -> Iterator[Mapping[str, int]]:
        """Under the engine's lock, with the slot of each digest."""
        wanted = list(dict.fromkeys(digest for digest in digests if digest is not None))
        if len(wanted) > self.capacity:
            raise InvalidInputError(
                f"{len(wanted)} different adapters in one batch, but {self.capacity} slots; "
                "split the batch"
            )
        slotted = self._slots.tags
        while True:
            with self._flight(wanted) as flight:
                brought = self._bring(flight, slotted)
                with self._engine.lock:
                    places = self._slotted(flight, brought)
                    if places is not None:
                        with self._pinned(places.values()):
                            yield places
                        return
            slotted = ()  # one went since, or was taken back: bring all of them

    @contextmanager
    def _flight(self, digests: Sequence[str]) -> Iterator[_Flight]:
        flight = _Flight(tuple(digests))
        with self._lock:
            self._flights.add(flight)
        try:
            yield flight
        finally:
            with self._lock:
                self._flights.discard(flight)

    @contextmanager
    def _pinned(self, places: Iterable[int]) -> Iterator[None]:
        """No block that is opened within this one takes its slots; under the engine's lock."""
        held = list(places)
        self._busy.update(held)
        try:
            yield
        finally:
            self._busy.subtract(held)

    def _bring(self, flight: _Flight, slotted: Collection[str | None]) -> dict[str, Fitted]:
        """From memory or where it is kept; what lies in a slot may stay out."""
        brought = {}
        for digest in flight.digests:
            fitted = self._remembered(digest)
            if fitted is None and digest not in slotted:
                fitted = self._slots.fit(self._load(digest))
                with self._lock:
                    self.loads += 1
                    self._keep(flight, digest, fitted)
            else:
                with self._lock:
                    self.hits += 1
            if fitted is not None:
                brought[digest] = fitted
        return brought

    def _slotted(self, flight: _Flight, brought: Mapping[str, Fitted]) -> dict[str, int] | None:
        """A slot for each digest, under the engine's lock; None: they must be brought again."""
        tags = self._slots.tags
        places = {tag: slot for slot, tag in enumerate(tags) if tag in flight.digests}
        if flight.is_stale or any(d not in places and d not in brought for d in flight.digests):
            return None
        for digest in flight.digests:
            if digest not in places:
                places[digest] = self._free(places.values())
                self._slots.widen(brought[digest].rank)
                self._slots.put(places[digest], brought[digest], tag=digest)
            self._order.move_to_end(places[digest])
        return {digest: places[digest] for digest in flight.digests}

    def _free(self, taken: Collection[int]) -> int:
        """The slot that was used least lately, of those that nobody uses."""
        for slot in self._order:
            if slot not in taken and not self._busy[slot]:
                return slot
        raise InvalidInputError(
            f"all {self.capacity} slots are used by blocks that are open around this one"
        )

    def _remembered(self, digest: str) -> Fitted | None:
        with self._lock:
            fitted = self._kept.get(digest)
            if fitted is not None:
                self._kept.move_to_end(digest)
            return fitted

    def _keep(self, flight: _Flight, digest: str, fitted: Fitted) -> None:
        """Keep it in memory, if it fits and nobody took it back since."""
        if flight.is_stale or digest in self._kept or fitted.bytes > self._host_bytes:
            return
        while self._bytes + fitted.bytes > self._host_bytes:
            self._drop(next(iter(self._kept)))
        self._kept[digest] = fitted
        self._bytes += fitted.bytes

    def _drop(self, digest: str) -> Fitted:
        fitted = self._kept.pop(digest)
        self._bytes -= fitted.bytes
        return fitted


@dataclass(eq=False, slots=True)
class _Flight:
    """What a thread brings to slots; stale once one of them was taken back."""

    digests: tuple[str, ...]
    is_stale: bool = False


class ShelfApplied:
    """One digest of a shelf as `Applied` (adapter.py)."""

    def __init__(self, shelf: Shelf, digest: str) -> None:
        self._shelf, self._digest = shelf, digest

    @property
    def past(self) -> None:
        return None

    def on(self) -> AbstractContextManager[None]:
        return self._shelf.using_all(self._digest)

    def close(self) -> None:
        """The shelf keeps what it keeps."""


class AdaptedSession:
    """A `Session` (core/engine.py) whose passes run with one adapter.

    Its keys and values are not the base's, so that they are not recorded for other prompts.
    """

    def __init__(self, shelf: Shelf, digest: str, session: Session) -> None:
        self._shelf, self._digest, self._session = shelf, digest, session

    @property
    def position(self) -> int:
        return self._session.position

    def feed(self, tokens: Sequence[int]) -> Any:  # noqa: ANN401 (a tensor)
        with self._shelf.using([self._digest]):
            return self._session.feed(tokens)

    def feed_at(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        visible: Any,  # noqa: ANN401 (a tensor)
    ) -> Any:  # noqa: ANN401
        with self._shelf.using([self._digest]):
            return self._session.feed_at(tokens, positions, visible)

    def recorded(self) -> KV:
        raise InvalidInputError(
            "keys and values under an adapter are not the model's own and are not recorded"
        )

    def cached(self) -> KV:
        return self._session.cached()
