"""Episodes: runs of turns on one topic, which cover a session."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mneme.backends.embedders.static import StaticEmbedder
from mneme.memories.plaintext.episodes import FEWEST_TURNS, MOST_TURNS, Said, episodes
from mneme.memories.plaintext.sentences import content_of

KITCHEN = [
    "The oven in the kitchen is broken again.",
    "The repair of the oven costs more than a new oven.",
    "I would rather buy a new oven for the kitchen.",
    "The shop delivers the oven to the kitchen on Monday.",
    "The kitchen smells of the old oven.",
]
CHOIR = [
    "Our choir sings a requiem at Easter.",
    "The tenors of the choir lack two voices for the requiem.",
    "Choir practice for the requiem is on Tuesday.",
    "The conductor of the choir wants the requiem slower.",
    "The choir sings the requiem in Latin.",
]


def said(texts: list[str], *, at: list[int] | None = None, vectors: bool = True) -> list[Said]:
    rows = StaticEmbedder().embed(texts)
    times = at or [0] * len(texts)
    return [
        Said(row if vectors else None, content_of(text), time)
        for text, row, time in zip(texts, rows, times, strict=True)
    ]


def test_a_change_of_topic_begins_an_episode() -> None:
    assert episodes(said(KITCHEN + CHOIR)) == [(0, 5), (5, 10)]


def test_words_alone_are_enough() -> None:
    assert episodes(said(KITCHEN + CHOIR, vectors=False)) == [(0, 5), (5, 10)]


def test_a_long_silence_begins_an_episode() -> None:
    hour = 3_700_000_000
    assert episodes(said(KITCHEN, at=[0, 1, 2, hour, hour + 1])) == [(0, 3), (3, 5)]


def test_no_turns_give_no_episodes() -> None:
    assert episodes([]) == []


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 3)), max_size=80)
)
def test_episodes_cover_a_session_and_are_neither_too_long_nor_too_short(
    turns: list[tuple[list[int], int]],
) -> None:
    hour = 3_600_000_000
    times = np.cumsum([hours * hour for _, hours in turns]).tolist()
    session = [Said(None, terms, at) for (terms, _), at in zip(turns, times, strict=True)]
    runs = episodes(session)
    assert [i for start, end in runs for i in range(start, end)] == list(range(len(turns)))
    assert all(0 < end - start <= MOST_TURNS for start, end in runs)
    for start, end in runs:
        if end - start < FEWEST_TURNS:  # silence, or the edge of the session, on both sides
            assert start == 0 or times[start] - times[start - 1] > hour
            assert end == len(turns) or times[end] - times[end - 1] > hour
