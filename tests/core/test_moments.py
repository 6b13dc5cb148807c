import contextlib
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.clock import to_us
from mneme.core.errors import InvalidInputError
from mneme.core.moments import moment_us, optional_us

OSLO = ZoneInfo("Europe/Oslo")


@pytest.mark.parametrize(
    ("given_as", "moment"),
    [
        ("2026-03-20", datetime(2026, 3, 20, tzinfo=OSLO)),
        ("2026-03-20T14:05", datetime(2026, 3, 20, 14, 5, tzinfo=OSLO)),
        (" 2026-03-20T14:05:00Z ", datetime(2026, 3, 20, 14, 5, tzinfo=UTC)),
        ("2026-03-20T14:05:00+02:00", datetime(2026, 3, 20, 12, 5, tzinfo=UTC)),
        (date(2026, 3, 20), datetime(2026, 3, 20, tzinfo=OSLO)),
        (datetime(2026, 3, 20, 1, tzinfo=UTC), datetime(2026, 3, 20, 1, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_the_zone_that_they_name_or_else_in_ours(
    given_as: object, moment: datetime
) -> None:
    assert moment_us(given_as, OSLO) == to_us(moment)


@pytest.mark.parametrize(
    "given_as",
    ["", "tomorrow", "2026-13-01", "99999-01-01", "0001-01-01T00:00+14:00", "9" * 100, 5, 1.5,
     None, True, b"2026-03-20", datetime(2026, 3, 20)],  # noqa: DTZ001 (naive on purpose)
)  # fmt: skip
def test_what_is_no_moment_is_refused(given_as: object) -> None:
    with pytest.raises(InvalidInputError):
        moment_us(given_as)


def test_the_error_names_the_argument() -> None:
    with pytest.raises(InvalidInputError, match=r"^since"):
        moment_us("soon", name="since")


@given(st.text())
def test_any_text_is_a_moment_or_a_typed_error(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        assert isinstance(moment_us(text), int)


def test_none_stays_none() -> None:
    assert optional_us(None) is None
    assert optional_us("1970-01-01") == 0
