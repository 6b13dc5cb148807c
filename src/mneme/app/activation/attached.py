"""An engine that is attached to a memory, and how its keys and values are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mneme.core.engine import Engine
    from mneme.memories.activation.builders import Builders
    from mneme.memories.activation.memory import ActivationMemory
    from mneme.memories.activation.prefetch import Prefetcher


@dataclass(frozen=True, slots=True, kw_only=True)
class KVSettings:
    """How keys and values are kept; see `Settings`.

    Attributes:
        folder: Where processes that share a store agree on who builds what.
    """

    folder: Path
    block_tokens: int = 64
    form: str = "raw"
    host_bytes: int = 1 << 30
    device_bytes: int = 1 << 30
    disk_bytes: int = 8 << 30
    eviction: str = "gdsf"
    verify: float = 0.01


@dataclass(frozen=True, slots=True)
class Attached:
    """An engine, its keys and values, who builds them and who brings them near."""

    engine: Engine
    memory: ActivationMemory
    builders: Builders
    prefetcher: Prefetcher

    def close(self) -> None:
        """End what runs behind, and let go of what is in memory."""
        self.prefetcher.close()
        self.memory.tiers.close()
