"""The shards of one base that a store has, and how questions find them."""

from __future__ import annotations

import hashlib
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from mneme.app.parametric.rivals import Rivals
from mneme.core.errors import CubeNotFoundError, InvalidInputError, MnemeError, StoreCorruptError
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.router import RouterIndex
from mneme.vault.adapter_writer import IMPORTED
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mneme.core.rows import AdapterFile
    from mneme.memories.parametric.bundle import Unpacked
    from mneme.memories.parametric.facts import Entry
    from mneme.memories.parametric.phrasings import Bank
    from mneme.memories.parametric.router import Route
    from mneme.vault.adapters import Shard
    from mneme.vault.vault import Vault

_LEDGER = "facts.jsonl"


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


class Routes:
    """Shards of one store for one base.

    Args:
        vault: Has their rows and files.
        base: What they belong to (`memories.parametric.adapter.base_of`).
        bank: How relations are asked for.
    """

    def __init__(self, vault: Vault, base: str, bank: Bank) -> None:
        self._vault, self.base, self._bank = vault, base, bank
        self._lock = RLock()
        self._known: dict[str, _Known] = {}
        self._drops = vault.adapters.drops()
        self.rivals = Rivals(vault, bank)

    # -- finding

    def routed(self, path: str, question: str) -> tuple[Asked, ...]:
        """What of a question weights alone may answer: all of it, or nothing.

        Each fact is asked of the rows once more: it may be said now, as it was written, and no
        text beside the shards says something else of the same subject and relation.
        """
        with self._lock:
            known = self._looked(path)
            route = known.router.route(question)
        if not route.covered or not route.matches:
            return ()
        asked = tuple(
            Asked(known.shards[match.shard], match.entry, match.clause) for match in route.matches
        )
        own = {cube_id for shard in known.shards.values() for cube_id in shard.source_ids}
        return asked if all(self._may_answer(path, each, own) for each in asked) else ()

    def route(self, path: str, question: str) -> Route:
        """Where a question leads, and why."""
        with self._lock:
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
            InvalidInputError: It is of another base, or that version holds none.
        """
        from mneme.memories.parametric.bundle import unpack

        _, files = self._vault.adapters.files_of(path, cube_id, version)
        if not files:
            which = "the current version" if version is None else f"version {version}"
            raise InvalidInputError(f"{which} of cube {cube_id!r} holds no adapter; see history")
        data = self.files(files)
        return unpack(data, files, base=self.base)

    # -- letting go

    def let_go(self, path: str = "") -> bool:
        """Drop from memory what no longer has a row, whoever deleted it; whether anything did."""
        with self._lock:
            if path:
                self._known.pop(path, None)
                self.rivals.let_go(path)
            drops = self._vault.adapters.drops()
            if drops == self._drops:
                return False
            self._known.clear()
            self.rivals.let_go()
            self._drops = drops
            return True

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
        shards = self._vault.adapters.shards(path, self.base)
        found = {shard.row.id: shard for shard in shards if shard.row.method != IMPORTED}
        index = RouterIndex(self._bank) if before is None else before.router
        read = {} if before is None else dict(before.digests)
        for cube_id in set(read) - set(found):
            index.drop(cube_id)
            del read[cube_id]
        for cube_id, shard in list(found.items()):
            if read.get(cube_id) != shard.digest:
                try:
                    missed = (facts_of(shard.row).get("gate") or {}).get("missed", ())
                    index.put(cube_id, self.ledger(path, cube_id).without(missed))
                except MnemeError:  # damaged, or gone this moment: its texts are there
                    index.drop(cube_id)
                    del found[cube_id]
                    continue
                read[cube_id] = shard.digest
        return _Known(seq, found, read, index)

    def _may_answer(self, path: str, asked: Asked, own: Collection[str]) -> bool:
        fact, shard = asked.entry.fact, asked.shard
        try:
            if fact.cube_id not in self._vault.adapters.holds(path, shard.row, [fact.cube_id]):
                return False
        except CubeNotFoundError:
            return False
        return not self.rivals.of(path, fact, own)

    def files(self, files: Sequence[AdapterFile]) -> Mapping[str, memoryview]:
        """The bytes of files, by part.

        Raises:
            StoreCorruptError: One is missing.
        """
        place = self._vault.parts.adapters
        found = [] if place is None else place.get([file.name for file in files])
        missing = [f.part for f, data in zip(files, found, strict=False) if data is None]
        if missing or not files:
            raise StoreCorruptError(f"an adapter lacks {', '.join(missing) or 'its files'}")
        return {f.part: data for f, data in zip(files, found, strict=True) if data is not None}

    def _part(self, files: Sequence[AdapterFile], part: str) -> memoryview:
        wanted = [file for file in files if file.part == part]
        data = self.files(wanted)[part]
        if hashlib.sha256(data).digest() != wanted[0].checksum:
            raise StoreCorruptError(f"{part} of an adapter is not what was written")
        return data
