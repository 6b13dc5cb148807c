"""Summaries: the sentences that say most, and what a written one must not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.memories.plaintext.sentences import gist_of, names_of, sentences_of
from mneme.memories.plaintext.summary import Weighed, choose, faults, is_same

SOURCES = [
    "Anna has 2 cats and 3 dogs. She moved to Bergen in May 2021.",
    "I do not like jazz. The rent is 900 euros a month, and Peter pays half of it.",
]
WORDS = st.sampled_from(
    ["anna", "bergen", "moved", "cats", "likes", "nine", "12", "never", "old", "house", "red"]
)
SENTENCES = st.lists(WORDS, min_size=2, max_size=8).map(lambda w: " ".join(w).capitalize() + ".")


@pytest.mark.parametrize(
    "summary",
    [
        "Anna has two cats.",
        "Anna moved to Bergen in May 2021 and has 3 dogs.",
        "The rent is 900 euros. They do not like jazz.",
        "Peter pays half of the rent.",
    ],
)
def test_what_the_sources_say_is_no_fault(summary: str) -> None:
    assert faults(summary, SOURCES) == []


@pytest.mark.parametrize(
    ("summary", "why"),
    [
        ("Anna has 3 cats.", "belongs to something else"),
        ("Anna has 7 cats.", "number 7"),
        ("They like jazz.", "contradicts"),
        ("Anna never moved to Bergen.", "contradicts"),
        ("Olga moved to Bergen in May.", "name 'olga'"),
        ("The rent is 950 euros a month.", "number 950"),
        ("The garden is full of roses.", "not covered"),
        ("Anna has two cats. The garden is full of roses.", "not covered"),
        (" ", "says nothing"),
    ],
)
def test_what_they_do_not_say_is_one(summary: str, why: str) -> None:
    found = faults(summary, SOURCES)
    assert len(found) == 1
    assert why in found[0]


@given(st.lists(SENTENCES, min_size=1, max_size=12), st.integers(1, 6))
def test_chosen_sentences_stand_in_the_source_in_order_and_have_no_fault(
    sentences: list[str], most: int
) -> None:
    chosen = choose([Weighed(s) for s in sentences], most)
    assert len(chosen) <= most
    assert chosen == sorted(set(chosen))
    for i in chosen:
        assert faults(sentences[i], [sentences[i]]) == []


def test_a_sentence_that_adds_nothing_is_not_chosen() -> None:
    said = ["The oven is broken.", "The oven is broken.", "Marta sings in a choir."]
    assert choose([Weighed(s) for s in said], 3) == [0, 2]


def test_sentences_are_found_with_their_places_and_code_is_left_out() -> None:
    text = "One line. Another!\n```\ncode here.\n```\n  Last one"
    assert [s.text for s in sentences_of(text)] == ["One line.", "Another!", "Last one"]
    assert all(text[s.start : s.end] == s.text for s in sentences_of(text))


def test_names_are_words_with_a_capital_that_are_no_others() -> None:
    text = "Yesterday I met Peter Smith of Oslo. I'm with Marta's sister on Monday."
    assert names_of(text, first=False) == ["peter smith of oslo", "marta"]


def test_numbers_names_and_denial_tell_statements_apart() -> None:
    assert is_same("Anna has two cats.", "So Anna has 2 cats.")
    assert not is_same("Anna has two cats.", "Anna has three cats.")
    assert not is_same("Anna likes jazz.", "Anna doesn't like jazz.")
    assert not is_same("Anna likes jazz.", "Olga likes jazz.")
    assert gist_of("I can't say no.").denies is False
