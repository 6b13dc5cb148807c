"""Whether the rows of a table that come from a file are such as this system could have written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.core.errors import ImportRefusedError
from mneme.memories.plaintext.tables.cells import LONGEST_ROW, LONGEST_TEXT
from mneme.vault.moving_tables import MovedRow, MovedRows

if TYPE_CHECKING:
    from pathlib import Path

_INTEGERS = 1 << 63
_LONGEST_ID = 512


def rows_of(path: Path, value: dict[str, Any]) -> MovedRows:
    """Rows as a line of a file states them.

    Raises:
        ImportRefusedError: Something of it is not what a row has.
    """
    table, version, rows = value.get("table"), value.get("at"), value.get("rows")
    if _is_id(table) and _is_count(version, 1) and isinstance(rows, list):
        moved = [MovedRow(*row) for row in rows if isinstance(row, list) and _is_row(row, version)]
        places = {(row.row, row.since) for row in moved}
        if len(moved) == len(rows) == len(places):
            return MovedRows(str(table), int(version), tuple(moved))  # type: ignore[arg-type]
    raise ImportRefusedError(f"{path} holds rows of a table that no table has")


def _is_row(row: list[Any], version: Any) -> bool:  # noqa: ANN401 (from outside)
    if len(row) != len(MovedRow._fields):
        return False
    number, since, until, source, untrusted, value = row
    return (
        _is_count(number, 1)
        and _is_count(since, 1)
        and since <= version
        and (until is None or (_is_count(until, 1) and since < until <= version))
        and (source is None or _is_id(source))
        and type(untrusted) is int
        and untrusted in {0, 1}
        and _is_value(value)
    )


def _is_count(value: object, least: int) -> bool:
    return type(value) is int and least <= value < 1 << 48


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and _is_text(value)


def _is_value(value: object) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_ROW or not _is_text(value):
        return False
    try:
        cells = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return isinstance(cells, dict) and all(_is_cell(cell) for cell in cells.values())


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_cell(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and _is_text(value)
    if isinstance(value, float):
        return abs(value) != float("inf")
    return isinstance(value, bool) or (type(value) is int and -_INTEGERS <= value < _INTEGERS)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
