"""Days that have a name: Christmas, Halloween, Thanksgiving, Easter, each of the year that fits.

A name alone is no time ("the Christmas tree"): it needs a word such as "last" or "on" before it, or
a year behind it.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from mneme.memories.plaintext.language.times_calendar import Days, easter, one_day, plus, yearly
from mneme.memories.plaintext.language.times_rules import Rule, Scene, rule
from mneme.memories.plaintext.language.times_words import choice, words

if TYPE_CHECKING:
    from collections.abc import Callable

_DATES = {
    "christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25),
    "new year's eve": (12, 31), "new year's day": (1, 1), "new year's": (1, 1),
    "halloween": (10, 31), "valentine's day": (2, 14), "valentine's": (2, 14),
    "valentines day": (2, 14), "independence day": (7, 4), "boxing day": (12, 26),
}  # fmt: skip
_EASTER = {"good friday": -2, "easter sunday": 0, "easter monday": 1, "easter": 0}
_NAMES = (*_DATES, *_EASTER, "thanksgiving")
FIRST_WORDS = frozenset(name.split()[0] for name in _NAMES) - {"new", "good"}
_LED = frozenset(words("on at for before after until till by since over during around past every"))


def _thanksgiving(year: int) -> Days:
    """The fourth Thursday of November."""
    first = date(year, 11, 1)
    return one_day(plus(first, (3 - first.weekday()) % 7 + 21))


def _instance(name: str) -> Callable[[int], Days]:
    if name in _DATES:
        month, day = _DATES[name]
        return lambda year: one_day(date(year, month, day))
    if name in _EASTER:
        return lambda year: one_day(plus(easter(year), _EASTER[name]))
    return _thanksgiving


def _holiday(match: re.Match[str], scene: Scene) -> Days | None:
    make = _instance(re.sub(r"\s+", " ", match["name"]).replace("’", "'"))
    if match["year"]:
        return make(int(match["year"]))
    which = {"past": "last", "coming": "next"}.get(match["which"] or "", match["which"])
    led = which or scene.word_before(match.start()) in _LED
    if scene.reference is None or not led:
        return None
    return yearly(make, scene.reference, which or scene.tense(match.start(), match.end()))


_NAME = choice(_NAMES).replace("'", "['’]")
HOLIDAYS: tuple[Rule, ...] = (
    rule(
        rf"(?:(?P<which>last|past|this|next|coming)\s{{1,3}})?(?P<name>{_NAME})"
        r"(?:,?\s{1,3}(?:of\s|in\s)?(?P<year>(?:19|20)[0-9]{2}))?",
        _holiday,
    ),
)
