"""A memory with shards of facts, without a model that would write any.

In: cubes. Out: files that hold their texts, as a ledger does, and stand for an adapter.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from mneme.core.rows import AdapterFile
from mneme.settings import Settings
from mneme.testing.embedders import HashEmbedder
from mneme.vault.draft import Tuned
from mneme.wiring import Outside, build

if TYPE_CHECKING:
    from pathlib import Path

    from mneme.core.cube import MemCube
    from mneme.core.rows import VersionRow
    from mneme.core.store import BlobStore
    from mneme.testing.clocks import HandClock
    from mneme.vault.adapters import Adapters

BASE: Final = "b" * 64
TRAINING: Final = {"rank": 2, "seed": 7}
_SETTINGS: Final = Settings(worker=False, embedder="none")


class Shelf:
    """A memory whose shards are written by hand."""

    def __init__(self, folder: Path, clock: HandClock, place: BlobStore | None = None) -> None:
        self.folder, self.clock = folder, clock
        outside = Outside(clock=clock, embedder=HashEmbedder(16), adapters=place)
        self.memory = build(folder, settings=_SETTINGS, outside=outside)

    @property
    def adapters(self) -> Adapters:
        """Those of the memory."""
        return self.memory.vault.adapters

    @property
    def place(self) -> BlobStore:
        """Where their files lie."""
        place = self.memory.vault.parts.adapters
        if place is None:
            raise ValueError("this memory has no place for adapters")
        return place

    def put(self, files: dict[AdapterFile, bytes]) -> list[AdapterFile]:
        """Put files as a writer does, before their rows."""
        self.adapters.expect([file.name for file in files])
        self.place.put({file.name: data for file, data in files.items()})
        return list(files)

    def tune(
        self,
        *cubes: MemCube,
        into: str | None = None,
        space: str = "alice",
        **more: Any,  # noqa: ANN401 (fields of Tuned)
    ) -> VersionRow:
        """Keep a shard that was written from these cubes, in a new cube or a known one."""
        files = files_of(*cubes)
        header = header_of(*cubes, into=into, digest=next(iter(files)).digest, **more)
        return self.adapters.keep(space, header, self.put(files))[0]

    def promise(self, *cubes: MemCube, into: str | None = None, space: str = "alice") -> VersionRow:
        """A shard that a job is to write."""
        return self.adapters.promise(space, header_of(*cubes, into=into))[0]

    def usable(self, space: str = "alice") -> dict[str, tuple[str, ...]]:
        """The sources of each shard that may be used, by its id."""
        return {each.row.id: each.source_ids for each in self.adapters.shards(space, BASE)}

    def files(self) -> set[str]:
        """Names of all files of adapters."""
        return set(self.place.names())

    def rows(self) -> set[str]:
        """Names of all files that a row names."""
        with self.memory.vault.parts.store.read() as tx:
            return tx.adapters.names()


def header_of(
    *cubes: MemCube,
    into: str | None = None,
    digest: str = "",
    base: str = BASE,
    **more: Any,  # noqa: ANN401 (fields of Tuned)
) -> Tuned:
    """What a shard of cubes as they are given says of itself."""
    sources = tuple((cube.id, cube.version) for cube in cubes)
    extra = {"training": TRAINING, **more.pop("extra", {})}
    return Tuned(
        sources=sources, base=base, cube_id=into, digest=digest,
        facts=len(cubes) if digest else 0, extra=extra, **more,
    )  # fmt: skip


def files_of(*cubes: MemCube, said: str = "") -> dict[AdapterFile, bytes]:
    """The files of a shard: what stands for its tensors, and the texts as its ledger.

    The same texts in the same order give the same files.
    """
    texts = [cube.text for cube in cubes]
    digest = hashlib.sha256("\0".join([said, *texts]).encode()).hexdigest()
    parts = {
        "adapter_model.safetensors": hashlib.sha512(digest.encode()).digest() * 3,
        "facts.jsonl": "".join(f"{text}\n" for text in texts).encode(),
        "gate.json": b'{"passed":true}',
    }
    return {
        AdapterFile(digest, part, len(data), hashlib.sha256(data).digest()): data
        for part, data in parts.items()
    }
