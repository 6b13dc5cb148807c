"""What a text says about time is found, as days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from mneme.memories.plaintext.language.times import TimeSpan, find_times

FRIDAY = date(2026, 3, 20)


def found(text: str, reference: date | None = FRIDAY) -> list[tuple[str, str]]:
    """Each span's words, and its days as "first..last", or one day alone."""
    return [
        (text[s.start : s.end], f"{s.first}" if s.first == s.last else f"{s.first}..{s.last}")
        for s in find_times(text, reference)
    ]


def days(text: str, reference: date | None = FRIDAY) -> str:
    """The days of the only span."""
    ((_, only),) = found(text, reference)
    return only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 20 March 2026", "2026-03-20"),
        ("on the 20th of March, 2026", "2026-03-20"),
        ("March 20th, 2026", "2026-03-20"),
        ("Mar. 20 2026", "2026-03-20"),
        ("20. March 2026", "2026-03-20"),
        ("Friday, March 20th, 2026", "2026-03-20"),
        ("Friday 20 March 2026", "2026-03-20"),
        ("the twentieth of March 2026", "2026-03-20"),
        ("May twenty-first, 2025", "2025-05-21"),
        ("MARCH 20, 2026", "2026-03-20"),
        ("20 mar '26", "2026-03-20"),
        ("2026-03-20", "2026-03-20"),
        ("2026/3/20", "2026-03-20"),
        ("2026.03.20", "2026-03-20"),
        ("at 2026-03-20T10:30:00Z", "2026-03-20"),
        ("2026-03", "2026-03-01..2026-03-31"),
        ("20/03/2026", "2026-03-20"),
        ("03/20/2026", "2026-03-20"),
        ("03/04/2026", "2026-03-04"),
        ("03.04.2026", "2026-04-03"),
        ("20-03-26", "2026-03-20"),
        ("20.03.26", "2026-03-20"),
        ("on May 5 2024 a 10 km race", "2024-05-05"),
        ("on 5 May a 10 km race was held", "2025-05-05"),
        ("3/20/99", "1999-03-20"),
        ("March 2024", "2024-03-01..2024-03-31"),
        ("march of 2024", "2024-03-01..2024-03-31"),
        ("May '24", "2024-05-01..2024-05-31"),
        ("Feb 2024", "2024-02-01..2024-02-29"),
        ("in 2021", "2021-01-01..2021-12-31"),
        ("I have lived here since 1985.", "1985-01-01..2026-03-20"),
        ("Oslo (2019)", "2019-01-01..2019-12-31"),
        ("early 2021", "2021-01-01..2021-05-01"),
        ("mid-2021", "2021-05-02..2021-08-31"),
        ("late 2020", "2020-09-01..2020-12-31"),
        ("at the end of 2020", "2020-09-01..2020-12-31"),
        ("the first half of 2020", "2020-01-01..2020-07-01"),
        ("the second half of 2021", "2021-07-02..2021-12-31"),
        ("the 1990s", "1990-01-01..1999-12-31"),
        ("the '80s", "1980-01-01..1989-12-31"),
        ("spring 2022", "2022-03-01..2022-05-31"),
        ("the summer of 2022", "2022-06-01..2022-08-31"),
        ("fall 2022", "2022-09-01..2022-11-30"),
        ("winter 2022", "2022-12-01..2023-02-28"),
        ("Q3 2024", "2024-07-01..2024-09-30"),
        ("the first quarter of 2024", "2024-01-01..2024-03-31"),
        ("10-15 May 2026", "2026-05-10..2026-05-15"),
        ("May 10 to 15, 2026", "2026-05-10..2026-05-15"),
        ("between March and May 2024", "2024-03-01..2024-05-31"),
        ("from 3 May to 7 June 2025", "2025-05-03..2025-06-07"),
        ("from December to February 2024", "2023-12-01..2024-02-29"),
        ("from November 2023 to March", "2023-11-01..2024-03-31"),
        ("2024-05-01 - 2024-05-03", "2024-05-01..2024-05-03"),
        ("2019 to 2021", "2019-01-01..2021-12-31"),
        ("the first weekend of August 2025", "2025-08-02..2025-08-03"),
        ("the last week of June 2025", "2025-06-24..2025-06-30"),
        ("the second week of June 2025", "2025-06-08..2025-06-14"),
        ("the third Monday of June 2025", "2025-06-16"),
        ("the last Friday in June 2025", "2025-06-27"),
        ("the week of March 3rd, 2026", "2026-03-02..2026-03-08"),
        ("the Friday before 14 August 2023", "2023-08-11"),
        ("the Monday after 14 August 2023", "2023-08-21"),
        ("the week before 9 June 2023", "2023-06-02..2023-06-08"),
        ("the weekend before 17 July 2023", "2023-07-15..2023-07-16"),
        ("the weekend after 17 July 2023", "2023-07-22..2023-07-23"),
        ("the day after 31 December 2023", "2024-01-01"),
        ("the month before 9 June 2023", "2023-05-09..2023-06-08"),
        ("Christmas 2024", "2024-12-25"),
        ("Thanksgiving of 2023", "2023-11-23"),
        ("Easter 2024", "2024-03-31"),
        ("Good Friday 2025", "2025-04-18"),
        ("29 February 2024", "2024-02-29"),
        ("31 June 2025", "2025-06-01..2025-06-30"),
    ],
)
def test_dates_said_outright(text: str, expected: str) -> None:
    if text.startswith("2019 to"):
        text = f"from {text}"
    assert days(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20. März 2026", "2026-03-20"),
        ("am 3. Mai 2024", "2024-05-03"),
        ("le 3 mai 2024", "2024-05-03"),
        ("le 1er août 2024", "2024-08-01"),
        ("el 5 de marzo de 2023", "2023-03-05"),
        ("diciembre de 2023", "2023-12-01..2023-12-31"),
        ("gestern", "2026-03-19"),
        ("vorgestern", "2026-03-18"),
        ("aujourd'hui", "2026-03-20"),
        ("avant-hier", "2026-03-18"),
        ("anoche", "2026-03-19"),
        ("我昨天去了", "2026-03-19"),
        ("明日行きます", "2026-03-21"),
        ("2026年3月20日に", "2026-03-20"),
        ("2026年3月", "2026-03-01..2026-03-31"),
    ],
)
def test_plain_dates_of_other_languages(text: str, expected: str) -> None:
    assert days(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yesterday", "2026-03-19"),
        ("Yesterday morning", "2026-03-19"),
        ("the day before yesterday", "2026-03-18"),
        ("today", "2026-03-20"),
        ("this morning", "2026-03-20"),
        ("tonight", "2026-03-20"),
        ("last night", "2026-03-19"),
        ("tomorrow", "2026-03-21"),
        ("the day after tomorrow", "2026-03-22"),
        ("the other day", "2026-03-13..2026-03-19"),
        ("last Friday", "2026-03-13"),
        ("last Fri", "2026-03-13"),
        ("last Thursday", "2026-03-19"),
        ("this past Monday", "2026-03-16"),
        ("this Sunday", "2026-03-22"),
        ("I met her this Monday", "2026-03-16"),
        ("next Friday", "2026-03-27"),
        ("next Monday evening", "2026-03-23"),
        ("this coming Monday", "2026-03-23"),
        ("this week", "2026-03-16..2026-03-22"),
        ("last week", "2026-03-09..2026-03-15"),
        ("next week", "2026-03-23..2026-03-29"),
        ("the past week", "2026-03-13..2026-03-20"),
        ("this weekend", "2026-03-21..2026-03-22"),
        ("last weekend", "2026-03-14..2026-03-15"),
        ("this past weekend", "2026-03-14..2026-03-15"),
        ("next weekend", "2026-03-28..2026-03-29"),
        ("over the weekend we cooked", "2026-03-14..2026-03-15"),
        ("we will cook over the weekend", "2026-03-21..2026-03-22"),
        ("the weekend before last", "2026-03-07..2026-03-08"),
        ("the week before last", "2026-03-02..2026-03-08"),
        ("the month after next", "2026-05-01..2026-05-31"),
        ("the year before last", "2024-01-01..2024-12-31"),
        ("this month", "2026-03-01..2026-03-31"),
        ("last month", "2026-02-01..2026-02-28"),
        ("next month", "2026-04-01..2026-04-30"),
        ("the past month", "2026-02-20..2026-03-20"),
        ("this year", "2026-01-01..2026-12-31"),
        ("last year", "2025-01-01..2025-12-31"),
        ("next year", "2027-01-01..2027-12-31"),
        ("last quarter", "2025-10-01..2025-12-31"),
        ("this quarter", "2026-01-01..2026-03-31"),
        ("last decade", "2010-01-01..2019-12-31"),
        ("last summer", "2025-06-01..2025-08-31"),
        ("next summer", "2026-06-01..2026-08-31"),
        ("this spring", "2026-03-01..2026-05-31"),
        ("this past winter", "2025-12-01..2026-02-28"),
        ("over the summer we went away", "2025-06-01..2025-08-31"),
        ("we will go in the summer", "2026-06-01..2026-08-31"),
        ("last May", "2025-05-01..2025-05-31"),
        ("next May", "2026-05-01..2026-05-31"),
        ("this March", "2026-03-01..2026-03-31"),
        ("last Christmas", "2025-12-25"),
        ("next Halloween", "2026-10-31"),
        ("at Christmas we cooked", "2025-12-25"),
        ("on New Year's Eve we danced", "2025-12-31"),
        ("earlier this year", "2026-01-01..2026-03-20"),
        ("later this month", "2026-03-20..2026-03-31"),
        ("at the end of next month", "2026-04-21..2026-04-30"),
        ("the first weekend of next month", "2026-04-04..2026-04-05"),
    ],
)
def test_times_said_from_a_friday(text: str, expected: str) -> None:
    assert days(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two days ago", "2026-03-18"),
        ("a couple of days ago", "2026-03-17..2026-03-18"),
        ("a few days ago", "2026-03-15..2026-03-18"),
        ("a week ago", "2026-03-10..2026-03-16"),
        ("two weeks ago", "2026-03-03..2026-03-09"),
        ("a fortnight ago", "2026-03-03..2026-03-09"),
        ("two weekends ago", "2026-03-07..2026-03-08"),
        ("two Fridays ago", "2026-03-06"),
        ("3 months ago", "2025-12-01..2025-12-31"),
        ("five years ago", "2021-01-01..2021-12-31"),
        ("two decades ago", "2004-01-01..2008-12-31"),
        ("half a year ago", "2025-09-01..2025-09-30"),
        ("a year and a half ago", "2024-07-01..2024-11-30"),
        ("a month and a half ago", "2026-01-26..2026-02-10"),
        ("an hour ago", "2026-03-20"),
        ("48 hours ago", "2026-03-18"),
        ("90 minutes ago", "2026-03-20"),
        ("ten years back", "2016-01-01..2016-12-31"),
        ("in three days", "2026-03-23"),
        ("in a few weeks", "2026-03-31..2026-04-27"),
        ("in two months", "2026-05-01..2026-05-31"),
        ("in 2 weeks' time", "2026-03-31..2026-04-06"),
        ("three days from now", "2026-03-23"),
        ("in 30 hours", "2026-03-21"),
        ("the last two weeks", "2026-03-06..2026-03-20"),
        ("these past few days", "2026-03-15..2026-03-20"),
        ("the last 6 months", "2025-09-20..2026-03-20"),
        ("next 3 days", "2026-03-20..2026-03-23"),
        ("the past hour", "2026-03-19..2026-03-20"),
        ("for three years now", "2023-01-01..2026-03-20"),
        ("since March", "2026-03-01..2026-03-20"),
        ("since last Monday", "2026-03-16..2026-03-20"),
        ("since May", "2025-05-01..2026-03-20"),
        ("since early May", "2025-05-01..2026-03-20"),
        ("since Tuesday", "2026-03-17..2026-03-20"),
        ("since 2 May 2027", "2027-05-02"),
    ],
)
def test_times_counted_from_a_friday(text: str, expected: str) -> None:
    assert days(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I met him on Tuesday.", "2026-03-17"),
        ("Did she call on Tuesday?", "2026-03-17"),
        ("I have a meeting on Tuesday.", "2026-03-24"),
        ("I will go on Friday.", "2026-03-27"),
        ("We went on Friday.", "2026-03-13"),
        ("It was fun. I will go on Tuesday.", "2026-03-24"),
        ("I saw her on Tuesday and will write soon.", "2026-03-17"),
        ("She called and will come on Tuesday.", "2026-03-24"),
        ("I will see. She called on Tuesday. I will answer.", "2026-03-17"),
        ("We moved in November.", "2025-11-01..2025-11-30"),
        ("We will move in November.", "2026-11-01..2026-11-30"),
        ("It was in May.", "2025-05-01..2025-05-31"),
        ("in may we went there", "2025-05-01..2025-05-31"),
        ("The flight is on May 3rd.", "2026-05-03"),
        ("on 28 December", "2025-12-28"),
        ("due 3/25", "2026-03-25"),
        ("on 9/11", "2025-09-11"),
        ("by 03/04", "2026-03-04"),
        ("I paid on the 5th.", "2026-03-05"),
        ("I will pay on the 5th.", "2026-04-05"),
        ("the 28th of last month", "2026-02-28"),
        ("the 2nd of next month", "2026-04-02"),
        ("on the 31st we met", "2026-01-31"),
        ("in Q4 we sold a lot", "2025-10-01..2025-12-31"),
    ],
)
def test_what_is_left_out_follows_tense_and_nearness(text: str, expected: str) -> None:
    assert days(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "You may go. May I?", "this may be it", "we march on", "March on, friends!",
        "April said hi to June", "the sun sat low", "I won in three sets", "24/7",
        "3/4 cup of milk", "1/2", "15/20/30", "in 2000 steps", "room 2019", "2024 dollars",
        "the 5th grade", "on the 5th floor", "the 2nd time", "the 21st century", "every Friday",
        "Black Friday", "each Monday", "the Christmas tree", "a second march",
        "the 20 may be late", "version 1.2.3",
        "Python 3.11.10", "2025-02-30", "2025-13-01", "99/99/9999",
        "9999 years ago", "in 9999 years", "99999999999 days ago", "0 March", "March 0",
        "32 March", "in three", "ago", "last", "next", "the following week", "one of the days",
        "a day", "for two weeks", "I finished it in three days", "5:30 pm", "192.168.10.12",
        "call 555-1234", "50/50", "x2024-05-01", "summertime", "falls", "mayor", "weekend", "Dec",
        "second", "the last", "the end of the day", "early riser",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    ["yesterday", "last week", "last Friday", "next May", "on Friday", "in March", "3 days ago",
     "in 3 days", "the last 3 days", "on the 5th.", "last summer", "over the weekend", "May 5",
     "due 3/25", "Q3", "two Fridays ago", "the other day", "half a year ago", "on Christmas",
     "for 3 years now", "since March"],
)  # fmt: skip
def test_without_a_reference_only_full_dates_count(text: str) -> None:
    assert found(text, None) == []
    assert len(found(f"{text}, 5 May 2024 and in 2021", None)) == 2


