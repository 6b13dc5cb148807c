"""Whatever the text, spans are sound, and finding them is cheap."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.memories.plaintext.language.times import find_times

FRIDAY = date(2026, 3, 20)


@pytest.mark.parametrize("reference", [date.min, date.max, date(1, 3, 1), date(9999, 12, 30)])
@pytest.mark.parametrize(
    "text",
    ["yesterday and tomorrow", "last year", "next decade", "on Friday", "in March", "3 weeks ago",
     "in 9999 days", "last Christmas", "the 5th.", "next winter", "since March", "last weekend",
     "the week before yesterday", "5/6/07", "a year and a half ago", "May '24", "Q3"],
)  # fmt: skip
def test_the_ends_of_the_calendar_raise_nothing(text: str, reference: date) -> None:
    for span in find_times(text, reference):
        assert span.first <= span.last


_WORDS = """
last next this past coming the of in on since from to between and until early mid late
end beginning week weekend month year day days weeks months years decade quarter ago back now
Monday tuesday Fri sat March may May june Dec spring Summer fall winter yesterday today tomorrow
tonight first second third twentieth two three a an couple few half 5th 31st 3/20 31/12 2024
2021 '24 2024-02-30 20/03/2026 12.5.24 Q2 1990s Christmas Easter before after week other morning
- , . I will was went 0 99999 9999 年 月 日 ' ’ İ ß"""
_PIECES = st.sampled_from(_WORDS.split())


@given(
    pieces=st.lists(_PIECES, max_size=12),
    glue=st.sampled_from([" ", "  ", "\n", "", "-"]),
    reference=st.none() | st.dates(),
)
def test_words_of_time_in_any_order_give_sound_spans(
    pieces: list[str], glue: str, reference: date | None
) -> None:
    check(glue.join(pieces), reference)


@given(text=st.text(max_size=200), reference=st.none() | st.dates())
def test_any_text_gives_sound_spans(text: str, reference: date | None) -> None:
    check(text, reference)


def check(text: str, reference: date | None) -> None:
    end = 0
    for span in find_times(text, reference):
        assert end <= span.start < span.end <= len(text)
        assert span.first <= span.last
        end = span.end


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.none() | st.dates())
def test_every_date_is_read_back(day: date, reference: date | None) -> None:
    for form in ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%A, %d %b %Y"):
        ((_, _, first, last),) = find_times(f"It was {day.strftime(form)}.", reference)
        assert (first, last) == (day, day)


def test_a_text_without_a_time_costs_little() -> None:
    text = "That sounds lovely, I really like how the garden looks with the new bench and roses."
    rounds = 2_000

    def microseconds() -> float:
        start = time.perf_counter()
        for _ in range(rounds):
            find_times(text, FRIDAY)
        return (time.perf_counter() - start) / rounds * 1e6

    assert min(microseconds() for _ in range(5)) < 30  # about 3 on an idle machine


@pytest.mark.parametrize(
    "unit",
    ["in ", "in the ", "march ", "1", "20 ", "5/", "two ", "the last ", " ", "a few ", "since ",
     "'", "2024-", "may 5 to ", "a.", "last friday ", "- ", "May "],
)  # fmt: skip
def test_the_time_is_linear(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        start = time.perf_counter()
        find_times(text, FRIDAY)
        return time.perf_counter() - start

    seconds(1_000)
    small, large = seconds(10_000), seconds(80_000)
    assert large < 0.5 + 32 * small
