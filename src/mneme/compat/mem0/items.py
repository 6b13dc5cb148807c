"""Cubes as mem0 shows memories: its items, and its rows of history."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mneme.compat.mem0.scope import ENTITIES, EXPIRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.cube import MemCube

# What mem0 shows beside the metadata, where a memory has it.
_PROMOTED = (*ENTITIES, "actor_id", "role", EXPIRES)
_CORE = frozenset({*_PROMOTED, "id", "data", "hash", "created_at", "updated_at", "attributed_to"})
_SPACE = uuid.UUID("6b5f3c0e-6c0e-5a53-8d0b-0f3c5a1f3f39")  # of ids of rows of history


def fields_of(cube: MemCube) -> dict[str, Any]:
    """What mem0's filters see of a memory."""
    named = {"actor_id": cube.speaker} if cube.speaker else {}
    return {**cube.metadata, "role": cube.role, **named, "data": cube.text, "id": cube.id}


def item_of(cube: MemCube, created_at: datetime) -> dict[str, Any]:
    """A memory as `get` and `get_all` show it, but for its score."""
    fields = fields_of(cube)
    own = {name: value for name, value in cube.metadata.items() if name not in _CORE}
    item = {
        "id": cube.id,
        "memory": cube.text,
        "hash": hashlib.md5(cube.text.encode(), usedforsecurity=False).hexdigest(),
        "metadata": own or None,
        "created_at": created_at.isoformat(),
        "updated_at": cube.recorded_at.isoformat(),
    }
    return item | {name: fields[name] for name in _PROMOTED if name in fields}


def is_over(cube: MemCube, now: datetime) -> bool:
    """Whether the last day of a memory lies behind."""
    last = cube.metadata.get(EXPIRES)
    return isinstance(last, str) and last < now.astimezone(UTC).date().isoformat()


def rows_of(versions: Sequence[MemCube]) -> list[dict[str, Any]]:
    """A row for each version: what was, what is, and what happened."""
    rows, before = [], None
    created_at = versions[0].recorded_at.isoformat()
    for cube in versions:
        rows.append(
            {
                "id": str(uuid.uuid5(_SPACE, f"{cube.id}:{cube.version}")),
                "memory_id": cube.id,
                "old_memory": before,
                "new_memory": cube.text,
                "event": "ADD" if before is None else "UPDATE",
                "created_at": created_at,
                "updated_at": cube.recorded_at.isoformat(),
                "is_deleted": False,
                "actor_id": cube.speaker,
                "role": cube.role,
            }
        )
        before = cube.text
    return rows
