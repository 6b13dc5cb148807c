"""The shards of one engine: on disk, in memory, in slots, and how questions find them."""

from __future__ import annotations

import hashlib
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from mneme.app.parametric.beside import Beside
from mneme.core.errors import CubeNotFoundError, MnemeError, StoreCorruptError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.router import RouterIndex
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.app.parametric.settings import AdapterSettings
    from mneme.core.engine import Engine, Session
    from mneme.core.rows import AdapterFile
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.bundle import Unpacked
    from mneme.memories.parametric.facts import Entry
    from mneme.memories.parametric.phrasings import Bank
    from mneme.memories.parametric.router import Route
    from mneme.vault.adapters import Shard
    from mneme.vault.vault import Vault

_LEDGER = "facts.jsonl"
_IN_SLOTS = "lora"  # the carrier that slots hold


class Asked(NamedTuple):
    """One fact that a question asks for, and the shard that knows it.

    clause: The words of the question that ask for it.
    """

    shard: Shard
    entry: Entry
    clause: str


class _Known(NamedTuple):
    """The shards of a namespace in one of its states."""

    seq: int
    shards: dict[str, Shard]  # by the id of their cube
    digests: dict[str, str]
    router: RouterIndex


class Weights:
    """Shards of one store for one engine.

    Args:
        vault: Has their rows and files.
        engine: The base.
        settings: Of slots and memory.
        bank: How relations are asked for.
    """

    def __init__(self, vault: Vault, engine: Engine, settings: AdapterSettings, bank: Bank) -> None:
        from mneme.memories.parametric.shelf import Shelf
        from mneme.memories.parametric.slots import Slots

        self._vault, self.engine, self._bank = vault, engine, bank
        self.base = base_of(engine.fields)
        slots = Slots(engine, settings.rank, count=settings.slots)
        self.shelf = Shelf(engine, slots, self._load, host_bytes=settings.host_bytes)
        self._beside = Beside(engine, self._load)
        self._lock = RLock()
        self._known: dict[str, _Known] = {}
        self._places: dict[str, tuple[str, str, int]] = {}  # digest -> path, cube, version
        self._drops = vault.adapters.drops()

    # -- finding

    def routed(self, path: str, question: str) -> tuple[Asked, ...]:
        """What of a question weights alone may answer: all of it, or nothing.

        Each fact is asked of the rows once more: it may be said now, as it was written.
        """
        known = self._looked(path)
        route = known.router.route(question)
        if not route.covered or not route.matches:
            return ()
        asked = tuple(
            Asked(known.shards[match.shard], match.entry, match.clause) for match in route.matches
        )
        return asked if all(self._holds(path, each) for each in asked) else ()

    def route(self, path: str, question: str) -> Route:
        """Where a question leads, and why."""
        return self._looked(path).router.route(question)

    def shards(self, path: str) -> list[Shard]:
        """The shards of a namespace that may be used."""
        return list(self._looked(path).shards.values())

    def index_without(self, path: str, cube_ids: Sequence[str]) -> RouterIndex:
        """A copy of the index of a namespace, without some of its shards."""
        index = RouterIndex(self._bank)
        for shard in self.shards(path):
            if shard.row.id not in cube_ids:
                index.put(shard.row.id, self.ledger(path, shard.row.id))
        return index

    def indexes_of_others(self, path: str) -> list[RouterIndex]:
        """The indexes of other namespaces that are in use."""
        with self._lock:
            return [known.router for other, known in self._known.items() if other != path]

    def ledger(self, path: str, cube_id: str, version: int | None = None) -> FactLedger:
        """The ledger of a version of a shard.

        Raises:
            StoreCorruptError: Its file is missing or damaged.
        """
        _, files = self._vault.adapters.files_of(path, cube_id, version)
        return FactLedger.from_bytes(self._part(files, _LEDGER))

    def unpacked(self, path: str, cube_id: str, version: int | None = None) -> Unpacked:
        """All files of a version of a shard, checked.

        Raises:
            StoreCorruptError: One is missing or damaged.
            InvalidInputError: It is of another base.
        """
        from mneme.memories.parametric.bundle import unpack

        _, files = self._vault.adapters.files_of(path, cube_id, version)
        data = self._bytes(files)
        return unpack(data, files, base=self.base)

    def session(self, path: str, shard: Shard) -> Session:
        """A prompt that is read and answered with a shard on.

        Raises:
            StoreCorruptError: Its files are missing or damaged.
        """
        with self._lock:
            self._places[shard.digest] = (path, shard.row.id, shard.row.version)
        if facts_of(shard.row).get("carrier") == _IN_SLOTS:
            return self.shelf.session(shard.digest)
        return self._beside.session(shard.digest)

    # -- letting go

    def let_go(self, path: str = "") -> None:
        """Drop from memory what no longer has a row, whoever deleted it."""
        with self._lock:
            if path:
                self._known.pop(path, None)
            drops = self._vault.adapters.drops()
            if drops == self._drops:
                return
            self._known.clear()
            self.shelf.let_go(self._vault.adapters.present)
            self._beside.let_go(self._vault.adapters.present)
            self._places.clear()
            self._drops = drops

    def bytes(self) -> int:
        """Bytes in memory, slots included."""
        return self.shelf.bytes()

    def close(self) -> None:
        """Take the hooks off the model, and let go of all."""
        self._beside.close()
        self.shelf.close()

    # -- within

    def _looked(self, path: str) -> _Known:
        """The shards of a namespace as they are now."""
        seq = self._vault.adapters.seq(path)
        with self._lock:
            known = self._known.get(path)
            if known is None or known.seq != seq:
                known = self._known[path] = self._look(path, seq, known)
            return known

    def _look(self, path: str, seq: int, before: _Known | None) -> _Known:
        found = {shard.row.id: shard for shard in self._vault.adapters.shards(path, self.base)}
        index = RouterIndex(self._bank) if before is None else before.router
        read = {} if before is None else dict(before.digests)
        for cube_id in set(read) - set(found):
            index.drop(cube_id)
            del read[cube_id]
        for cube_id, shard in list(found.items()):
            if read.get(cube_id) != shard.digest:
                try:
                    index.put(cube_id, self.ledger(path, cube_id))
                except MnemeError:  # damaged, or gone this moment: its texts are there
                    index.drop(cube_id)
                    del found[cube_id]
                    continue
                read[cube_id] = shard.digest
        return _Known(seq, found, read, index)

    def _holds(self, path: str, asked: Asked) -> bool:
        cube_id = asked.entry.fact.cube_id
        try:
            return cube_id in self._vault.adapters.holds(path, asked.shard.row, [cube_id])
        except CubeNotFoundError:
            return False

    def _load(self, digest: str) -> Adapter:
        with self._lock:
            path, cube_id, version = self._places[digest]
        return self.unpacked(path, cube_id, version).adapter

    def _bytes(self, files: Sequence[AdapterFile]) -> Mapping[str, memoryview]:
        place = self._vault.parts.adapters
        found = [] if place is None else place.get([file.name for file in files])
        missing = [f.part for f, data in zip(files, found, strict=False) if data is None]
        if missing or not files:
            raise StoreCorruptError(f"an adapter lacks {', '.join(missing) or 'its files'}")
        return {f.part: data for f, data in zip(files, found, strict=True) if data is not None}

    def _part(self, files: Sequence[AdapterFile], part: str) -> memoryview:
        wanted = [file for file in files if file.part == part]
        data = self._bytes(wanted)[part]
        if hashlib.sha256(data).digest() != wanted[0].checksum:
            raise StoreCorruptError(f"{part} of an adapter is not what was written")
        return data