def test_full_dates_need_no_reference() -> None:
    assert days("since March 2024", None) == "2024-03-01..2024-03-31"
    assert days("5/6/24", None) == "2024-05-06"
    assert days("early May 2024", None) == "2024-05-01..2024-05-10"
    assert found("earlier in 2024", None) == [("2024", "2024-01-01..2024-12-31")]


def test_several_times_come_in_order() -> None:
    text = "I left Oslo in May 2021, came back last Friday, and will fly on 2 April."
    assert found(text) == [
        ("May 2021", "2021-05-01..2021-05-31"),
        ("last Friday", "2026-03-13"),
        ("2 April", "2026-04-02"),
    ]


def test_spans_hold_the_words_of_the_time() -> None:
    assert found("We met on Friday, March 6th, in the park") == [
        ("Friday, March 6th", "2026-03-06")
    ]
    assert found("It is from between March and May 2024, I think")[0][0] == (
        "between March and May 2024"
    )
    assert found("the last week of June 2025")[0][0] == "the last week of June 2025"
    assert found("since early May")[0][0] == "since early May"


def test_ranges_are_joined_only_where_they_are_ranges() -> None:
    assert len(found("in March and in May")) == 2
    assert len(found("on 5 May 2024 and 7 May 2024")) == 2
    assert len(found("from 7 May 2024 to 5 May 2024")) == 2
    assert len(found("between 5 May 2024 and 7 May 2024")) == 1


def test_a_letter_that_grows_in_lower_case_moves_no_span() -> None:
    text = "İİ İstanbul in 2021"
    assert found(text) == [("2021", "2021-01-01..2021-12-31")]


def test_a_moment_as_reference_is_its_day() -> None:
    (span,) = find_times("yesterday", datetime(2026, 3, 20, 23, tzinfo=UTC))
    assert span == TimeSpan(0, 9, date(2026, 3, 19), date(2026, 3, 19))
    assert type(span.first) is date
