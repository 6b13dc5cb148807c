"""Indexes in memory for each namespace in use, as fresh as the store at every search.

What users wrote and what Mneme derived from it are indexed apart, so that what is derived neither
displaces the words that it was taken from nor changes how they are weighed. A namespace's change
counter, read with each search, tells whether this or another process wrote; then only the cubes
changed since are read. The least used indexes go when memory is short.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.rows import Selection, Shown
from mneme.govern.retention import is_hidden
from mneme.vault.entries import best_span
from mneme.vault.index.claims import Claims
from mneme.vault.index.namespace import NamespaceIndex
from mneme.vault.marks import DERIVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mneme.core.protocols import IndexRow
    from mneme.core.rows import Namespace
    from mneme.core.store import Transaction
    from mneme.vault.parts import Parts
    from mneme.vault.visible import Window

_AS_OF_KEPT = 2
_BLOCK_ROWS = 8192
_CLAIM_BYTES = 1000  # about what a turn with a few statements takes


class Indexes(NamedTuple):
    """What is known of a namespace in memory.

    Attributes:
        ground: What users wrote: turns, documents, sections.
        written: What Mneme derived from it.
        claims: Which turns say only what holds no longer; empty for a past time.
    """

    ground: NamespaceIndex
    written: NamespaceIndex
    claims: Claims

    def apply(self, rows: Iterable[IndexRow]) -> None:
        """Take in changed cubes."""
        stream = iter(rows)
        while block := list(islice(stream, _BLOCK_ROWS)):
            erased = [row for row in block if row.state == "erased"]  # their origin is gone, too
            for row in erased:
                self.claims.drop(row.key)
            self.ground.apply(row for row in block if row.origin != DERIVED)
            self.written.apply([*erased, *(row for row in block if row.origin == DERIVED)])

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.ground.size_bytes + self.written.size_bytes + _CLAIM_BYTES * len(self.claims)


def _nothing() -> Indexes:
    return Indexes(NamespaceIndex(), NamespaceIndex(), Claims())


class _Cached:
    """The indexes, their lock, and up to where they were read."""

    __slots__ = ("bytes", "embedder", "indexes", "lock", "seq")

    def __init__(self) -> None:
        self.indexes = _nothing()
        self.lock = Lock()
        self.seq = 0
        self.embedder: int | None = None
        self.bytes = 0


class Finder:
    """Gives searches an index that holds all that was acknowledged, and reads what they found.

    Args:
        parts: The store and its companions.
        budget_bytes: Memory for indexes; the one in use is kept whatever its size.
    """

    def __init__(self, parts: Parts, budget_bytes: int) -> None:
        self._parts, self._budget_bytes = parts, budget_bytes
        self._cached: OrderedDict[str, _Cached] = OrderedDict()
        self._past: OrderedDict[tuple[str, int, int], Indexes] = OrderedDict()
        self._lock = Lock()
        self._held = 0

    @contextmanager
    def indexes(self, path: str, as_of: int | None = None) -> Iterator[Indexes]:
        """The indexes of a namespace, locked for this search."""
        if as_of is not None:
            yield self._indexes_as_of(path, as_of)
            return
        with self._lock:
            cached = self._cached.setdefault(path, _Cached())
            self._cached.move_to_end(path)
        with cached.lock:
            changed = self._refresh(path, cached)
            yield cached.indexes
            if changed:
                self._weigh(cached)
        if changed:
            self._make_room(path)

    def matching(self, path: str, window: Window) -> set[int] | None:
        """Cubes that meet the conditions of a window; None where it has none."""
        if not window.conditions:
            return None
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            if known is None:
                return set()
            selection = Selection(
                states=window.states, conditions=window.conditions, now=window.now
            )
            if window.as_of is not None:
                return tx.cubes.select_as_of(known.number, selection, window.as_of)
            return {row.key for row in tx.cubes.select(known.number, selection)}

    def read(
        self, path: str, keys: Sequence[int], *, now: int, as_of: int | None
    ) -> dict[int, Shown]:
        """What is behind keys, without what was hidden meanwhile."""
        found: dict[int, Shown] = {}
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            if known is None:
                return found
            for shown in tx.cubes.shown(known.number, keys):
                if not is_hidden(shown.row, now):
                    key = shown.row.key
                    found[key] = shown if as_of is None else _as_of(tx, known, shown, as_of)
        return found

    def drop(self) -> None:
        """Forget every index; they are read anew."""
        with self._lock:
            self._cached.clear()
            self._held = 0
            self._past.clear()

    def bytes(self) -> int:
        """Memory held by indexes."""
        with self._lock:
            return self._held

    def _refresh(self, path: str, cached: _Cached) -> bool:
        """Read what changed since the index was last in use; whether anything did."""
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            embedder = self._embedder(tx)
            if embedder != cached.embedder:
                cached.indexes, cached.seq, cached.embedder = _nothing(), 0, embedder
            if known is None or known.seq == cached.seq:
                return False
            cached.indexes.apply(tx.entries.rows(known.number, cached.seq, embedder))
            cached.indexes.claims.apply(tx.written.claims(known.number, cached.seq))
            cached.seq = known.seq
            return True

    def _embedder(self, tx: Transaction) -> int | None:
        embedder_id = self._parts.embedding.id
        return None if embedder_id is None else tx.entries.embedder_number(embedder_id)

    def _indexes_as_of(self, path: str, as_of: int) -> Indexes:
        with self._parts.store.read() as tx:
            known: Namespace | None = tx.cubes.namespace(path)
            key = (path, known.seq if known else 0, as_of)
            with self._lock:
                indexes = self._past.get(key)
            if indexes is None:
                indexes = _nothing()
                if known is not None:
                    rows = tx.entries.rows_as_of(known.number, as_of, self._embedder(tx))
                    indexes.apply(rows)
                indexes.ground.prepare()
                indexes.written.prepare()
        with self._lock:
            self._past[key] = indexes
            while len(self._past) > _AS_OF_KEPT:
                self._past.popitem(last=False)
        return indexes

    def _weigh(self, cached: _Cached) -> None:
        held = cached.indexes.size_bytes
        with self._lock:
            self._held += held - cached.bytes
            cached.bytes = held

    def _make_room(self, in_use: str) -> None:
        with self._lock:
            for path in list(self._cached):
                if self._held <= self._budget_bytes or path == in_use:
                    break
                self._held -= self._cached.pop(path).bytes


def _as_of(tx: Transaction, known: Namespace, shown: Shown, as_of: int) -> Shown:
    """The same cube as it was at a past time."""
    row = tx.cubes.as_of(known.number, as_of, shown.row.key) or shown.row
    entry = tx.entries.entry(row.key, row.text_version)
    return Shown(row, entry.body, entry.spans, shown.uses)


def span_of(found: Shown, passage: int) -> tuple[int, int] | None:
    """The characters of a passage of what was found."""
    return best_span(found.spans, passage)
