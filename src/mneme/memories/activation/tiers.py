"""Where the bytes of blocks are, nearest first: device memory, host memory, places for blobs.

In: rows of blocks. Out: their keys and values, checked; what is used comes nearer. Rows are the
truth: whatever cannot be had, or is not what its row says, is computed again by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import torch

from mneme.core.errors import BackendUnavailableError, BlockDamagedError, InvalidInputError
from mneme.memories.activation.behind import Behind
from mneme.memories.activation.block_file import checksum, unpack
from mneme.memories.activation.eviction import eviction_of
from mneme.memories.activation.kv import size_of
from mneme.memories.activation.shelf import Shelf, fitting, own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mneme.core.rows import BlockRow
    from mneme.core.store import BlobStore
    from mneme.memories.activation.kv import Held

DEVICE, HOST = "device", "host"
_CLOSE_S = 5.0  # for what waits to be written


@dataclass(slots=True)
class Fetched:
    """What was found for rows of blocks, in their order.

    Attributes:
        held: Keys and values; None where they could not be had.
        tier: Where they came from: "device", "host", or the name of a place for blobs.
        damaged: Rows of which there is a file, but not what was written.
        missing: Rows of which there is no file anywhere. Where a place did not answer, what was
            not found elsewhere is not among them: it may be there.
        failed: Places that did not answer, and forms that are not known, in words.
        load_s: Seconds to read and to keep what came nearer.
        decode_s: Seconds to check files and to turn them into keys and values.
    """

    held: list[Held | None]
    tier: list[str | None]
    damaged: list[BlockRow] = field(default_factory=list)
    missing: list[BlockRow] = field(default_factory=list)
    failed: tuple[str, ...] = ()
    load_s: float = 0.0
    decode_s: float = 0.0


@dataclass(slots=True)
class Ahead:
    """What came of blocks that were brought to host memory before anybody asked for them.

    Attributes:
        brought: How many were.
        useful: Of them, those that were used from there.
        wasted: Of them, those that went before they were used.
    """

    brought: int = 0
    useful: int = 0
    wasted: int = 0


class _OnDevice(NamedTuple):
    checksum: bytes
    held: Held


class Tiers:
    """The keys and values of one engine, on all levels; for any number of threads.

    The places for blobs are not its own: it never closes them, and removes nothing from them but
    what it wrote itself after it was forgotten.

    Attributes:
        device: Where keys and values are wanted.
        dtype: Of the engine.
        epoch: Rises whenever something is forgotten.
        ahead: What came of `warm`.
        behind: What writes to the places behind the first.
    """

    def __init__(
        self,
        blobs: Sequence[BlobStore],
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        host_bytes: int,
        device_bytes: int,
        eviction: str = "gdsf",
    ) -> None:
        """Empty memory in front of places for blobs.

        Args:
            blobs: The first is written at once, the others behind.
            device: Of the engine.
            dtype: Of the engine.
            host_bytes: Most bytes of files in host memory.
            device_bytes: Most bytes of keys and values on the device, if it is not the CPU.
            eviction: "gdsf" or "lru".

        Raises:
            InvalidInputError: The eviction is unknown.
        """
        self.device, self.dtype = torch.device(device), dtype
        self.epoch, self.ahead, self.behind = 0, Ahead(), Behind()
        self._blobs = tuple(blobs)
        self._lock = RLock()
        self._unused: dict[str, None] = {}  # brought ahead, in that order
        self._host = Shelf[bytes](host_bytes, eviction_of(eviction), self._left_host)
        on_device = 0 if self.device.type == "cpu" else device_bytes
        self._on_device = Shelf[_OnDevice](on_device, eviction_of(eviction))

    def fetch(self, rows: Sequence[BlockRow], *, epoch: int | None = None) -> Fetched:
        """Keys and values of blocks; what was used is kept nearer, as far as budgets allow.

        Args:
            rows: A chain, from its head.
            epoch: `epoch` when the rows were read; None: now. What may have been forgotten since
                is given, but not kept.
        """
        begun = perf_counter()
        epoch = self.epoch if epoch is None else epoch
        found = Fetched([None] * len(rows), [None] * len(rows))
        damaged: set[int] = set()
        files = self._from_memory(rows, found)
        self._decode(rows, files, found, damaged, HOST)
        self._drop_from_host([rows[number].name for number in damaged])
        damaged.clear()  # a file beneath may be right
        files.update(self._from_blobs(rows, found, damaged))
        self._keep_near(rows, files, found, epoch)
        for number in (n for n, held in enumerate(found.held) if held is None):
            if number in damaged:
                found.damaged.append(rows[number])
            elif not found.failed:
                found.missing.append(rows[number])
        found.load_s = perf_counter() - begun - found.decode_s
        return found

    def file(self, row: BlockRow) -> memoryview | None:
        """The file of a row as it is, from the nearest place that has it whole; None: none has."""
        with self._lock:
            near = self._host.get(row.name)
        if near is not None:
            return memoryview(near)
        nowhere = Fetched([None], [None])
        for store in self._blobs:
            view = self._asked(store, [row], nowhere)[0]
            if view is not None and checksum(view) == row.checksum:
                return view
        return None

    def keep(self, blobs: Mapping[str, bytes], rows: Sequence[BlockRow]) -> None:
        """Store the files of new blocks: first place and host memory now, other places behind.

        Args:
            blobs: Files by the names of their rows.
            rows: A chain, from its head; those without a file here are left as they are.

        Raises:
            StoreFullError: The first place is full; nothing is kept in memory.
            BackendUnavailableError: The first place does not answer; likewise.
        """
        epoch = self.epoch
        if self._blobs:
            self._blobs[0].put(blobs)
        new = [row for row in rows if row.name in blobs]
        with self._lock:
            if epoch == self.epoch:
                self._on_device.drop(blobs)
                self._shelve([(row, memoryview(blobs[row.name])) for row in new])
                for store in self._blobs[1:]:
                    self.behind.put(store, blobs)

    def warm(self, rows: Sequence[BlockRow], *, epoch: int | None = None) -> int:
        """Bring files to host memory ahead of their use, as far as room is free; how many came.

        They push nothing out, and are the first to go until they are used.
        """
        epoch = self.epoch if epoch is None else epoch
        with self._lock:
            near = self._host.names() | self._on_device.names()
        far = [row for row in rows if row.name not in near]
        found = Fetched([None] * len(far), [None] * len(far))
        came: list[tuple[BlockRow, memoryview]] = []
        for store in self._blobs:
            left = [row for row in far if row.name not in {row.name for row, _ in came}]
            for row, view in zip(left, self._asked(store, left, found), strict=True):
                if view is not None and checksum(view) == row.checksum:
                    came.append((row, view))
        with self._lock:
            if epoch != self.epoch:
                return 0
            room = self._host.budget_bytes - self._host.bytes
            fits = came[: fitting([row.size for row, _ in came], room)]
            kept = self._shelve([(row._replace(cost_s=0.0), view) for row, view in fits])
            self._unused |= dict.fromkeys(row.name for row, _ in fits if row.name in kept)
            self.ahead.brought += len(kept)
            return len(kept)

    def forget(self, names: Iterable[str]) -> None:
        """Let blocks go from memory, and from what waits to be written."""
        gone = set(names)
        with self._lock:
            self.epoch += 1
            self._host.drop(gone)
            self._on_device.drop(gone)
            for name in gone:
                self._left_host(name)
            self.behind.forget(gone)

    def forget_all_but(self, present: Callable[[set[str]], set[str]]) -> None:
        """Let go of all blocks but those that are still wanted.

        Args:
            present: Given names, gives those that are.
        """
        names = self._names()
        self.forget(names - present(names))

    def clear(self) -> None:
        """Empty the memory; the places for blobs stay as they are."""
        with self._lock:
            self._host.drop(self._host.names())
            self._on_device.drop(self._on_device.names())
            self.ahead.wasted += len(self._unused)
            self._unused.clear()

    def bytes(self) -> dict[str, int]:
        """Bytes in memory, by tier."""
        with self._lock:
            host = {HOST: self._host.bytes}
            return host if self.device.type == "cpu" else {DEVICE: self._on_device.bytes, **host}

    def close(self) -> None:
        """Write what waits to be, and let go of all."""
        self.behind.close(_CLOSE_S)
        self.clear()

    def _names(self) -> set[str]:
        with self._lock:
            return self._host.names() | self._on_device.names() | self.behind.names()

    def _from_memory(self, rows: Sequence[BlockRow], found: Fetched) -> dict[int, memoryview]:
        """Files that are in host memory, by number of their row; the device's are found."""
        files: dict[int, memoryview] = {}
        with self._lock:
            for number, row in enumerate(rows):
                near = self._on_device.get(row.name)
                if near is not None and near.checksum == row.checksum:
                    found.held[number], found.tier[number] = near.held, DEVICE
                elif (data := self._host.get(row.name)) is not None:
                    files[number] = memoryview(data)
        return files

    def _from_blobs(
        self, rows: Sequence[BlockRow], found: Fetched, damaged: set[int]
    ) -> dict[int, memoryview]:
        """Ask one place after the other for all that is not found yet."""
        files: dict[int, memoryview] = {}
        for store in self._blobs:
            left = [number for number, held in enumerate(found.held) if held is None]
            if not left:
                break
            views = self._asked(store, [rows[number] for number in left], found)
            new = {n: view for n, view in zip(left, views, strict=True) if view is not None}
            self._decode(rows, new, found, damaged, store.name)
            files |= {n: view for n, view in new.items() if found.held[n] is not None}
        return files

    def _asked(
        self, store: BlobStore, rows: Sequence[BlockRow], found: Fetched
    ) -> Sequence[memoryview | None]:
        if not rows:
            return []
        try:
            return store.get([row.name for row in rows])
        except BackendUnavailableError as error:
            found.failed += (f"{store.name}: {error.message}",)
            return [None] * len(rows)

    def _decode(
        self,
        rows: Sequence[BlockRow],
        files: Mapping[int, memoryview],
        found: Fetched,
        damaged: set[int],
        tier: str,
    ) -> None:
        begun = perf_counter()
        for number, view in files.items():
            row = rows[number]
            try:
                found.held[number] = unpack(
                    view,
                    checksum=row.checksum,
                    form=row.form,
                    tokens=len(row.tokens) // 4,
                    dtype=self.dtype,
                    device=self.device,
                )
                found.tier[number] = tier
            except BlockDamagedError:
                damaged.add(number)
            except InvalidInputError as error:  # a form that this version does not know
                found.failed += (f"{row.form}: {error.message}",)
        found.decode_s += perf_counter() - begun

    def _keep_near(
        self,
        rows: Sequence[BlockRow],
        files: Mapping[int, memoryview],
        found: Fetched,
        epoch: int,
    ) -> None:
        with self._lock:
            if epoch != self.epoch:
                return
            for number in reversed(range(len(rows))):
                if found.tier[number] == HOST:
                    self._used_in_host(rows[number], files[number])
            far = [n for n in sorted(files) if found.tier[n] not in {None, HOST}]
            fits = fitting([row.size for row in rows], self._host.budget_bytes)
            self._shelve([(rows[n], files[n]) for n in far if n < fits])
            for number in far:
                if found.tier[number] != self._blobs[0].name:
                    self.behind.put(self._blobs[0], {rows[number].name: own(files[number])})
            self._move_to_device(rows, found)

    def _used_in_host(self, row: BlockRow, view: memoryview) -> None:
        if row.name in self._unused:  # now it has its worth
            self.ahead.useful += 1
            del self._unused[row.name]
            self._shelve([(row, view)])
        else:
            self._host.touch(row.name)

    def _move_to_device(self, rows: Sequence[BlockRow], found: Fetched) -> None:
        if not self._on_device.budget_bytes:
            return
        sizes = [0 if held is None else size_of(held.kv) for held in found.held]
        fits = fitting(sizes, self._on_device.budget_bytes)
        for number in reversed(range(len(rows))):
            row, held = rows[number], found.held[number]
            if found.tier[number] == DEVICE:
                self._on_device.touch(row.name)
            elif held is not None and number < fits:
                kept = _OnDevice(row.checksum, held)
                self._on_device.add(row, sizes[number], lambda kept=kept: kept)  # type: ignore[misc]

    def _shelve(self, files: Sequence[tuple[BlockRow, memoryview]]) -> set[str]:
        """Keep files of a chain in host memory, from its head as far as they fit; their names."""
        fits = fitting([len(view) for _, view in files], self._host.budget_bytes)
        new = sum(len(view) for row, view in files[:fits] if self._host.get(row.name) is None)
        self._let_guesses_go(self._host.bytes + new - self._host.budget_bytes)
        for row, view in reversed(files[:fits]):
            self._host.add(row, len(view), lambda view=view: own(view))  # type: ignore[misc]
        return {row.name for row, _ in files} & self._host.names()

    def _let_guesses_go(self, bytes_needed: int) -> None:
        """What was brought ahead and not used makes room before anything else does."""
        for name in reversed(list(self._unused)):
            if bytes_needed <= 0:
                return
            bytes_needed -= len(self._host.get(name) or b"")
            self._host.drop([name])
            self._left_host(name)

    def _drop_from_host(self, names: Iterable[str]) -> None:
        with self._lock:
            self._host.drop(names)

    def _left_host(self, name: str) -> None:
        if name in self._unused:
            self.ahead.wasted += 1
            del self._unused[name]
