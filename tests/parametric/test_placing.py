"""Where new facts go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.placing import Placing, ShardSize, place, split

shards = st.lists(
    st.builds(
        ShardSize, shard=st.uuids().map(str), facts=st.integers(1, 12), group=st.sampled_from("ab")
    ),
    max_size=5,
)


@given(existing=shards, count=st.integers(0, 40), limit=st.integers(1, 12))
def test_every_fact_is_placed_once_and_in_order(
    existing: list[ShardSize], count: int, limit: int
) -> None:
    placings = place(existing, range(count), limit, group="a")
    assert [fact for each in placings for fact in each.facts] == list(range(count))


@given(existing=shards, count=st.integers(0, 40), limit=st.integers(1, 12))
def test_no_shard_holds_more_than_its_limit_or_another_group(
    existing: list[ShardSize], count: int, limit: int
) -> None:
    sizes = {each.shard: each for each in existing}
    for each in place(existing, range(count), limit, group="a"):
        old = sizes[each.shard] if each.shard else ShardSize(shard="", facts=0, group="a")
        assert old.group == "a"
        assert 0 < len(each.facts) <= limit - old.facts


def test_the_newest_shard_with_room_is_filled_first() -> None:
    existing = [
        ShardSize(shard="a/1", facts=1),
        ShardSize(shard="a/2", facts=3),
        ShardSize(shard="a/3", facts=5),
    ]
    assert place(existing, "xyz", 5) == [Placing("a/2", ("x", "y")), Placing(None, ("z",))]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one"):
        place([], ["x"], 0)


def _ledger(subjects: str) -> FactLedger:
    facts = [
        Fact(cube_id=f"c{n}", version=1, subject=s, relation="owns", object="it", text=s)
        for n, s in enumerate(subjects)
    ]
    return FactLedger(tuple(Entry(fact=fact, prompts=(), held=()) for fact in facts))


@given(st.text("abc", min_size=2, max_size=50))
def test_halves_make_the_whole_and_neither_is_empty(subjects: str) -> None:
    ledger = _ledger(subjects)
    one, two = split(ledger)
    assert one.entries + two.entries == ledger.entries
    assert min(len(one), len(two)) >= len(ledger) // 4
    assert one.entries
    assert two.entries


def test_facts_of_one_subject_stay_together() -> None:
    one, two = split(_ledger("aaabb"))
    assert {entry.fact.subject for entry in one.entries} == {"a"}
    assert {entry.fact.subject for entry in two.entries} == {"b"}


def test_one_fact_is_not_halved() -> None:
    with pytest.raises(InvalidInputError, match="keep the fact as text"):
        split(_ledger("a"))
