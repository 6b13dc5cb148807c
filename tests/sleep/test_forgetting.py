"""The forgetting curve: what it gives up, what it never does, and its undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.schedule.policies.consolidation import is_quiet
from mneme.schedule.policies.forgetting import (
    DAY_US,
    WORTH_KEEPING,
    Known,
    judge,
    retention,
    value,
)
from mneme.testing.clocks import HandClock
from mneme.testing.state import state_hash

State = Callable[..., str]
YEAR_S = 365 * 86_400


class Old(NamedTuple):
    """Statements of two years ago."""

    first: str
    repeat: str


@pytest.fixture
def old(told: Namespace, state: State, clock: HandClock) -> Old:
    """The same event twice, in cubes that extraction keeps apart since their slots differ."""
    turns = [cube.id for cube in told.list().items]
    text = "We went to the lake behind the old mill."
    first = state(turns[0], text, type_="event", subject="user", slot="a")
    repeat = state(turns[1], text, type_="event", subject="user", slot="b")
    clock.move_s(2 * YEAR_S)
    return Old(first, repeat)


def known(**given: object) -> Known:
    fields: dict[str, object] = {
        "id": "a", "type": "event", "uses": 0, "utility": 0.0, "priority": None, "links": 0,
        "unique": False, "used_at": 0,
    }  # fmt: skip
    return Known(**{**fields, **given})  # type: ignore[arg-type]


KNOWN = st.builds(
    Known,
    id=st.just("a"),
    type=st.sampled_from(["fact", "event", "note", "summary", "instruction", "other"]),
    uses=st.integers(0, 100),
    utility=st.floats(-1, 1),
    priority=st.none() | st.floats(0, 1),
    links=st.integers(0, 10),
    unique=st.booleans(),
    used_at=st.integers(0, 1000 * DAY_US),
    held=st.booleans(),
)


@given(st.integers(0, 5000 * DAY_US), st.integers(0, 50))
def test_what_is_of_use_is_retained_longer_and_time_only_takes(age: int, uses: int) -> None:
    assert 0 <= retention(age + DAY_US, uses) <= retention(age, uses) <= 1
    assert retention(age, uses + 1) >= retention(age, uses)


@given(KNOWN, st.integers(0, 10_000 * DAY_US))
def test_age_alone_archives_nothing(known: Known, age: int) -> None:
    verdict = judge(known, known.used_at + age)
    if value(known) >= WORTH_KEEPING or known.held or known.unique:
        assert not verdict.archive
    assert not judge(known, known.used_at).archive


@given(KNOWN)
def test_nothing_that_speaks_for_a_memory_takes_from_its_value(known: Known) -> None:
    worth = value(known)
    for more in (
        known._replace(uses=known.uses + 1),
        known._replace(links=known.links + 1),
        known._replace(utility=min(1.0, known.utility + 0.5)),
        known._replace(priority=1.0),
        known._replace(unique=True),
    ):
        assert value(more) >= worth


def test_a_verdict_says_why() -> None:
    late = 400 * DAY_US
    gone = judge(known(), late)
    assert gone.archive
    assert gone.why.endswith("event, 0 uses, 0 links, said elsewhere, too")
    assert judge(known(unique=True, utility=-1.0), late).why == "said nowhere else"
    assert judge(known(priority=1.0), late).why == "value 0.70"
    assert judge(known(), DAY_US).why == "retention 0.97"
    assert judge(known(held=True), late).why == "held"


def test_a_session_is_over_when_it_was_quiet_long_enough() -> None:
    assert not is_quiet(0, 599_999_999)
    assert is_quiet(0, 600_000_000)
    assert is_quiet(5, 5, quiet_s=0)


def test_a_dry_run_lists_what_would_be_archived_and_why(told: Namespace, old: Old) -> None:
    report = told.consolidate(dry_run=True, archive=True)
    assert [each.id for each in report.fading] == [old.repeat]
    assert "said elsewhere" in report.fading[0].why
    assert report.done["event archived"] == 1
    assert told.get(old.repeat).state == "activated"


def test_archiving_is_asked_for_and_undone(told: Namespace, old: Old, memory: MemoryOS) -> None:
    told.consolidate()
    assert told.get(old.repeat).state == "activated"
    before = state_hash(memory, "alice")
    report = told.consolidate(archive=True)
    assert told.get(old.repeat).state == "archived"
    assert told.get(old.first).state == "activated"
    told.undo(report.run_id or "")
    assert state_hash(memory, "alice") == before


def test_what_is_used_stays(told: Namespace, old: Old) -> None:
    told.feedback([old.repeat], used=True)
    assert told.consolidate(archive=True).fading == ()


def test_what_users_wrote_is_never_archived(told: Namespace, old: Old) -> None:
    assert old.repeat
    turns = [cube.id for cube in told.list(types=["turn"]).items]
    told.consolidate(archive=True)
    assert {told.get(cube_id).state.value for cube_id in turns} == {"activated"}


def test_what_sums_up_fades_when_nobody_asks_for_it(told: Namespace, clock: HandClock) -> None:
    told.consolidate()
    clock.move_s(YEAR_S)
    report = told.consolidate(archive=True)
    assert report.done["summary archived"] >= 2
    assert "summary made" not in told.consolidate().done
