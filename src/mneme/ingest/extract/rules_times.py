"""Since when and until when a statement holds, as its sentence says.

In: a sentence and the moment it was said. Out: microseconds since 1970, UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from mneme.memories.plaintext.language.times import TimeSpan, find_times

_US: Final = 1_000_000
_EPOCH: Final = date(1970, 1, 1)
_SINCE: Final = re.compile(
    r"\b(?:since|as of|starting|effective|beginning|from)\s+(?:the\s+|on\s+|around\s+)?\W*$",
    re.IGNORECASE,
)
_UNTIL: Final = re.compile(
    r"\b(?:until|till|through|up to|by the end of)\s+(?:(?:the\s+)?end\s+of\s+)?(?:the\s+|this\s+"
    r"|on\s+)?\W*$",
    re.IGNORECASE,
)


def day_of(at: int | None) -> date | None:
    """The day (UTC) of a moment; None if it is unknown or beyond the calendar."""
    if at is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=at)
    except OverflowError:
        return None


def start_of(day: date) -> int:
    """The first moment of a day."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * _US


def times_in(text: str, at: int | None) -> list[TimeSpan]:
    """The times that a sentence speaks of."""
    return find_times(text, day_of(at))


def held(text: str, at: int | None, *, dated: bool) -> tuple[int | None, int | None]:
    """From when and until when something holds: the times of its sentence, by "since" and "until".

    A time to come without "until" is a plan, and bounds nothing.

    Args:
        text: The sentence.
        at: When it was said.
        dated: Whether any time in it is when it began, and not only one after "since".
    """
    begins = ends = None
    for span in times_in(text, at):
        if is_until(text, span):
            ends = ends if ends is not None else end_of(span)
        elif begins is None and (dated or _SINCE.search(text, max(0, span.start - 40), span.start)):
            if at is not None and start_of(span.first) > at:
                continue
            begins = start_of(span.first)
    return begins, ends if begins is None or ends is None or begins < ends else None


def is_until(text: str, span: TimeSpan) -> bool:
    """Whether "until" stands before a time."""
    return _UNTIL.search(text, max(0, span.start - 40), span.start) is not None


def end_of(span: TimeSpan) -> int:
    """The moment after the last day of a time: "until Friday" takes in that Friday."""
    try:
        return start_of(span.last + timedelta(days=1))
    except OverflowError:
        return start_of(span.last)


def until_in(text: str, at: int | None) -> int | None:
    """The moment up to which something is to be kept; None if the sentence names none."""
    for span in times_in(text, at):
        if is_until(text, span) or re.search(
            r"\bonly (?:for|on)\s+$", text[: span.start], re.IGNORECASE
        ):
            return end_of(span)
    return None
