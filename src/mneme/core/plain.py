"""Values as JSON knows them: records become objects, moments ISO strings in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, Final

_AS_IS: Final = frozenset({str, int, float, bool, NoneType})  # by far the most of a record's values


def plain(value: object) -> Any:  # noqa: ANN401
    """A value as JSON knows it: records become objects, moments ISO strings in UTC."""
    kind: type = type(value)
    if kind in _AS_IS:
        return value
    names = _field_names(kind)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _less_common(value)


@lru_cache(maxsize=1024)
def _field_names(kind: type) -> tuple[str, ...] | None:
    """Of a record; None: it is none. Asked once for a type, as a search shows dozens of records."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def _less_common(value: object) -> Any:  # noqa: ANN401, PLR0911
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    if isinstance(value, date | Path):
        return str(value)
    return value.hex() if isinstance(value, bytes) else repr(value)
