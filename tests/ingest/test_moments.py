"""Moments of exports are read, whatever form they have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.ingest.importers.moments import moment_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000, "2023-11-14T22:13:20"),
        (1_700_000_000.5, "2023-11-14T22:13:20.500000"),
        (1_700_000_000_000, "2023-11-14T22:13:20"),
        (1_700_000_000_000_000, "2023-11-14T22:13:20"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20"),
        ("1700000000", "2023-11-14T22:13:20"),
        ("1700000000.25", "2023-11-14T22:13:20.250000"),
        ("2024-03-20", "2024-03-20T00:00:00"),
        ("20240320", "2024-03-20T00:00:00"),
        ("2024-03-20T10:30:00Z", "2024-03-20T10:30:00"),
        ("2024-03-20 10:30:00+02:00", "2024-03-20T08:30:00"),
        ("2024-03-20 10:30:00 UTC", "2024-03-20T10:30:00"),
        ("2023/05/28 (Sun) 19:47", "2023-05-28T19:47:00"),
        ("1:56 pm on 8 May, 2023", "2023-05-08T13:56:00"),
        ("12:05 am on 1 January, 2024", "2024-01-01T00:05:00"),
        ("12:05 p.m. on 1 January, 2024", "2024-01-01T12:05:00"),
        ("May 8, 2023, 1:56:07 PM", "2023-05-08T13:56:07"),
        ("Tue, 14 Nov 2023 22:13:20 +0100", "2023-11-14T21:13:20"),
        ("20/03/2024, 18:05", "2024-03-20T18:05:00"),
        ("20 March 2024 18:05 GMT", "2024-03-20T18:05:00"),
        ("  2024-03-20  ", "2024-03-20T00:00:00"),
    ],
)
def test_forms_of_exports(value: object, expected: str) -> None:
    assert moment_of(value) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", "May", "2024", "in 2024", True, False, 0, -5, float("nan"), float("inf"),
     "25:99 on 8 May 2023", "31 June", "9" * 400, 10**400, [], {}, b"2024-01-01", "x" * 5000,
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_what_is_no_moment(value: object) -> None:
    assert moment_of(value) is None


def test_a_text_without_a_zone_is_in_the_zone_that_is_given() -> None:
    zone = timezone(timedelta(hours=2))
    assert moment_of("2024-03-20T10:00", zone) == datetime(2024, 3, 20, 8, tzinfo=UTC)
    assert moment_of("2024-03-20T10:00Z", zone) == datetime(2024, 3, 20, 10, tzinfo=UTC)
    assert moment_of("1:00 pm on 8 May, 2023", zone) == datetime(2023, 5, 8, 11, tzinfo=UTC)


@given(value=st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.datetimes().map(str)))
def test_it_never_raises_and_is_in_utc(value: object) -> None:
    found = moment_of(value)
    assert found is None or found.utcoffset() == timedelta(0)
