"""The closed grammar of `filters`: a mapping of known fields to values or operators.

In: what the caller wrote, untrusted. Out: conditions that a store turns into bound parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.core.rows import Condition

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_FIELDS = frozenset({"type", "session", "speaker", "role", "origin", "trust", "state"})
TIME_FIELDS = frozenset({"event_at", "recorded_at"})
OPERATORS = ("eq", "ne", "in", "lt", "lte", "gt", "gte", "exists")
_METADATA = "metadata."
_LONGEST_KEY = 200
_MOST_VALUES = 1000


def parse_filters(filters: object, to_us: Callable[[object], int]) -> tuple[Condition, ...]:
    """Check a filter mapping.

    Args:
        filters: None or a mapping from a field to a value or to {operator: value}.
        to_us: Reads a moment as microseconds; raises InvalidInputError.

    Raises:
        InvalidInputError: On any field, operator or value outside the grammar.
    """
    if filters is None:
        return ()
    if not isinstance(filters, Mapping):
        raise InvalidInputError(f"filters must be a mapping, not {type(filters).__name__}")
    return tuple(
        condition
        for field, wanted in filters.items()
        for condition in _field_conditions(field, wanted, to_us)
    )


def _field_conditions(
    field: object, wanted: object, to_us: Callable[[object], int]
) -> list[Condition]:
    name, key = _field_name(field)
    operators = wanted if isinstance(wanted, Mapping) else {"eq": wanted}
    if not operators:
        raise InvalidInputError(
            f"filter on {field!r} is empty; give a value or {{operator: value}}"
        )
    return [
        Condition(name, key, op, _operand(name, op, value, to_us))
        for op, value in operators.items()
    ]


def _field_name(field: object) -> tuple[str, str | None]:
    if isinstance(field, str):
        if field in TEXT_FIELDS or field in TIME_FIELDS:
            return field, None
        key = field.removeprefix(_METADATA)
        plain = _storable(key) and '"' not in key and "\\" not in key
        if key != field and 0 < len(key) <= _LONGEST_KEY and plain:
            return "metadata", key
    known = ", ".join(sorted(TEXT_FIELDS | TIME_FIELDS))
    raise InvalidInputError(f"cannot filter on {field!r}; use {known} or metadata.<key>")


def _operand(field: str, op: object, value: object, to_us: Callable[[object], int]) -> object:
    if op not in OPERATORS:
        raise InvalidInputError(f"unknown operator {op!r}; use one of {', '.join(OPERATORS)}")
    if op == "exists":
        if not isinstance(value, bool):
            raise InvalidInputError("exists takes true or false")
        return value
    if op == "in":
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > _MOST_VALUES:
            raise InvalidInputError(f"in takes a list of at most {_MOST_VALUES} values")
        return tuple(_scalar(field, each, to_us) for each in value)
    return _scalar(field, value, to_us)


def _scalar(field: str, value: object, to_us: Callable[[object], int]) -> object:
    if field in TIME_FIELDS:
        return to_us(value)
    if field in TEXT_FIELDS:
        if not isinstance(value, str) or not _storable(value):
            raise InvalidInputError(f"{field} is compared with a string, not {value!r}")
        return value
    if isinstance(value, str) and _storable(value):
        return value
    if isinstance(value, bool | int) and abs(value) < 1 << 63:
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    raise InvalidInputError(f"metadata is compared with a string, number or boolean, not {value!r}")


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
