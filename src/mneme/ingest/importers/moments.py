"""Read the moment that an export gives: seconds since 1970, ISO, or what people write.

In: a number or a string of unknown form. Out: an aware moment in UTC, or None. Never raises.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from email.utils import parsedate_to_datetime

from mneme.memories.plaintext.language.times import find_times

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TIME = 100
# Seconds since 1970 stay below this until the year 5138; above, the unit is smaller.
_LARGEST_SECONDS = 1e11
_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap])?\.?(?:m\b)?", re.IGNORECASE)
_ZONE = re.compile(r"\s*(?:utc|gmt)$", re.IGNORECASE)


def moment_of(value: object, timezone: tzinfo = UTC) -> datetime | None:
    """The moment, in UTC; None where there is none or it cannot be read.

    Args:
        value: Seconds (or milli-, micro-, nanoseconds) since 1970, or a text.
        timezone: The zone of a text that names none.
    """
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return _from_number(float(value))
        if isinstance(value, str) and len(value) <= _LONGEST_TIME:
            return _from_text(value.strip(), timezone)
    except (ValueError, OverflowError):
        return None
    return None


def _from_number(number: float) -> datetime | None:
    if not math.isfinite(number) or number <= 0:
        return None
    while number >= _LARGEST_SECONDS:
        number /= 1000
    return _EPOCH + timedelta(seconds=number)


def _from_text(text: str, timezone: tzinfo) -> datetime | None:
    if re.fullmatch(r"\d{9,19}(?:\.\d+)?", text):
        return _from_number(float(text))
    if not re.search(r"\d", text):
        return None
    moment = _standard(text) or _written(text)
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone)
    return aware.astimezone(UTC)


def _standard(text: str) -> datetime | None:
    """ISO 8601, or the form of mail."""
    bare = _ZONE.sub("+00:00", text)
    try:
        return datetime.fromisoformat(bare)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text) if re.match(r"[A-Za-z]{3}, \d", text) else None
    except (ValueError, TypeError, IndexError):
        return None


def _written(text: str) -> datetime | None:
    """`1:56 pm on 8 May, 2023`, `2023/05/28 (Sun) 19:47`."""
    days = [span for span in find_times(text, None) if span.first == span.last]
    if not days:
        return None
    at = time()
    for match in _CLOCK.finditer(text):
        hour, half = int(match[1]), (match[4] or "").lower()
        if half:
            hour = hour % 12 + (12 if half == "p" else 0)
        at = time(hour, int(match[2]), int(match[3] or 0))
        break
    zone = UTC if _ZONE.search(text) else None
    return datetime.combine(days[0].first, at, tzinfo=zone)
