"""Dates that are said outright: 20 March 2026, 2026-03-20, 3/20, spring 2022, in 2021, the 5th.

A date without its year takes the one that is nearest to the reference, by the sentence's tense.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from mneme.memories.plaintext.language.times_calendar import (
    Days,
    month_around,
    month_of,
    one_day,
    plus,
    quarter_of,
    season_of,
    year_of,
    yearly,
)
from mneme.memories.plaintext.language.times_rules import Rule, Scene, rule
from mneme.memories.plaintext.language.times_words import (
    ENGLISH_MONTHS,
    FULL_WEEKDAYS,
    MONTHS,
    ORDINALS,
    PLAIN_MONTHS,
    SEASONS,
    WEEKDAYS,
    choice,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_S = r"\s{1,3}"
_MONTH = rf"(?P<month>{choice(MONTHS)})(?:\.(?=\s{{0,3}}[0-9'’]))?"
_YEAR = r"(?P<year>(?:1[89]|20)[0-9]{2}|['’][0-9]{2})"
_TAIL_YEAR = rf"(?:,?{_S}(?:of{_S}|in{_S}|del?{_S})?{_YEAR})?"
_DAY = rf"(?P<day>(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|\.|er|º)?|{choice(ORDINALS)})"
_TO_DAY = r"(?P<to>(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|\.)?)"
_WEEKDAY = rf"(?:{choice(WEEKDAYS)}\.?,?{_S}(?:the{_S})?)?"
_DASH = r"\s?(?:-|–|to|until|through|and|bis)\s?(?:the\s)?"
_COUNTED = (
    r"(?!\s?(?:miles|km|people|%|percent|minutes|hours|times|days|weeks|months|years|pages|more|"
    r"dollars|euros|steps|points|k\b|a\.?m\b|p\.?m\b|:))"
)
_CAUTIOUS = words(
    "in since last next early mid late until till by during from before after of past this"
)
_BESIDE_CAPITAL = frozenset([*_CAUTIOUS, "to", "through", "around", "for", "and", "or", "between"])
_JOINING = frozenset({"to", "through", "and", "or"})
_OPENED = re.compile(r"\b(?:from|between|since|either)\b")
_BEFORE_YEAR = frozenset(
    words(
        "in since during of until till before after by from around year through early mid late to "
        "and between"
    )
)
_VERBS = frozenset({"may", "march", "mar"})
_SURE = frozenset(words("in since until till during early mid late"))


def _year(text: str, reference: date | None) -> int:
    if text[0] not in "'’":
        return int(text)
    return _two_digits(int(text[1:]), reference)


def _two_digits(short: int, reference: date | None) -> int:
    """The year of two digits that is nearest to the reference, or from 1970 to 2069."""
    around = reference.year if reference else 2019
    return around + (short - around + 50) % 100 - 50


def _day_number(text: str) -> int:
    return ORDINALS.get(text) or int(re.sub(r"\D", "", text))


def _choose(make: Callable[[int], Days], match: re.Match[str], scene: Scene) -> Days | None:
    """The instance of the year said, or else of the year that fits."""
    said = match.group("year")
    if said:
        return make(_year(said, scene.reference))
    if scene.reference is None:
        return None
    return yearly(make, scene.reference, scene.tense(match.start(), match.end()))


def _day_and_month(match: re.Match[str], scene: Scene) -> Days | None:
    name, month = match.group("month"), MONTHS[match.group("month")]
    day, to = _day_number(match.group("day")), match.groupdict().get("to")
    bare = not match.group("year") and not re.search("[0-9][a-z]", match.group(0))
    if bare and name in _VERBS and not scene.is_capital(match.start("month")):
        return None
    end = _day_number(to) if to else day

    def make(year: int) -> Days:
        first, last = date(year, month, day), date(year, month, end)
        if last < first:
            raise ValueError("the range runs backwards")
        return Days(first, last)

    return _choose(make, match, scene)


def _iso(match: re.Match[str], scene: Scene) -> Days | None:
    year, month, day = int(match["y"]), int(match["m"]), match.group("d")
    return one_day(date(year, month, int(day))) if day else month_of(year, month)


def _numeric(match: re.Match[str], scene: Scene) -> Days | None:
    """Day or month first: by what is possible, else month first, but day first with dots."""
    one, two, said = int(match["a"]), int(match["b"]), match["c"]
    if match["sep"] == "." and len(said) == 2 and len(match["a"] + match["b"]) < 4:
        return None  # a version, such as 1.2.34
    year = int(said) if len(said) > 2 else _two_digits(int(said), scene.reference)
    day_first = one > 12 or (two <= 12 and match["sep"] == ".")
    day, month = (one, two) if day_first else (two, one)
    return one_day(date(year, month, day))


def _short_numeric(match: re.Match[str], scene: Scene) -> Days | None:
    """`3/20`, unless it looks like a fraction, a score or 24/7."""
    one, two = int(match["a"]), int(match["b"])
    padded = match["a"][0] == "0" or match["b"][0] == "0"
    led = scene.word_before(match.start()) in {"on", "by", "until", "since", "before", "after"}
    if (one, two) == (24, 7) or not (padded or led or max(one, two) > 12):
        return None
    if scene.reference is None:
        return None
    month, day = (two, one) if one > 12 else (one, two)
    tense = scene.tense(match.start(), match.end())
    return yearly(lambda year: one_day(date(year, month, day)), scene.reference, tense)


def _month_and_year(match: re.Match[str], scene: Scene) -> Days | None:
    return month_of(_year(match["year"], scene.reference), MONTHS[match["month"]])


def _month(match: re.Match[str], scene: Scene) -> Days | None:
    name, start = match["month"], match.start()
    if scene.reference is None:
        return None
    if name not in PLAIN_MONTHS:
        led = scene.word_before(start)
        capital = scene.is_capital(start)
        if not (led in _SURE or (capital and led in _BESIDE_CAPITAL)):
            return None
        if led in _JOINING and not _OPENED.search(scene.lower, max(0, start - 30), start):
            return None
    month, tense = MONTHS[name], scene.tense(start, match.end())
    return yearly(lambda year: month_of(year, month), scene.reference, tense)


def _plain_year(match: re.Match[str], scene: Scene) -> Days | None:
    led = scene.word_before(match.start()) in _BEFORE_YEAR
    closed = scene.lower[match.end() : match.end() + 1] == ")"
    return year_of(int(match["year"])) if led or closed else None


def _decade(match: re.Match[str], scene: Scene) -> Days | None:
    text = match["decade"]
    first = 1900 + int(text[1:3]) if text[0] in "'’" else int(text[:4])
    return Days(date(first, 1, 1), date(first + 9, 12, 31))


def _season(match: re.Match[str], scene: Scene) -> Days | None:
    return season_of(_year(match["year"], scene.reference), SEASONS[match["season"]])


def _quarter(match: re.Match[str], scene: Scene) -> Days | None:
    named = match.group("nth")
    number = ORDINALS[named] if named else int(match["q"])
    if match.group("year") or scene.reference is None:
        return quarter_of(_year(match["year"], None), number) if match.group("year") else None
    tense = scene.tense(match.start(), match.end())
    return yearly(lambda year: quarter_of(year, number), scene.reference, tense)


def _nth(match: re.Match[str], scene: Scene) -> Days | None:
    """`the 5th`, of the month that fits."""
    reference = scene.reference
    if reference is None:
        return None
    number = _day_number(match["day"])
    if match["which"]:
        month = month_around(reference, {"last": -1, "this": 0, "next": 1}[match["which"]])
        return one_day(month.first.replace(day=number))
    tense = scene.tense(match.start(), match.end())
    months = (month_around(reference, ahead) for ahead in range(-2, 3))
    found = [plus(m.first, number - 1) for m in months if number <= m.last.day]
    found = [day for day in found if _fits(day, reference, tense)]
    nearest = min(found, key=lambda day: abs((day - reference).days))
    return Days(nearest, nearest, floating=True)


def _fits(day: date, reference: date, tense: str) -> bool:
    return day <= reference if tense == "past" else day >= reference if tense == "future" else True


_AFTER_NTH = (
    r"(?=\s*(?:[.,;:!?)\n]|$|-\s)|\s+(?:at|in|on|and|or|for|with|to|was|is|we|i|he|she|they|you|it|"
    r"if|but|because|so|when|while|after|before|since|until|from|my|our|this|that|"
    r"of\s+(?:this|last|next)\s+month)\b)"
)
EXPLICIT: tuple[Rule, ...] = (
    rule(r"(?P<y>(?:1[89]|20)[0-9]{2})(?P<s>[-/.])(?P<m>[01]?[0-9])(?P=s)(?P<d>[0-3]?[0-9])"
         r"(?:t[0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?z?)?", _iso),
    rule(r"(?P<y>(?:1[89]|20)[0-9]{2})\s?年\s?(?P<m>[01]?[0-9])\s?月(?:\s?(?P<d>[0-3]?[0-9])\s?日)?",
         _iso),
    rule(r"(?P<y>(?:19|20)[0-9]{2})-(?P<m>0[1-9]|1[0-2])(?P<d>)(?!-)", _iso),
    rule(r"(?P<a>[0-3]?[0-9])(?P<sep>[/.-])(?P<b>[0-3]?[0-9])(?P=sep)(?P<c>(?:19|20)?[0-9]{2})"
         r"(?![/.-][0-9])", _numeric),
    rule(rf"{_WEEKDAY}{_DAY}(?:{_DASH}{_TO_DAY})?{_S}(?:of{_S}|de{_S})?{_MONTH}{_TAIL_YEAR}",
         _day_and_month),
    rule(rf"{_WEEKDAY}{_MONTH}{_S}(?:the{_S})?{_DAY}(?:{_DASH}{_TO_DAY})?(?![0-9/]){_TAIL_YEAR}"
         rf"{_COUNTED}", _day_and_month),
    rule(rf"{_MONTH},?{_S}(?:of{_S}|in{_S}|del?{_S})?{_YEAR}", _month_and_year),
    rule(r"(?P<a>[0-3]?[0-9])/(?P<b>[0-3]?[0-9])"
         r"(?!/|\s?(?:cup|inch|tsp|tbsp|tea|table|of\b|%|th|stars|points|full|"
         r"hours|chance|tank|pound|lb|mile))", _short_numeric),
    rule(rf"(?P<season>{choice(SEASONS)}){_S}(?:of{_S}|in{_S})?{_YEAR}", _season),
    rule(rf"(?:q(?P<q>[1-4])|(?P<nth>first|second|third|fourth){_S}quarter)"
         rf"(?:,?{_S}(?:of{_S}|in{_S})?{_YEAR})?", _quarter),
    rule(rf"(?:the{_S})?(?P<decade>(?:18|19|20)[0-9]0s|['’][2-9]0s)", _decade),
    rule(rf"(?P<year>(?:19|20)[0-9]{{2}}){_COUNTED}(?!['’]s|[-/.,:][0-9])", _plain_year),
    rule(rf"(?:the{_S}|{choice(FULL_WEEKDAYS)}{_S}the{_S})"
         r"(?P<day>(?:[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th))"
         rf"(?:{_S}of{_S}(?P<which>this|last|next){_S}month|{_AFTER_NTH})", _nth),
    rule(rf"(?P<month>{choice(ENGLISH_MONTHS)})", _month),
)  # fmt: skip
