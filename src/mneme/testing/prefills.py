"""A memory with blocks of keys and values, without an engine that would compute any.

In: texts. Out: rows and files of blocks that are alike for texts that begin alike, kept in two
places that can be full or down.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from mneme.core.rows import BlockRow
from mneme.settings import Settings
from mneme.testing.blobs import MemoryBlobs
from mneme.testing.embedders import HashEmbedder
from mneme.vault.draft import Prefilled
from mneme.wiring import Outside, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mneme.app.memory import MemoryOS
    from mneme.core.cube import MemCube
    from mneme.core.rows import VersionRow
    from mneme.testing.clocks import HandClock
    from mneme.vault.blocks import Blocks

ENGINE: Final = "e" * 64
BLOCK: Final = 4  # tokens
_SETTINGS: Final = Settings(worker=False, embedder="none")


class Places:
    """A memory with a near and a far place for files of blocks, and what an engine would do."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.folder, self.clock = folder, clock
        self.near, self.far = MemoryBlobs(name="disk"), MemoryBlobs(name="remote")
        self.memory = self.open(self.near, self.far)

    def open(self, *places: MemoryBlobs) -> MemoryOS:
        """The store, as another process opens it that knows these places."""
        outside = Outside(clock=self.clock, embedder=HashEmbedder(16), blobs=places)
        return build(self.folder, settings=_SETTINGS, outside=outside)

    @property
    def blocks(self) -> Blocks:
        """Those of the memory."""
        return self.memory.vault.blocks

    def put(self, rows: Sequence[BlockRow]) -> None:
        """Put the files of blocks, as tiers do."""
        self.blocks.expect([row.name for row in rows])
        for place in (self.near, self.far):
            place.put({row.name: data_of(row) for row in rows})

    def promote(self, *cubes: MemCube, space: str = "alice", form: str = "raw") -> VersionRow:
        """Keep blocks of the texts of cubes, one after another in one prompt."""
        rows = rows_of(space, "\n".join(cube.text for cube in cubes), form=form)
        self.put(rows)
        return self.blocks.keep(space, header_of(*cubes, form=form, tokens=9), rows)[0]

    def carriers(self, space: str = "alice") -> list[str]:
        """Ids of the activation cubes that may be used."""
        return [each.row.id for each in self.blocks.carriers(space, ENGINE)]

    def hits(self, text: str, space: str = "alice") -> int:
        """How many blocks a prompt with this text finds."""
        with self.blocks.matching(space, ENGINE) as index:
            return len(index.of_keys([row.key for row in rows_of(space, text)]))

    def files(self) -> set[str]:
        """Names of files, wherever they are."""
        return {*self.near.names(), *self.far.names()}

    def rows(self) -> list[BlockRow]:
        """All blocks of the store."""
        with self.memory.vault.parts.store.read() as tx:
            return tx.blocks.all()


def header_of(
    *cubes: MemCube, form: str = "raw", tokens: int = 0, engine: str = ENGINE
) -> Prefilled:
    """The header of an activation cube over cubes as they are given."""
    sources = tuple((cube.id, cube.version) for cube in cubes)
    return Prefilled(sources=sources, engine=engine, form=form, tokens=tokens)


def rows_of(space: str, text: str, *, form: str = "raw", engine: str = ENGINE) -> list[BlockRow]:
    """Blocks of a text as an engine would make them: one token for each word."""
    words = text.split()
    parent = hashlib.sha256(f"{space} {engine}".encode()).digest()
    rows = []
    for start in range(0, len(words), BLOCK):
        said = " ".join(words[start : start + BLOCK])
        tokens = b"".join(hashlib.sha256(w.encode()).digest()[:4] for w in said.split())
        key = hashlib.sha256(parent + said.encode()).digest()
        row = BlockRow(0, engine, key, parent, form, tokens, start, 0, b"", 0.5)
        data = data_of(row)
        rows.append(row._replace(size=len(data), checksum=checksum(data)))
        parent = key
    return rows


def data_of(row: BlockRow) -> bytes:
    """The file of a block."""
    return hashlib.sha256(row.key + row.form.encode()).digest() * 4


def checksum(data: bytes) -> bytes:
    """The checksum of a file; none without the package for it."""
    try:
        import xxhash
    except ImportError:
        return b""
    return bytes(xxhash.xxh3_128_digest(data))
