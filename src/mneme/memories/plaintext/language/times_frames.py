"""Words around a time that change it: since March, the end of May, between March and May 2024.

In: the spans that the rules found, in order. Out: the spans, widened, narrowed or joined.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from mneme.memories.plaintext.language.times_calendar import (
    Days,
    after,
    before,
    one_day,
    part_of,
    plus,
    plus_months,
    week_around,
)
from mneme.memories.plaintext.language.times_words import FULL_WEEKDAYS, ORDINALS, WEEKDAYS, choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mneme.memories.plaintext.language.times_rules import Scene

_REACH = 40  # characters before a span in which its frame must begin
_NTHS = {name: ORDINALS[name] for name in ("first", "second", "third", "fourth")} | {"last": -1}
_PARTS = {"beginning": "early", "start": "early", "middle": "mid", "end": "late"}


class Found(NamedTuple):
    """A span of the text and its days."""

    start: int
    end: int
    days: Days


def _part(match: re.Match[str], days: Days, _: date | None) -> Days | None:
    said = re.sub(r"\s+", " ", match["part"])
    return part_of(days, _PARTS.get(said, said)) if days.last > days.first else None


def _since(match: re.Match[str], days: Days, today: date | None) -> Days | None:
    if today is None:
        return days
    first = days.first
    while days.floating and first > today:
        first = plus_months(first, -12)
    return Days(first, today if first <= today else days.last)


def _week_of(match: re.Match[str], days: Days, _: date | None) -> Days | None:
    return week_around(days.first)


def _so_far(match: re.Match[str], days: Days, today: date | None) -> Days | None:
    """`earlier this year`, `later this month`."""
    if today is None or not days.first <= today <= days.last:
        return None
    return Days(days.first, today) if match["so"] == "earlier" else Days(today, days.last)


def _nth_of(match: re.Match[str], days: Days, _: date | None) -> Days | None:
    """`the first weekend of August`, `the last Friday of the month`."""
    if not 27 <= (days.last - days.first).days <= 366:
        return None
    nth, what = _NTHS[match["nth"]], match["what"]
    if what == "week":
        return (
            Days(plus(days.last, -6), days.last)
            if nth < 0
            else Days(plus(days.first, 7 * nth - 7), plus(days.first, 7 * nth - 1))
        )
    number = WEEKDAYS["saturday" if what == "weekend" else what]
    if nth < 0:
        day = plus(days.last, -((days.last.weekday() - number) % 7))
    else:
        day = plus(days.first, (number - days.first.weekday()) % 7 + 7 * nth - 7)
    return Days(day, plus(day, 1) if what == "weekend" else day)


def _beside(match: re.Match[str], days: Days, _: date | None) -> Days | None:
    """`the Friday before 14 August 2023`, `the week after Christmas`."""
    is_before, what = match["side"] == "before", match["what"]
    edge = days.first if is_before else days.last
    sign = -1 if is_before else 1
    if what in WEEKDAYS:
        number = WEEKDAYS[what]
        return one_day(before(number, edge) if is_before else after(number, edge))
    if what == "weekend":
        saturday = before(5, plus(edge, -1)) if is_before else after(5, edge)
        return Days(saturday, plus(saturday, 1))
    if what in {"month", "year"}:
        other = plus_months(edge, sign * (1 if what == "month" else 12))
    else:
        other = plus(edge, sign * (7 if what == "week" else 1))
    near = plus(edge, sign)
    if what == "day":
        return one_day(near)
    return Days(min(near, other), max(near, other))


Frame = tuple[re.Pattern[str], "Callable[[re.Match[str], Days, date | None], Days | None]"]
_FRAMES: tuple[Frame, ...] = (
    (re.compile(rf"\b(?P<nth>{choice(_NTHS)})\s+(?P<what>week|weekend|{choice(FULL_WEEKDAYS)})"
                r"\s+(?:of|in)\s+(?:the\s+)?$"), _nth_of),
    (re.compile(r"\b(?P<part>early|mid|late|first\s+half|second\s+half|beginning|start|middle|end)"
                r"(?:\s+|-)(?:of\s+|in\s+)?(?:the\s+)?$"), _part),
    (re.compile(rf"\b(?P<what>day|week|weekend|month|year|{choice(FULL_WEEKDAYS)})"
                r"\s+(?P<side>before|after)\s+(?:the\s+)?$"), _beside),
    (re.compile(r"\bweek\s+of\s+(?:the\s+)?$"), _week_of),
    (re.compile(r"\b(?P<so>earlier|later)\s+(?:in\s+)?(?:the\s+)?$"), _so_far),
    (re.compile(r"\bsince\s+(?:about\s+|around\s+)?(?:the\s+)?$"), _since),
)  # fmt: skip
_FRAME_WORD = re.compile(
    r"(?:of|in|since|early|mid|late|half|the|earlier|later|about|around|before|after)[\s-]+$"
)
_RANGE = re.compile(r"[\s,]{0,3}(?:-|–|—|to|until|till|through|thru|bis)\s{0,3}(?:the\s)?$")
_AND = re.compile(r"\s{1,3}and\s{1,3}(?:the\s)?$")
_OPENER = re.compile(r"\b(?P<word>between|from)\s{1,3}(?:the\s)?$")


def framed(found: Iterable[Found], scene: Scene) -> list[Found]:
    """The spans with the words before them taken in, and ranges joined."""
    joined: list[Found] = []
    for item in found:
        here = _frame(item, scene)
        while joined and joined[-1].end > here.start:  # "the last week" in "the last week of June"
            here = here._replace(start=min(joined.pop().start, here.start))
        pair = _join(joined[-1], here, scene) if joined else None
        if pair:
            joined[-1] = pair
        else:
            joined.append(here)
    return joined


def _frame(item: Found, scene: Scene) -> Found:
    """One span inside its frames; "since early May" has two."""
    for _ in range(2):
        lead = scene.lower[max(0, item.start - _REACH) : item.start]
        if not _FRAME_WORD.search(lead[-10:]):
            return item
        for pattern, change in _FRAMES:
            match = pattern.search(lead)
            days = _tried(change, match, item.days, scene.reference) if match else None
            if match and days:
                item = Found(item.start - len(lead) + match.start(), item.end, days)
                break
    return item


def _tried(change: Callable[..., Days | None], *given: object) -> Days | None:
    """What a change gives, or nothing beyond the ends of the calendar."""
    try:
        return change(*given)
    except (ValueError, OverflowError):
        return None


def _join(left: Found, right: Found, scene: Scene) -> Found | None:
    """`between A and B`, `from A to B`, `A - B` as one span."""
    between = scene.lower[left.end : right.start]
    opener = _OPENER.search(scene.lower[max(0, left.start - 14) : left.start])
    is_range = len(between) < 14 and (
        _RANGE.match(between) or (opener and opener["word"] == "between" and _AND.match(between))
    )
    if not is_range:
        return None
    days = _tried(_between, left.days, right.days)
    if days is None:
        return None
    start = left.start - (len(opener.group(0)) if opener else 0)
    return Found(start, right.end, days)


def _between(left: Days, right: Days) -> Days | None:
    """From the first to the last day; a year that was only chosen follows the one that was said."""
    first, last = left.first, right.last
    if left.floating and not right.floating:
        first = plus_months(first, 12 * (right.first.year - first.year))
        first = first if first <= last else plus_months(first, -12)
    elif right.floating:
        last = plus_months(last, 12 * (first.year - last.year))
        last = last if last >= first else plus_months(last, 12)
    if first > last:
        return None
    return Days(first, last, left.floating and right.floating)
