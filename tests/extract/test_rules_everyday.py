"""Sentences as people say them, and what is to be read from them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mneme.core.clock import to_us
from mneme.core.statement import Utterance
from mneme.ingest.extract.rules import read

AT = to_us(datetime(2025, 10, 5, tzinfo=UTC))


def utterance(text: str) -> Utterance:
    return Utterance(id="x", text=text, role="user", speaker=None, at=AT)


@pytest.mark.parametrize(
    ("text", "relation", "object_"),
    [
        ("We live in Porto now! It rained all night.", "lives in", "Porto"),
        ("We live in a rented terrace in Headingley, top floor.", "lives in", "Headingley"),
        ("I work on tide maps at a small firm called Harrow Maps.", "works at", "Harrow Maps"),
        ("I moved from Bergen to Oslo last month.", "lives in", "Oslo"),
    ],
)
def test_what_people_say_of_themselves(text: str, relation: str, object_: str) -> None:
    first = read(utterance(text)).statements[0]
    assert (first.relation, first.object, first.single) == (relation, object_, True)


@pytest.mark.parametrize(
    "text",
    [
        "That reminds me: always answer in metric, please.",
        "Also keep your answers short.",
        "From now on greet me with one Portuguese word a day.",
        "Please never call me before nine.",
    ],
)
def test_wishes_that_always_hold(text: str) -> None:
    assert [each.type for each in read(utterance(text)).statements] == ["instruction"]


@pytest.mark.parametrize(
    "text",
    [
        "He said: always answer the phone.",
        "My mother used to keep her answers short.",
        "From now on life is easier.",
        "I work on my thesis at home.",
        "We live in a strange time.",
    ],
)
def test_talk_that_is_no_wish_and_no_fact(text: str) -> None:
    assert not [
        each
        for each in read(utterance(text)).statements
        if each.type == "instruction" or each.single
    ]


def test_a_day_that_may_be_to_come_does_not_begin_last_year() -> None:
    (event,) = read(utterance("I signed up for the run on 9 November.")).statements
    assert event.valid_from is None
    (event,) = read(utterance("I ran a marathon on 9 November 2024.")).statements
    assert event.valid_from == to_us(datetime(2024, 11, 9, tzinfo=UTC))
