"""Scores of ranked lists, worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.cli.scores import mean_rows, percentile, score_sessions, score_turns

refs = st.lists(st.integers(0, 30).map(str), unique=True, max_size=30)


def test_one_question() -> None:
    row = score_turns(["a", "x", "b"], frozenset("ab"))
    assert (row["r@1"], row["r@5"], row["any@1"]) == (50, 100, 100)
    assert row["ndcg@10"] == pytest.approx(100 * 1.5 / (1 + 0.63093), abs=0.01)


@given(found=refs, evidence=st.frozensets(st.integers(0, 30).map(str), min_size=1))
def test_scores_are_shares_that_grow_with_the_cut(
    found: list[str], evidence: frozenset[str]
) -> None:
    row = score_turns(found, evidence)
    assert all(0 <= value <= 100.0001 for value in row.values())
    assert row["r@1"] <= row["r@5"] <= row["r@10"] <= row["r@20"] <= row["any@20"]


def test_a_session_counts_at_its_first_hit() -> None:
    row = score_sessions(["s1", "s1", "s2", "s3"], frozenset({"s1", "s2"}))
    assert (row["S_all@1"], row["S_all@5"]) == (0, 100)


def test_means_are_over_the_rows_that_have_the_figure() -> None:
    assert mean_rows([{"a": 1, "b": 4}, {"a": 3}, {}]) == {"a": 2, "b": 4}


def test_percentiles() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(100)), 0.95) == 95
