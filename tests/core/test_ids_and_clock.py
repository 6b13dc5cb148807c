import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mneme.core.clock import SystemClock, from_us, to_us
from mneme.core.ids import IdMaker

CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class SetClock:
    def __init__(self, now_us: int) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us


def test_an_id_is_a_uuid_of_version_7_that_holds_its_time() -> None:
    clock = SetClock(to_us(datetime(2026, 3, 20, 14, 5, tzinfo=UTC)))
    made = IdMaker(clock, lambda size: b"\x5a" * size).make()
    assert CANONICAL.fullmatch(made)
    assert UUID(made).version == 7
    assert UUID(made).int >> 80 == clock.us // 1000


@given(st.lists(st.integers(0, 1 << 50), min_size=2, max_size=50))
def test_ids_rise_whatever_the_clock_does(times: list[int]) -> None:
    clock = SetClock(0)
    maker = IdMaker(clock)
    made = []
    for now in times:
        clock.us = now
        made.append(maker.make())
    assert made == sorted(set(made))


def test_many_ids_of_one_millisecond_differ() -> None:
    maker = IdMaker(SetClock(1_000_000))
    assert len({maker.make() for _ in range(20_000)}) == 20_000


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_the_way_through_microseconds(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment


def test_the_system_clock_tells_the_time() -> None:
    assert abs(from_us(SystemClock().now_us()) - datetime.now(UTC)) < timedelta(seconds=5)  # noqa: TID251
