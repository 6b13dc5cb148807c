"""Changes, ends, corrections, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mneme.core.statement import Reading
from mneme.ingest.extract.rules import slot_of

Hear = Callable[..., Reading]


@pytest.mark.parametrize(
    ("before", "text", "thing"),
    [
        ("My favourite city is Lyon.", "No, it was Nantes.", "Nantes"),
        ("The meeting is on Monday.", "Actually, it's Tuesday not Monday.", "Tuesday"),
        ("My locker number is 214.", "Sorry, I meant 241.", "241"),
        ("My dog's name is Pip.", "That's wrong, it's Pippin.", "Pippin"),
        ("My sister's name is Eva.", "Sorry, her name is Eve.", "Eve"),
        ("Remember that the rehearsal is on Friday.", "Not Friday, Thursday.", "Thursday"),
        ("My email is jo@a.example.", "Oops, I meant jo@b.example.", "jo@b.example"),
        ("I live in Oslo.", "No, sorry, I live in Bergen.", "Bergen"),
        ("My birthday is 3 March.", "Correction: my birthday is 13 March.", "13 March"),
    ],
)
def test_a_correction_takes_the_slot_of_what_it_corrects(
    hear: Hear, before: str, text: str, thing: str
) -> None:
    (old,) = hear(before).statements
    (new,) = hear(before, text).statements
    assert new.corrects
    assert new.object == thing
    assert slot_of(new) == slot_of(old) is not None
    assert new.text == text


def test_an_event_is_corrected_in_its_words(hear: Hear) -> None:
    before = "I ran a half marathon in Gothenburg on 3 May 2025."
    (new,) = hear(before, "No, it was Malmö.").statements
    assert new.object == "in Malmö on 3 May 2025"
    assert new.corrects


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("My favourite city is Lyon.", "No, it's fine."),
        ("My favourite city is Lyon.", "No, it was 15."),
        ("My favourite city is Lyon.", "No, thanks."),
        ("My favourite city is Lyon.", "Actually, it's raining now."),
        ("I love jazz.", "No, it's Bergen."),
        ("What a day.", "No, it was Bergen."),
    ],
)
def test_what_fits_nothing_corrects_nothing(hear: Hear, before: str, text: str) -> None:
    assert not hear(before, text).statements


def test_nobody_corrects_what_another_said(hear: Hear) -> None:
    assert not hear("No, it was Bergen.").statements


def test_news_about_it_is_a_change(hear: Hear) -> None:
    (said,) = hear("My favourite colour is red.", "Actually it's green now.").statements
    assert (said.object, said.single, said.corrects) == ("green", True, False)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("I work at Acme.", "I left Acme last week."),
        ("I work at Acme.", "I no longer work at Acme."),
        ("I'm a vegetarian.", "I'm not a vegetarian anymore."),
        ("I love running.", "I don't like running anymore."),
        ("I play the cello.", "I stopped playing the cello."),
        ("I'm allergic to cats.", "I'm no longer allergic to cats."),
    ],
)
def test_ends_share_the_slot_and_the_object(hear: Hear, before: str, text: str) -> None:
    (old,) = hear(before).statements
    (new,) = hear(text).statements
    assert new.ends
    assert not old.ends
    assert slot_of(new) == slot_of(old) is not None
    assert old.object is not None
    assert new.object is not None
    assert old.object.removeprefix("a ") == new.object.removeprefix("the ")


@pytest.mark.parametrize(
    "text",
    [
        "I left the party early.",
        "I don't have any more questions.",
        "I stopped going out of my way.",
        "I might leave Acme.",
        "Should I quit my job?",
        "We no longer see each other.",
    ],
)
def test_other_ends_end_no_slot(hear: Hear, text: str) -> None:
    assert not [one for one in hear(text).statements if one.ends]


@pytest.mark.parametrize(
    "names",
    [
        ("My favourite colour is red.", "My favorite color is now blue.", "favorite colour: teal"),
        ("I live in Oslo.", "I moved to Bergen.", "I'm based in Riga."),
        ("Remember that the door code is 1.", "door code: 2", "The door code is now 3."),
        ("My sister's name is Eva.", "Remember that the name of my sister is Eve."),
    ],
)
def test_ways_to_name_a_slot_share_its_key(hear: Hear, names: tuple[str, ...]) -> None:
    keys = {slot_of(hear(text).statements[0]) for text in names}
    assert len(keys) == 1
    assert None not in keys


def test_other_slots_have_other_keys(hear: Hear) -> None:
    texts = (
        "I live in Oslo.",
        "My sister lives in Oslo.",
        "My other sister lives in Oslo.",
        "African place: Oslo",
        "European place: Oslo",
        "My work email is a@b.example",
        "My private email is a@b.example",
    )
    keys = [slot_of(hear(text).statements[0]) for text in texts]
    assert len(set(keys)) == len(texts)


def test_a_statement_without_a_subject_fills_no_slot(hear: Hear) -> None:
    (said,) = hear("Always answer in French.").statements
    assert slot_of(said) is None
