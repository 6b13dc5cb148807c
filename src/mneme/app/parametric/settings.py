"""How shards are kept and served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """See `Settings`.

    Attributes:
        folder: Where checkpoints of unfinished runs lie, and processes agree on who writes what.
        phrasings: A JSON file of how relations are said and asked for; None: the packaged ones.
        slots: Shards that are ready in the model at one time.
        host_bytes: Memory for shards beside the slots.
        checkpoint_s: Seconds between checkpoints of a run.
    """

    folder: Path
    phrasings: str | None = None
    slots: int = 8
    host_bytes: int = 256 << 20
    checkpoint_s: float = 30.0
