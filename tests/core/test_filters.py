import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError
from mneme.core.filters import parse_filters
from mneme.core.moments import moment_us
from mneme.core.rows import Condition


def parse(filters: object) -> tuple[Condition, ...]:
    return parse_filters(filters, moment_us)


def test_a_value_means_equal_and_operators_mean_what_they_say() -> None:
    assert parse({"session": "s1", "metadata.city": {"ne": "Oslo"}}) == (
        Condition("session", None, "eq", "s1"),
        Condition("metadata", "city", "ne", "Oslo"),
    )
    assert parse({"event_at": {"gte": "1970-01-01", "lt": "1970-01-02"}}) == (
        Condition("event_at", None, "gte", 0),
        Condition("event_at", None, "lt", 86_400_000_000),
    )
    assert parse({"type": {"in": ["turn", "fact"]}, "metadata.x": {"exists": True}}) == (
        Condition("type", None, "in", ("turn", "fact")),
        Condition("metadata", "x", "exists", True),
    )


def test_no_filters_are_no_conditions() -> None:
    assert parse(None) == ()
    assert parse({}) == ()


@pytest.mark.parametrize(
    "filters",
    [
        "session",
        ["session"],
        {"text": "x"},
        {"metadata": "x"},
        {"metadata.": "x"},
        {'metadata.a"b': "x"},
        {"metadata.a\\": "x"},
        {"metadata." + "k" * 300: "x"},
        {"session OR 1=1": "x"},
        {1: "x"},
        {"session": {}},
        {"session": {"like": "%"}},
        {"session": {"in": "abc"}},
        {"session": {"in": ["a"] * 1001}},
        {"session": {"exists": 1}},
        {"session": 5},
        {"session": "a\0b"},
        {"session": "\ud800"},
        {"event_at": "soon"},
        {"metadata.n": float("nan")},
        {"metadata.n": 1 << 70},
        {"metadata.n": None},
        {"metadata.n": {"gt": ["a"]}},
    ],
)
def test_what_the_grammar_does_not_know_is_refused(filters: object) -> None:
    with pytest.raises(InvalidInputError):
        parse(filters)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(anything)
def test_anything_else_is_conditions_or_a_typed_error(filters: object) -> None:
    with contextlib.suppress(InvalidInputError):
        assert all(isinstance(each, Condition) for each in parse(filters))
