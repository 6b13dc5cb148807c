"""Find what a text says about time, as days.

In: a text and the day on which it was said. Out: character spans with absolute, inclusive ranges of
days: "last Friday" said on 20 March 2026 is 13 March 2026. Pure, without a clock; a text without a
time costs a few microseconds. English, with the plain dates of a few other languages.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import NamedTuple

from mneme.memories.plaintext.language.times_explicit import EXPLICIT
from mneme.memories.plaintext.language.times_frames import Found, framed
from mneme.memories.plaintext.language.times_holidays import FIRST_WORDS, HOLIDAYS
from mneme.memories.plaintext.language.times_relative import RELATIVE, SHIFTS
from mneme.memories.plaintext.language.times_rules import (
    NO_WORD,
    NOT_BEFORE_WORD,
    Rule,
    Scene,
)
from mneme.memories.plaintext.language.times_words import (
    FULL_WEEKDAYS,
    MONTHS,
    NUMBERS,
    ORDINALS,
    SEASONS,
    WEEKDAYS,
    tree,
    words,
)

_RULES: tuple[Rule, ...] = (*EXPLICIT, *HOLIDAYS, *RELATIVE)

# Where a time may begin. Frequent words count only before a second word that fits.
_ALONE = (
    set(MONTHS) | set(WEEKDAYS) | set(SEASONS) | FIRST_WORDS
    | {word for word in SHIFTS if " " not in word}
    | set(words("last past next coming q1 q2 q3 q4"))
)  # fmt: skip
_UNITS = words("minute min hour hr day night week fortnight weekend month quarter year decade")
_COUNTED = tree(word for word in NUMBERS if " " not in word) + (
    r"\s{1,3}(?:of\s{1,3})?" + tree([*_UNITS, *FULL_WEEKDAYS, "couple", "few", "dozen"])
)
_AFTER_THE = [
    *_UNITS, *MONTHS, *WEEKDAYS, *SEASONS, *FIRST_WORDS,
    *words("last past next coming other new good morning afternoon evening few"),
]  # fmt: skip
_PAIRS = (
    rf"in\s{{1,3}}(?:about\s{{1,3}}|around\s{{1,3}}|like\s{{1,3}})?(?:[0-9]|{_COUNTED})",
    _COUNTED,
    rf"(?:the|these|this)\s{{1,3}}(?:[0-9'’]|{tree(_AFTER_THE)})",
    rf"(?:in|over|on|at|during|for)\s{{1,3}}(?:the\s{{1,3}})?{tree([*SEASONS, 'weekend'])}",
    rf"{tree(ORDINALS)}\s{{1,3}}{tree([*MONTHS, 'of', 'de', 'quarter'])}",
    r"half\s{1,3}a\s{1,3}year|day\s{1,3}(?:before|after)|hier\s{1,3}soir|new\s{1,3}year|good\s{1,3}fri",
)
_BEGIN = rf"(?:['’]?[0-9]|{tree(_ALONE)}{NOT_BEFORE_WORD}|{'|'.join(_PAIRS)})"
_AT_START = re.compile(_BEGIN)
# The character before is part of the pattern: to look for it is quicker than to look behind.
_INSIDE = re.compile(NO_WORD + _BEGIN)


class TimeSpan(NamedTuple):
    """Characters `start` to `end` (exclusive) speak of the days `first` to `last` (inclusive)."""

    start: int
    end: int
    first: date
    last: date


def find_times(text: str, reference: date | None) -> list[TimeSpan]:
    """The times that a text speaks of, in order, without overlaps.

    Args:
        text: Any text.
        reference: The day on which it was said; None finds only what needs no reference.

    Returns:
        One span for each time; never raises, a date that does not exist is no time.
    """
    lower = _lowered(text)
    begin = 0 if _AT_START.match(lower) else _next_begin(lower, 1)
    if begin < 0:
        return []
    today = reference.date() if isinstance(reference, datetime) else reference
    scene = Scene(text, lower, today)
    return [
        TimeSpan(f.start, f.end, f.days.first, f.days.last)
        for f in framed(_scan(scene, begin), scene)
    ]


def _lowered(text: str) -> str:
    """The text in lower case, with every character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.replace("\u0130", "i").lower()


def _next_begin(lower: str, position: int) -> int:
    """Where the next time may begin, from a position behind the first; -1 if nowhere."""
    match = _INSIDE.search(lower, position - 1)
    return match.start() + 1 if match else -1


def _scan(scene: Scene, begin: int) -> list[Found]:
    """The spans that a rule accepts, left to right."""
    found = []
    while begin >= 0:
        item = _first_rule(scene, begin)
        if item:
            found.append(item)
        begin = _next_begin(scene.lower, item.end if item else begin + 1)
    return found


def _first_rule(scene: Scene, start: int) -> Found | None:
    """What the first rule says that accepts the text at a place."""
    for rule in _RULES:
        match = rule.pattern.match(scene.lower, start)
        if match is None:
            continue
        try:
            days = rule.days(match, scene)
        except (ValueError, OverflowError):  # 31 June, or the year 12000
            continue
        if days:
            return Found(start, match.end(), days)
    return None
