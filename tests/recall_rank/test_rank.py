"""Ranking finds what is asked, gives back only what is allowed, and is the same each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.memories.plaintext.language.terms import codes_of
from mneme.recall.query import Question
from mneme.recall.rank import Mode, Ranked, rank
from mneme.testing.index_rows import row, vector_of
from mneme.vault.index.namespace import NamespaceIndex

NOW = datetime(2024, 6, 1, tzinfo=UTC)
MODES: tuple[Mode, ...] = ("hybrid", "lexical", "dense")

CHAT = [
    ("Ana", "Hey Ben! How was your week?"),
    ("Ben", "Good, I adopted a puppy called Rex last Saturday."),
    ("Ana", "Lovely. I started painting landscapes in oil."),
    ("Ben", "I moved to Lisbon in March for a new job at a bakery."),
    ("Ana", "My sister Clara plays the cello in an orchestra."),
    ("Ben", "I prefer tea to coffee, always have."),
    ("Ana", "We went camping by the lake on 4 May 2024."),
    ("Ben", "Nice! What did you cook there?"),
    ("Ana", "Just soup, and we saw a heron."),
]


@pytest.fixture(scope="module")
def chat() -> NamespaceIndex:
    index = NamespaceIndex()
    index.apply(
        row(
            number + 1, text, session=f"s{number // 4}", speaker=speaker,
            said_at=datetime(2024, 5, 1, tzinfo=UTC) + timedelta(days=number),
        )
        for number, (speaker, text) in enumerate(CHAT)
    )  # fmt: skip
    return index


def ask(index: NamespaceIndex, text: str, *, mode: Mode = "hybrid", limit: int = 10) -> list[int]:
    found = rank(index, Question(text, vector_of(text), NOW), mode=mode, limit=limit)
    return [each.key for each in found]


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("What is the name of Ben's puppy?", 2),
        ("Which instrument does Clara play?", 5),
        ("Where did Ben move to for his job?", 4),
        ("What does Ana paint?", 3),
        ("heron", 9),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_the_answer_is_among_the_first(
    chat: NamespaceIndex, question: str, key: int, mode: Mode
) -> None:
    assert key in ask(chat, question, mode=mode, limit=2)


def test_every_mode_gives_all_back_when_asked_for_all(chat: NamespaceIndex) -> None:
    for mode in MODES:
        assert sorted(ask(chat, "tea", mode=mode, limit=100)) == list(range(1, len(CHAT) + 1))


def test_scores_fall_and_stay_within_bounds(chat: NamespaceIndex) -> None:
    for mode in MODES:
        found = rank(chat, Question("Who plays the cello?", vector_of("cello"), NOW), mode=mode)
        scores = [each.score for each in found]
        assert scores == sorted(scores, reverse=True)
        assert all(-1 <= score <= 1 for score in scores)


def test_signals_explain_a_hit(chat: NamespaceIndex) -> None:
    best = rank(chat, Question("puppy Rex", vector_of("puppy Rex"), NOW))[0]
    signals = dict(best.signals)
    assert len(signals) == len(best.signals) > 50
    assert signals["passage"] == 0
    assert signals["cover"] > 0
    with pytest.raises(KeyError):
        best.signals["no such signal"]


def test_without_a_vector_hybrid_is_lexical_and_dense_finds_nothing(chat: NamespaceIndex) -> None:
    plain = Question("puppy", None, NOW)
    assert rank(chat, plain) == rank(chat, plain, mode="lexical")
    assert rank(chat, plain, mode="dense") == []


def test_nothing_is_found_where_nothing_is() -> None:
    assert ask(NamespaceIndex(), "tea") == []
    gone = NamespaceIndex()
    gone.apply([row(1, "tea"), row(1, "tea", live=False)])
    assert ask(gone, "tea") == []


@pytest.mark.parametrize("limit", [0, -1])
def test_none_are_given_back_where_none_are_wanted(chat: NamespaceIndex, limit: int) -> None:
    assert ask(chat, "tea", limit=limit) == []


@given(st.lists(st.booleans(), min_size=len(CHAT), max_size=len(CHAT)), st.sampled_from(MODES))
@settings(deadline=None)
def test_only_what_is_allowed_comes_back(allowed: list[bool], mode: Mode) -> None:
    index = NamespaceIndex()
    index.apply(row(n + 1, text, speaker=who) for n, (who, text) in enumerate(CHAT))
    mask = np.array(allowed)
    question = Question("What did Ben adopt?", vector_of("puppy"), NOW)
    found = rank(index, question, allowed=mask, mode=mode, limit=50)
    assert sorted(each.key for each in found) == [n + 1 for n, yes in enumerate(allowed) if yes]


@given(
    st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=8),
    st.text(max_size=80),
    st.sampled_from(MODES),
)
@settings(deadline=None)
def test_any_question_on_any_texts_is_answered_and_the_same_twice(
    texts: list[str], question: str, mode: Mode
) -> None:
    def found() -> list[tuple[int, float]]:
        index = NamespaceIndex()
        index.apply(row(n + 1, text) for n, text in enumerate(texts))
        asked = Question(question, vector_of(question), NOW)
        return [(each.key, each.score) for each in rank(index, asked, mode=mode, limit=20)]

    assert found() == found()
    assert sorted(key for key, _ in found()) == list(range(1, len(texts) + 1))


@given(st.text(min_size=1, max_size=40).filter(lambda text: bool(codes_of(text))))
@settings(deadline=None)
def test_a_text_is_found_by_its_own_words(text: str) -> None:
    index = NamespaceIndex()
    index.apply(row(n + 1, f"filler sentence number {n}", session=f"f{n}") for n in range(30))
    index.apply([row(100, text, session="own")])
    assert 100 in ask(index, text, mode="lexical", limit=3)


def test_more_is_given_back_than_there_are_candidates() -> None:
    index = NamespaceIndex()
    index.apply(row(n, f"note {n} on tea", session=f"s{n % 7}") for n in range(1, 301))
    found = rank(index, Question("tea note 7", vector_of("tea note 7"), NOW), limit=300)
    assert sorted(each.key for each in found) == list(range(1, 301))
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert found[0].key == 7


def test_a_large_namespace_is_searched_by_a_pool() -> None:
    index = NamespaceIndex()
    index.apply(row(n, f"entry {n} of a long diary", session=f"s{n // 9}") for n in range(1, 4400))
    index.apply([row(9000, "the violet umbrella stayed in Porto", session="late")])
    assert ask(index, "Where is the violet umbrella?", limit=1) == [9000]
    assert len(ask(index, "diary", limit=4399)) == 4399


def test_what_was_of_use_comes_earlier() -> None:
    index = NamespaceIndex()
    index.apply(row(n, "tea is ready", session=f"s{n}", said_at=None) for n in range(1, 6))
    question = Question("tea", vector_of("tea"), NOW)
    before = [each.key for each in rank(index, question)]
    useful = np.array([-1, -1, -1, 1, -1])
    after = [each.key for each in rank(index, question, utility=useful)]
    assert after[0] == 4 != before[0]


def test_words_that_are_common_find_when_they_are_all_there_is() -> None:
    index = NamespaceIndex()
    index.apply([row(1, "To be or not to be"), row(2, "Bread and butter"), row(3, "Will called")])
    assert ask(index, "to be or not to be", mode="lexical", limit=1) == [1]
    assert ask(index, "will", mode="lexical", limit=1) == [3]


def test_a_date_in_the_question_finds_what_was_said_then() -> None:
    index = NamespaceIndex()
    index.apply(
        row(n, "Went for a walk in the park", session=f"s{n}",
            said_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=10 * n))
        for n in range(1, 13)
    )  # fmt: skip
    assert ask(index, "What did I do on 11 January 2024?", limit=1) == [1]
    assert ask(index, "Where did I walk on 30 April 2024?", limit=1) == [12]


def test_a_wish_that_fits_is_among_the_first_ten() -> None:
    index = NamespaceIndex()
    index.apply(
        row(n, f"We watched films number {n} and talked about films", session=f"s{n}")
        for n in range(1, 40)
    )
    index.apply([row(99, "Always name the platform when I ask about films.", session="w")])
    assert 99 in ask(index, "Which films should I see?", mode="hybrid")
    assert 99 in ask(index, "Which films should I see?", mode="lexical")


@pytest.mark.parametrize(
    ("wish", "question"),
    [
        ("Always write dates in full when I ask about planning.", "When does the museum open?"),
        ("Always tell me the duration when I ask about hikes.", "How long is the film?"),
        ("Always add the address when I ask about shops.", "Where is the museum?"),
        ("Always mention the price when I ask about gear.", "How much is the museum?"),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_a_wish_for_the_kind_of_answer_is_among_the_first_ten(
    wish: str, question: str, mode: Mode
) -> None:
    index = NamespaceIndex()
    index.apply(
        row(n, f"The museum has a film about birds, part {n}", session=f"s{n}")
        for n in range(1, 40)
    )
    index.apply([row(99, wish, session="w")])
    assert 99 in ask(index, question, mode=mode)
    assert 99 not in ask(index, "Why is there a museum of birds?", mode=mode)


def test_a_name_that_is_asked_about_counts() -> None:
    index = NamespaceIndex()
    index.apply(
        row(n, "I love the sea and swim every day", speaker=name, session=f"s{n}", said_at=None)
        for n, name in enumerate(("Ana", "Ben", "Clara", "Dan"), start=1)
    )
    assert ask(index, "What does Clara love?", limit=1) == [3]


def test_the_best_passage_is_named() -> None:
    long = " ".join(f"Sentence {n} speaks of stones." for n in range(60))
    index = NamespaceIndex()
    index.apply([row(1, long + " The falcon nests on the tower. " + long)])
    found: list[Ranked] = rank(index, Question("falcon nests", None, NOW))
    assert 0 < found[0].signals["passage"] < index.column("passages")[0]
