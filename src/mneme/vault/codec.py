"""Rows of the store to MemCubes and back."""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mneme.core.clock import from_us
from mneme.core.cube import MemCube
from mneme.core.errors import StoreCorruptError
from mneme.core.lifecycle import State
from mneme.core.provenance import Provenance, SourceSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mneme.core.rows import VersionRow

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def canonical_json(value: object) -> str:
    """JSON with one spelling: sorted keys, no spaces, text unescaped."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def cube_of(row: VersionRow, namespace: str, text: str, uses: int = 0) -> MemCube:
    """The MemCube of a version."""
    try:
        state = State(row.state)
    except ValueError as error:
        raise StoreCorruptError(f"cube {row.id} has no known state; run `mneme verify`") from error
    return MemCube(
        id=row.id,
        version=row.version,
        namespace=namespace,
        kind=row.kind,  # type: ignore[arg-type]  # written from a Kind
        type=row.type,
        text=text,
        state=state,
        session=row.session,
        role=row.role,
        speaker=row.speaker,
        metadata=MappingProxyType(json.loads(row.metadata)) if row.metadata else _NOTHING,
        event_at=_moment(row.event_at),
        recorded_at=from_us(row.recorded_at),
        valid_from=_moment(row.valid_from),
        valid_to=_moment(row.valid_to),
        expires_at=_moment(row.expires_at),
        provenance=Provenance(
            origin=row.origin,
            method=row.method,
            sources=sources_of(row),
            actor=row.actor,
            model=row.model,
        ),
        labels=tuple(json.loads(row.labels)) if row.labels else (),
        trust=row.trust,
        content_hash=hashlib.sha256(_payload(row, text).encode()).hexdigest(),
        uses=uses,
        priority=row.priority,
        hold=bool(row.hold),
    )


def sources_of(row: VersionRow) -> tuple[SourceSpan, ...]:
    """The spans that a version derives from."""
    if not row.sources:
        return ()
    return tuple(
        SourceSpan(cube_id=cube_id, version=version, start=start, end=end)
        for cube_id, version, start, end in json.loads(row.sources)
    )


def sources_json(spans: Iterable[SourceSpan]) -> str | None:
    """The spans as they are stored; None for none."""
    rows = [[s.cube_id, s.version, s.start, s.end] for s in spans]
    return canonical_json(rows) if rows else None


def _payload(row: VersionRow, text: str) -> str:
    return text if row.kind == "plaintext" else row.metadata or ""


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)
