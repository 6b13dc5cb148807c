"""Hits made by hand, for tests of packing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mneme.core.cube import MemCube
from mneme.core.lifecycle import State
from mneme.core.provenance import Provenance, SourceSpan
from mneme.recall.context import Hit

START = datetime(2026, 3, 20, 9, tzinfo=UTC)

HitMaker = Callable[..., Hit]


def make_hit(text: str, rank: int = 1, *, day: float | None = 0, **fields: Any) -> Hit:  # noqa: ANN401
    """A hit on a cube of `text`, said `day` days after the start; other fields by name."""
    hit_fields = {name: fields.pop(name) for name in ("degraded", "span") if name in fields}
    spans = tuple(
        SourceSpan(cube_id=source, version=1, start=0, end=1) for source in fields.pop("of", ())
    )
    header: dict[str, Any] = {
        "id": f"cube-{rank:05d}", "version": 1, "namespace": "alice", "kind": "plaintext",
        "type": "turn", "state": State.ACTIVATED, "session": "s1", "role": "user",
        "speaker": "Alice", "metadata": {}, "recorded_at": START, "valid_from": None,
        "valid_to": None, "expires_at": None, "labels": (), "trust": "trusted",
        "content_hash": "",
        "provenance": Provenance(origin="user", method="verbatim", sources=spans),
    }  # fmt: skip
    event_at = None if day is None else START + timedelta(days=day)
    return Hit(
        MemCube(text=text, event_at=event_at, **(header | fields)), 1 / rank, rank, **hit_fields
    )


@pytest.fixture(scope="session")
def hit() -> HitMaker:
    return make_hit
