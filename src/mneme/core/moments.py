"""Moments as callers give them: aware datetimes, dates, ISO 8601 strings."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

from mneme.core.clock import to_us
from mneme.core.errors import InvalidInputError

_LONGEST = 64


def moment_us(value: object, zone: tzinfo = UTC, *, name: str = "time") -> int:
    """Microseconds since 1970 of a moment.

    Args:
        value: An aware datetime, a date (its first moment in `zone`) or an ISO 8601 string.
        zone: Where a string without a zone, or a date, is read.
        name: Of the argument, for the error.

    Raises:
        InvalidInputError: A naive datetime, another type, or no such moment.
    """
    try:
        return to_us(_moment(value, zone, name).astimezone(UTC))
    except (OverflowError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{name}: no such moment: {value!r}") from error


def optional_us(value: object, zone: tzinfo = UTC, *, name: str = "time") -> int | None:
    """The same, where None stays None."""
    return None if value is None else moment_us(value, zone, name=name)


def _moment(value: object, zone: tzinfo, name: str) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise InvalidInputError(
                f"{name} is a datetime without a zone; add one, such as tzinfo=datetime.UTC"
            )
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=zone)
    if isinstance(value, str) and len(value) <= _LONGEST:
        try:
            read = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise InvalidInputError(
                f"{name}: {value!r} is not an ISO 8601 moment such as 2026-03-20T14:05:00+01:00"
            ) from error
        return read if read.tzinfo is not None else read.replace(tzinfo=zone)
    raise InvalidInputError(
        f"{name} takes an aware datetime or an ISO 8601 string, not {value!r:.80}"
    )
