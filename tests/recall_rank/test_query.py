"""A question is taken apart into terms, times and kinds."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from mneme.memories.plaintext.language.terms import codes_of
from mneme.recall.query import KINDS, Question, take_apart
from mneme.recall.rank import rank
from mneme.testing.index_rows import row, vector_of
from mneme.vault.index.namespace import NamespaceIndex

NOW = datetime(2024, 6, 10, tzinfo=UTC)


def kinds_of(text: str) -> set[str]:
    asked = take_apart(Question(text))
    return {kind for kind in KINDS if asked.is_kind(kind)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("When did we meet?", "when"),
        ("Which city is it?", "where"),
        ("Whose dog was it?", "who"),
        ("How many cups do I own?", "count"),
        ("How long was the walk?", "lasting"),
        ("How did she win?", "manner"),
        ("Why did he leave?", "cause"),
        ("Did it rain?", "whether"),
        ("Would Ana enjoy opera?", "likely"),
        ("Can you suggest a film?", "advice"),
        ("In what order did I raise these?", "order"),
        ("Summarise our talks", "summary"),
        ("Could you give me a short recap of my thesis?", "summary"),
        ("In which order did I mention my trips?", "raised"),
        ("How did our chats about bees develop?", "raised"),
        ("What did you recommend?", "you_said"),
        ("Have I ever been to Rome?", "ever"),
        ("What is my current job?", "latest"),
        ("What was my first job?", "earliest"),
        ("What are all her hobbies?", "several"),
        ("What do I like?", "first_person"),
        ("What is his favourite tea?", "liking"),
    ],
)
def test_the_kind_of_a_question(text: str, kind: str) -> None:
    assert kind in kinds_of(text)


def test_a_term_counts_once_and_stopwords_are_known() -> None:
    asked = take_apart(Question("the tea, the tea"))
    assert list(asked.terms) == codes_of("the tea")
    assert asked.content == (False, True)


def test_pairs_leave_stopwords_out() -> None:
    green, tea = codes_of("green tea")
    assert take_apart(Question("is the green of tea")).pairs == ((green, tea),)


def test_times_are_days_against_now() -> None:
    (span,) = take_apart(Question("What happened yesterday?", None, NOW)).days
    day = date(2024, 6, 9).toordinal() - date(1970, 1, 1).toordinal()
    assert span == (day, day)
    assert take_apart(Question("What happened yesterday?")).days == ()


def test_a_very_long_question_is_cut_to_its_content() -> None:
    asked = take_apart(Question(" ".join(f"the word{chr(97 + n % 26)}{n}x" for n in range(300))))
    assert 0 < len(asked.terms) <= 48
    assert all(asked.content)


def test_a_text_is_found_by_a_day_that_it_names() -> None:
    index = NamespaceIndex()
    index.apply(
        row(n, f"The fair opens on {n} May 2024", session=f"s{n}", said_at=None)
        for n in range(1, 21)
    )
    text = "What opens on 7 May 2024?"
    assert rank(index, Question(text, vector_of(text), NOW), limit=1)[0].key == 7


def test_cubes_without_words_or_passages_do_no_harm() -> None:
    index = NamespaceIndex()
    empty = row(3, "gone")._replace(passages=())
    index.apply([row(1, "tea time"), row(2, "   "), empty])
    found = rank(index, Question("tea time", vector_of("tea time"), NOW))
    assert found[0].key == 1
    assert sorted(each.key for each in found) == [1, 2, 3]
    only = NamespaceIndex()
    only.apply([empty])
    assert [each.key for each in rank(only, Question("tea time", vector_of("tea"), NOW))] == [3]
