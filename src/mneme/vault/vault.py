"""The vault: its parts behind one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.vault.adapters import Adapters
from mneme.vault.blocks import Blocks
from mneme.vault.erase import Eraser
from mneme.vault.find import Finder
from mneme.vault.life import Lives
from mneme.vault.moving import Mover
from mneme.vault.read import Reader
from mneme.vault.upkeep import Upkeep
from mneme.vault.write import Writer

if TYPE_CHECKING:
    from mneme.vault.parts import Parts


class Vault:
    """Stored cubes, and the only way to them.

    Attributes:
        parts: The store, the clock, ids, chance and the embedder.
        writer: New cubes.
        reader: Single cubes, lists, histories, derivation.
        finder: Indexes in memory.
        lives: Further versions and changes of state.
        eraser: Erasure with a receipt.
        blocks: Activation cubes, and the blocks of keys and values that they hold.
        adapters: Parametric cubes, and the files that their versions hold.
        mover: Whole cubes out of the store and into it.
        upkeep: Vectors, rebuilding, checks, copies.
    """

    def __init__(self, parts: Parts, *, index_bytes: int) -> None:
        self.parts = parts
        self.writer = Writer(parts)
        self.reader = Reader(parts)
        self.finder = Finder(parts, index_bytes)
        self.lives = Lives(parts)
        self.blocks = Blocks(parts, self.lives)
        self.adapters = Adapters(parts, self.lives)
        self.mover = Mover(parts)
        self.eraser = Eraser(parts, self.lives)
        self.upkeep = Upkeep(parts, self.finder)
