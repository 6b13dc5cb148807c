"""Values of cells: checked when they come in, ready for SQL when they go out.

A date is stored as `2026-03-20`, a moment as `2026-03-20T14:05:00Z` in UTC: both sort as texts do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from mneme.core.clock import from_us
from mneme.core.errors import InvalidInputError
from mneme.core.moments import moment_us

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.core.tabular import Cell, Column
    from mneme.memories.plaintext.tables.shape import Shape

LONGEST_TEXT: Final = 16 * 1024  # bytes of one cell
LONGEST_ROW: Final = 64 * 1024  # bytes of one row as JSON
_INTEGERS = 1 << 63


def value_of(row: object, shape: Shape, zone: tzinfo) -> dict[str, Cell]:
    """A row that a caller gives, checked; columns that it leaves out are None.

    Args:
        row: A mapping from columns to values.
        shape: Of the table.
        zone: Where times without a zone are read.

    Raises:
        InvalidInputError: No such column, or a value of another type.
    """
    if not isinstance(row, Mapping):
        raise InvalidInputError(
            f"a row is a mapping from columns to values, not a {type(row).__name__}"
        )
    cells: dict[str, Cell] = dict.fromkeys(column.name for column in shape.columns)
    for name, value in row.items():
        column = column_of(name, shape)
        cells[column.name] = cell_of(value, column, zone)
    return cells


def column_of(name: object, shape: Shape) -> Column:
    """The column of that name; capitals make no difference."""
    if isinstance(name, str):
        for column in shape.columns:
            if column.name.casefold() == name.casefold():
                return column
    raise InvalidInputError(f"no column {name!r:.80} in {shape}")


def cell_of(value: object, column: Column, zone: tzinfo) -> Cell:
    """A value of a cell as it is stored."""
    if value is None:
        return None
    read = _READERS[column.type](value, zone)
    if read is None:
        raise InvalidInputError(
            f"column {column.name} takes {_TAKES[column.type]}, not {value!r:.80}"
        )
    return read


def _text(value: object, _zone: tzinfo) -> Cell:
    if not isinstance(value, str) or "\0" in value:
        return None
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return None
    if size > LONGEST_TEXT:
        raise InvalidInputError(f"a cell has {size} bytes, the limit is {LONGEST_TEXT}")
    return value


def _integer(value: object, _zone: tzinfo) -> Cell:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and -_INTEGERS <= value < _INTEGERS else None  # type: ignore[operator, return-value]


def _real(value: object, _zone: tzinfo) -> Cell:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:
        return None


def _boolean(value: object, _zone: tzinfo) -> Cell:
    return value if isinstance(value, bool) else None


def _date(value: object, _zone: tzinfo) -> Cell:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value.strip()).isoformat()
    except ValueError:
        return None


def _datetime(value: object, zone: tzinfo) -> Cell:
    if not isinstance(value, str | date):
        return None
    moment = from_us(moment_us(value, zone)).astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


_READERS = {
    "text": _text,
    "integer": _integer,
    "real": _real,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}
_KINDS: dict[str, Any] = {"integer": int, "real": int | float, "boolean": bool}
_TAKES = {
    "text": "a string without NUL characters",
    "integer": "an integer of 64 bits",
    "real": "a finite number",
    "boolean": "true or false",
    "date": "a date such as 2026-03-20",
    "datetime": "an aware datetime or an ISO 8601 string",
}


def pack(cells: Mapping[str, Cell]) -> str:
    """A row as it is stored: canonical JSON without the empty cells."""
    full = {name: cell for name, cell in cells.items() if cell is not None}
    text = json.dumps(full, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    size = len(text.encode())
    if size > LONGEST_ROW:
        raise InvalidInputError(f"a row has {size} bytes as JSON, the limit is {LONGEST_ROW}")
    return text


def unpack(value: str, columns: Iterable[Column]) -> dict[str, Cell]:
    """A stored row by column; a cell that it does not state, or of another type, is None."""
    cells: dict[str, Any] = json.loads(value)
    return {column.name: _fitting(cells.get(column.name), column) for column in columns}


def _fitting(cell: Cell, column: Column) -> Cell:
    """What a rollback or an import may bring need not be what the column takes now."""
    if isinstance(cell, bool) != (column.type == "boolean"):
        return None
    return cell if isinstance(cell, _KINDS.get(column.type, str)) else None
