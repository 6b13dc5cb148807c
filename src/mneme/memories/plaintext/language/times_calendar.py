"""Arithmetic on days: months, weeks, seasons and years as inclusive ranges.

In: dates and numbers. Out: `Days`. Pure; a result before year 1 or after 9999 raises ValueError or
OverflowError, which the caller of the rules turns into "no time found".
"""

from __future__ import annotations

from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, date, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_PAST_BIAS = 3  # without a cue, a day ahead must be three times nearer than one behind


class Days(NamedTuple):
    """An inclusive range of days; `floating` when the year (or month) was chosen, not said."""

    first: date
    last: date
    floating: bool = False


def one_day(day: date) -> Days:
    """The range of a single day."""
    return Days(day, day)


def plus(day: date, days: int) -> date:
    """A day so many days later."""
    return day + timedelta(days=days)


def plus_months(day: date, months: int) -> date:
    """The same day of another month, or its last day where it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if not MINYEAR <= year <= MAXYEAR:
        raise OverflowError("year out of range")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def month_of(year: int, month: int) -> Days:
    """A calendar month."""
    return Days(date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def month_around(day: date, months: int = 0) -> Days:
    """The calendar month so many months from that of a day."""
    moved = plus_months(day.replace(day=1), months)
    return month_of(moved.year, moved.month)


def year_of(year: int) -> Days:
    """A calendar year."""
    return Days(date(year, 1, 1), date(year, 12, 31))


def week_around(day: date, weeks: int = 0) -> Days:
    """Monday to Sunday of the week so many weeks from that of a day."""
    monday = plus(day, 7 * weeks - day.weekday())
    return Days(monday, plus(monday, 6))


def weekend_around(day: date, weeks: int = 0) -> Days:
    """Saturday and Sunday of the week so many weeks from that of a day."""
    sunday = week_around(day, weeks).last
    return Days(plus(sunday, -1), sunday)


def quarter_of(year: int, quarter: int) -> Days:
    """A quarter, 1 to 4, of a calendar year."""
    start = 3 * quarter - 2
    return Days(month_of(year, start).first, month_of(year, start + 2).last)


def season_of(year: int, season: int) -> Days:
    """A season of the northern half, 0 (spring) to 3 (the winter that begins in December)."""
    first = date(year, 3 * season + 3, 1)
    return Days(first, month_around(first, 2).last)


def before(weekday: int, day: date) -> date:
    """The last such weekday (Monday is 0) strictly before a day."""
    return plus(day, -((day.weekday() - weekday - 1) % 7 + 1))


def after(weekday: int, day: date) -> date:
    """The first such weekday strictly after a day."""
    return plus(day, (weekday - day.weekday() - 1) % 7 + 1)


def part_of(days: Days, part: str) -> Days:
    """The early, mid or late third, or the first or second half, of a range."""
    length = (days.last - days.first).days + 1
    cuts = {
        "early": (0, length // 3),
        "mid": (length // 3, 2 * length // 3),
        "late": (2 * length // 3, length),
        "first half": (0, length // 2),
        "second half": (length // 2, length),
    }
    start, end = cuts[part]
    return Days(plus(days.first, start), plus(days.first, max(start, end - 1)), days.floating)


def yearly(make: Callable[[int], Days], reference: date, which: str) -> Days:
    """One of the years' instances of something that comes every year.

    Args:
        make: The instance of a year; ValueError where it has none (29 February).
        reference: The day from which it is said.
        which: "last" (wholly past), "next" (wholly ahead), "this" (the year's own), "past" or
            "future" by the tense of the sentence, or "" for the nearest, with a bias to the past.
    """
    found = [days for year in range(-4, 5) if (days := _instance(make, reference.year + year))]
    if which == "this":
        same = [d for d in found if d.first.year == reference.year] or found
        return min(same, key=lambda d: _distance(d, reference))._replace(floating=True)
    keep = {
        "last": [d for d in found if d.last < reference],
        "past": [d for d in found if d.first <= reference],
        "next": [d for d in found if d.first > reference],
        "future": [d for d in found if d.last >= reference],
    }.get(which) or found
    return min(keep, key=lambda d: _distance(d, reference))._replace(floating=True)


def _instance(make: Callable[[int], Days], year: int) -> Days | None:
    try:
        return make(year)
    except (ValueError, OverflowError):
        return None


def _distance(days: Days, reference: date) -> int:
    if days.last < reference:
        return (reference - days.last).days
    return max(0, (days.first - reference).days) * _PAST_BIAS


def easter(year: int) -> date:
    """Easter Sunday (the anonymous Gregorian computus)."""
    century, golden = year // 100, year % 19
    epact = (
        19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15
    ) % 30
    rest = (32 + 2 * (century % 4) + 2 * (year % 100 // 4) - epact - year % 100 % 4) % 7
    shift = (golden + 11 * epact + 22 * rest) // 451
    total = epact + rest - 7 * shift + 114
    return date(year, total // 31, total % 31 + 1)
