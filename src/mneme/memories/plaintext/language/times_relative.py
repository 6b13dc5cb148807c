"""Times that are said from a day: yesterday, last Friday, two weeks ago, next month, in three days.

Every rule needs a reference. A week runs from Monday to Sunday; "next Friday" is that of the week
after this one; "last Friday" the latest one before the reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mneme.memories.plaintext.language.times_calendar import (
    Days,
    after,
    before,
    month_around,
    month_of,
    one_day,
    plus,
    plus_months,
    quarter_of,
    season_of,
    week_around,
    weekend_around,
    year_of,
    yearly,
)
from mneme.memories.plaintext.language.times_rules import Rule, Scene, rule
from mneme.memories.plaintext.language.times_words import (
    ENGLISH_MONTHS,
    FULL_WEEKDAYS,
    MONTHS,
    NUMBERS,
    SEASONS,
    WEEKDAYS,
    choice,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

_S = r"\s{1,3}"
SHIFTS = {
    "yesterday": -1, "last night": -1, "today": 0, "tonight": 0, "tomorrow": 1,
    "the day before yesterday": -2, "the day after tomorrow": 2, "day before yesterday": -2,
    "day after tomorrow": 2, "this morning": 0, "this afternoon": 0, "this evening": 0,
    "last evening": -1, "gestern": -1, "heute": 0, "vorgestern": -2, "übermorgen": 2,
    "hier soir": -1, "aujourd'hui": 0, "avant-hier": -2, "demain": 1, "après-demain": 2,
    "ayer": -1, "anteayer": -2, "anoche": -1, "hoy": 0, "昨天": -1, "今天": 0, "明天": 1,
    "前天": -2, "后天": 2,
    "昨日": -1, "今日": 0, "明日": 1,
}  # fmt: skip
_COUNT = rf"(?P<count>[0-9]{{1,4}}|{choice(NUMBERS)})"
_UNIT = r"(?P<unit>minute|min|hour|hr|day|night|week|fortnight|weekend|month|quarter|year|decade)s?"
_DETERMINER = (
    r"(?P<which>this\s{1,3}past|this\s{1,3}last|this\s{1,3}coming|last|past|this|next|coming)"
)
_WHICH = {"this past": "last", "this last": "last", "past": "last", "this coming": "next",
          "coming": "next"}  # fmt: skip
_PER_UNIT = {"day": 1, "night": 1, "week": 7, "fortnight": 14, "weekend": 7}
_MONTHS_PER_UNIT = {"month": 1, "quarter": 3, "year": 12, "decade": 120}
_SLACK_DAYS = {"day": 0, "night": 0, "week": 3, "fortnight": 3, "weekend": 0}
_REPEATED = frozenset(words("every each any most black good alternate"))


def _said(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("’", "'")


def _shifted(match: re.Match[str], scene: Scene) -> Days | None:
    if scene.reference is None:
        return None
    return one_day(plus(scene.reference, SHIFTS[_said(match["shift"])]))


def _which(match: re.Match[str]) -> str:
    said = _said(match["which"])
    return _WHICH.get(said, said)


def _unit(match: re.Match[str], scene: Scene) -> Days | None:
    """`last week`, `this month`, `next year`, and the rolling `past week`."""
    day = scene.reference
    if day is None:
        return None
    which, unit = _which(match), match["unit"]
    if match["which"] == "past" and unit != "weekend":
        return _rolling(day, (1, 1), unit, -1)
    ahead = {"last": -1, "this": 0, "next": 1}[which]
    around: dict[str, Callable[[], Days]] = {
        "week": lambda: week_around(day, ahead),
        "weekend": lambda: _weekend(day, which),
        "month": lambda: month_around(day, ahead),
        "year": lambda: year_of(day.year + ahead),
        "quarter": lambda: _quarter(day, ahead),
        "decade": lambda: _decade(day.year, ahead),
    }
    return around[unit]() if unit in around else None


def _before_last(match: re.Match[str], scene: Scene) -> Days | None:
    """`the weekend before last`, `the week after next`."""
    if scene.reference is None:
        return None
    ahead = -2 if match["side"].startswith("before") else 2
    if match["unit"] == "weekend":
        return weekend_around(scene.reference, ahead)
    if match["unit"] == "week":
        return week_around(scene.reference, ahead)
    if match["unit"] == "month":
        return month_around(scene.reference, ahead)
    return year_of(scene.reference.year + ahead)


def _weekend(day: date, which: str) -> Days:
    """`last weekend` is wholly past, also when it is said on a Sunday."""
    return weekend_around(day, {"last": -1, "this": 0, "next": 1}[which])


def _quarter(day: date, ahead: int) -> Days:
    moved = plus_months(day.replace(day=1), 3 * ahead)
    return quarter_of(moved.year, (moved.month + 2) // 3)


def _decade(year: int, ahead: int) -> Days:
    start = year // 10 * 10 + 10 * ahead
    return Days(year_of(start).first, year_of(start + 9).last)


def _weekday(match: re.Match[str], scene: Scene) -> Days | None:
    """`last Friday`, `this Friday`, `next Friday`."""
    day = scene.reference
    if day is None:
        return None
    number, which = WEEKDAYS[match["weekday"]], _which(match)
    if which == "last":
        return one_day(before(number, day))
    if which == "next":
        ahead = 0 if match["which"].endswith("coming") else 1
        return (
            one_day(plus(week_around(day, ahead).first, number))
            if ahead
            else one_day(after(number, day))
        )
    if scene.tense(match.start(), match.end()) == "past":
        return one_day(before(number, plus(day, 1)))
    return one_day(after(number, plus(day, -1)))


def _bare_weekday(match: re.Match[str], scene: Scene) -> Days | None:
    """`on Friday`: the one behind after a past tense, else the one ahead."""
    day, start = scene.reference, match.start()
    led = scene.word_before(start)
    if day is None or led in _REPEATED:
        return None
    if match["weekday"] not in FULL_WEEKDAYS and not (led == "on" and scene.is_capital(start)):
        return None
    number = WEEKDAYS[match["weekday"]]
    if led == "since" or scene.tense(start, match.end()) == "past":
        return Days(*one_day(before(number, day))[:2], floating=True)
    return Days(*one_day(after(number, day))[:2], floating=True)


def _the_weekend(match: re.Match[str], scene: Scene) -> Days | None:
    if scene.reference is None:
        return None
    past = scene.tense(match.start(), match.end()) == "past"
    return _weekend(scene.reference, "last" if past else "this")


def _month(match: re.Match[str], scene: Scene) -> Days | None:
    """`last May`: but `this may` in small letters is the verb."""
    name, which = match["month"], _which(match)
    if scene.reference is None or (
        name in {"may", "march"} and which == "this" and not scene.is_capital(match.start("month"))
    ):
        return None
    month = MONTHS[name]
    return yearly(lambda year: month_of(year, month), scene.reference, which)


def _season(match: re.Match[str], scene: Scene) -> Days | None:
    if scene.reference is None:
        return None
    season, which = SEASONS[match["season"]], match["which"]
    if which in {"in the", "over the", "during the", "the", "in"}:
        which = scene.tense(match.start(), match.end())
    else:
        which = _WHICH.get(_said(which), _said(which))
    return yearly(lambda year: season_of(year, season), scene.reference, which)


def _count(text: str) -> tuple[int, int]:
    return (int(text), int(text)) if text.isdecimal() else NUMBERS[_said(text)]


def _rolling(day: date, count: tuple[int, int], unit: str, sign: int) -> Days | None:
    """From a day back (or ahead) over so many units."""
    if unit in _PER_UNIT:
        end = plus(day, sign * count[1] * _PER_UNIT[unit])
    elif unit in _MONTHS_PER_UNIT:
        end = plus_months(day, sign * count[1] * _MONTHS_PER_UNIT[unit])
    else:
        end = plus(day, sign)
    return Days(min(day, end), max(day, end))


def _last_units(match: re.Match[str], scene: Scene) -> Days | None:
    """`the last two weeks`, `the next few days`."""
    if scene.reference is None:
        return None
    sign = 1 if match["way"] in {"next", "coming"} else -1
    return _rolling(scene.reference, _count(match["count"]), match["unit"], sign)


def _distance(match: re.Match[str], scene: Scene) -> Days | None:
    """`two weeks ago`, `in three days`: as wide as the unit is vague."""
    if scene.reference is None:
        return None
    groups = match.groupdict()
    sign = -1 if groups.get("ago") else 1
    if sign > 0 and not groups.get("ahead") and scene.tense(match.start(), match.end()) == "past":
        return None  # "I finished it in three days"
    low, high = _count(match["count"])
    unit = match["unit"]
    if groups.get("half"):
        return _and_a_half(scene.reference, low, unit, sign)
    near, far = _at(scene.reference, sign * low, unit), _at(scene.reference, sign * high, unit)
    return Days(min(near.first, far.first), max(near.last, far.last))


def _at(day: date, count: int, unit: str) -> Days:
    """Where one counts to from a day."""
    if unit in _PER_UNIT:
        if unit == "weekend":
            return weekend_around(day, count)
        there, slack = plus(day, count * _PER_UNIT[unit]), _SLACK_DAYS[unit]
        return Days(plus(there, -slack), plus(there, slack))
    if unit in {"month", "quarter"}:
        return month_around(day, count * _MONTHS_PER_UNIT[unit])
    if unit == "year":
        return year_of(day.year + count)
    if unit == "decade":
        return Days(
            year_of(day.year + 10 * count - 2).first, year_of(day.year + 10 * count + 2).last
        )
    per_day = 24 if unit in {"hour", "hr"} else 24 * 60
    return one_day(plus(day, count // per_day if count > 0 else -(-count // per_day)))


def _and_a_half(day: date, count: int, unit: str, sign: int) -> Days | None:
    """`a year and a half ago`."""
    if unit == "year":
        centre = plus_months(day, sign * (12 * count + 6))
        return Days(month_around(centre, -2).first, month_around(centre, 2).last)
    days = {"month": 30, "week": 7, "day": 1}.get(unit)
    if days is None:
        return None
    centre = plus(day, sign * (days * count + days // 2))
    return Days(plus(centre, -days // 4), plus(centre, days // 4))


def _half_year(match: re.Match[str], scene: Scene) -> Days | None:
    if scene.reference is None:
        return None
    return month_around(scene.reference, -6)


def _other_day(match: re.Match[str], scene: Scene) -> Days | None:
    if scene.reference is None:
        return None
    return Days(plus(scene.reference, -7), plus(scene.reference, -1))


def _until_now(match: re.Match[str], scene: Scene) -> Days | None:
    """`for three years now`: from then to the reference."""
    if scene.reference is None:
        return None
    return Days(
        _at(scene.reference, -_count(match["count"])[1], match["unit"]).first, scene.reference
    )


def _weekdays_ago(match: re.Match[str], scene: Scene) -> Days | None:
    """`two Fridays ago`."""
    if scene.reference is None:
        return None
    low, high = _count(match["count"])
    latest = before(WEEKDAYS[match["weekday"]], scene.reference)
    return Days(plus(latest, -7 * (high - 1)), plus(latest, -7 * (low - 1)))


_WEEKDAY = rf"(?P<weekday>{choice(WEEKDAYS)})"
_DAY_PART = rf"(?:{_S}(?:morning|afternoon|evening|night))?"
RELATIVE: tuple[Rule, ...] = (
    rule(rf"{_COUNT}{_S}{_UNIT}(?:{_S}(?P<half>and{_S}a{_S}half))?{_S}(?P<ago>ago|back)",
         _distance),
    rule(rf"{_COUNT}{_S}{_UNIT}{_S}now", _until_now),
    rule(rf"{_COUNT}{_S}(?P<weekday>{choice(FULL_WEEKDAYS)})s{_S}ago", _weekdays_ago),
    rule(rf"half{_S}a{_S}year{_S}ago", _half_year),
    rule(rf"in{_S}(?:about{_S}|around{_S}|like{_S})?{_COUNT}{_S}{_UNIT}"
         rf"(?P<half>{_S}and{_S}a{_S}half)?(?P<ahead>['’]?{_S}time)?", _distance),
    rule(rf"{_COUNT}{_S}{_UNIT}{_S}(?P<ahead>from{_S}(?:now|today))", _distance),
    rule(rf"(?:the{_S}|these{_S})?(?P<way>last|past|next|coming){_S}{_COUNT}{_S}{_UNIT}",
         _last_units),
    rule(rf"the{_S}(?P<unit>week|weekend|month|year){_S}(?P<side>before{_S}last|after{_S}next)",
         _before_last),
    rule(rf"(?:the{_S})?{_DETERMINER}{_S}{_UNIT}", _unit),
    rule(rf"(?:the{_S})?{_DETERMINER}{_S}{_WEEKDAY}{_DAY_PART}", _weekday),
    rule(rf"{_DETERMINER}{_S}(?P<month>{choice(ENGLISH_MONTHS)})", _month),
    rule(rf"(?P<which>this{_S}past|this{_S}last|this{_S}coming|last|past|this|next|coming|"
         rf"in{_S}the|over{_S}the|during{_S}the|in){_S}(?P<season>{choice(SEASONS)})", _season),
    rule(rf"(?P<shift>{choice(SHIFTS)}){_DAY_PART}", _shifted),
    rule(rf"the{_S}other{_S}(?:day|night|evening|morning)", _other_day),
    rule(rf"(?:over|on|at|during|for){_S}the{_S}weekend", _the_weekend),
    rule(rf"{_WEEKDAY}{_DAY_PART}", _bare_weekday),
)  # fmt: skip
