"""What every part of the vault works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.core.acting import acting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mneme.core.clock import Clock
    from mneme.core.ids import IdMaker
    from mneme.core.store import BlobStore, Store
    from mneme.vault.embedding import Embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The store and the sources of time, ids, chance and vectors.

    Attributes:
        owner: Who acts where a call does not say who.
        secret: Keys the hashes of this store.
        blobs: Where files of blocks lie, the nearest place first.
        adapters: Where files of adapters lie.
        adapters_in: The same place within a folder, for a copy of the store.
    """

    store: Store
    clock: Clock
    ids: IdMaker
    random_bytes: Callable[[int], bytes]
    embedding: Embedding
    owner: str
    secret: bytes
    blobs: tuple[BlobStore, ...] = ()
    adapters: BlobStore | None = None
    adapters_in: Callable[[Path], BlobStore] | None = None

    @property
    def actor(self) -> str:
        """Who acts now, for audit entries and provenance."""
        return acting(self.owner)
