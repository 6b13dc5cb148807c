"""Utility and likeness."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mneme.memories.plaintext.experience.scoring import (
    Gist,
    Record,
    fits,
    gist_of,
    likeness,
    record_from_json,
    same,
)
from mneme.memories.plaintext.experience.steps import action_of, text_of

WORDS = st.frozensets(st.sampled_from("abcdef"), max_size=4)
GISTS = st.builds(lambda firm, soft: Gist(firm, soft - firm), WORDS, WORDS)
OUTCOMES = st.lists(st.floats(0, 1), max_size=30)


@given(OUTCOMES)
def test_utility_is_a_share_and_the_counts_add_up(outcomes: list[float]) -> None:
    record = Record()
    for at, outcome in enumerate(outcomes):
        record = record.counted(outcome, at, advised=False)
    assert 0 < record.utility < 1
    assert abs(record.successes + record.failures - len(outcomes)) < 1e-9
    better = record.counted(1.0, 0, advised=True)
    worse = record.counted(0.0, 0, advised=True)
    assert better.utility > worse.utility
    assert record_from_json(record.to_json()) == record


def test_one_lucky_run_does_not_outweigh_ten_and_old_outcomes_fade() -> None:
    lucky = Record().counted(1.0, 0, advised=False)
    steady = Record()
    for _ in range(10):
        steady = steady.counted(1.0, 0, advised=False)
    assert steady.utility > lucky.utility > Record().utility == 0.5
    for _ in range(8):
        steady = steady.counted(0.0, 0, advised=False)
    assert steady.utility < 0.5 < (steady.successes + 1) / 20


def test_age_takes_a_little() -> None:
    record = Record(used_at=0)
    year = 365 * 86_400_000_000
    assert record.recency(0) == 1.0 > record.recency(year) > 0.8 - 1e-9


@given(GISTS, GISTS)
def test_likeness_is_symmetric_and_bounded(one: Gist, other: Gist) -> None:
    assert likeness(one, other) == likeness(other, one)
    assert 0 <= likeness(one, other) <= 1
    assert 0 <= fits(one, other) <= 1
    assert same(one, other) == same(other, one)


def test_arguments_may_differ_and_verbs_may_not() -> None:
    def gist(task: str, *actions: str) -> Gist:
        return gist_of(text_of(task), [action_of(action) for action in actions])

    refund = gist("Refund order A17 for customer Berg", "find(order=A17, customer=Berg)")
    again = gist("Refund order B99 for customer Holm", "find(order=B99, customer=Holm)")
    cancel = gist("Cancel order A17 for customer Berg", "find(order=A17, customer=Berg)")
    assert same(refund, again)
    assert not same(refund, cancel)
    assert not same(refund, gist("Water the plants", "open"))
