"""Undo: what a consolidation did is turned back, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import InvalidInputError, Namespace
from mneme.app.memory import MemoryOS
from mneme.app.sleep import rules_of, sleep_of
from mneme.testing.clocks import HandClock
from mneme.testing.state import state_hash
from mneme.transform.sleep import payload_of

State = Callable[..., str]


def grow(alice: Namespace, clock: HandClock) -> None:
    for text in ["The kitchen gets a red oven.", "In Bergen Marta bought the red oven."]:
        alice.add(text, session="move", infer="none")
    clock.move_s(3600)


def test_undo_restores_what_was(told: Namespace, memory: MemoryOS, state: State) -> None:
    turns = [cube.id for cube in told.list().items]
    said = {"subject": "user", "relation": "owns", "slot": "user/owns"}
    state(turns[0], "I have a small grey cat and 2 old dogs at home.", **said)
    state(turns[1], "So I have a small grey cat and 2 old dogs at home.", **said)
    before = state_hash(memory, "alice")
    report = told.consolidate()
    assert state_hash(memory, "alice") != before
    undone = told.undo(report.run_id or "")
    assert undone.kept == ()
    assert undone.turned_back >= 8
    assert state_hash(memory, "alice") == before
    assert not told.list(types=["summary", "note", "profile"]).items


def test_runs_are_undone_newest_first(told: Namespace, memory: MemoryOS, clock: HandClock) -> None:
    empty = state_hash(memory, "alice")
    first = told.consolidate().run_id or ""
    grown_without = {cube.id for cube in told.list(types=["turn"]).items}
    grow(told, clock)
    before = state_hash(memory, "alice")
    second = told.consolidate().run_id or ""
    with pytest.raises(InvalidInputError, match=second):
        told.undo(first)
    assert told.undo(second).kept == ()
    assert state_hash(memory, "alice") == before
    assert told.undo(first).kept == ()
    told.forget([c.id for c in told.list(types=["turn"]).items if c.id not in grown_without])
    assert state_hash(memory, "alice") == empty


def test_what_was_changed_since_is_left_alone_and_named(told: Namespace) -> None:
    report = told.consolidate()
    cube = told.list(types=["summary"]).items[0]
    told.update(cube.id, text="My own words on the move.")
    undone = told.undo(report.run_id or "")
    assert [cube_id for cube_id, _ in undone.kept] == [cube.id]
    assert [c.text for c in told.list(types=["summary"]).items] == ["My own words on the move."]


def test_what_was_erased_since_needs_no_undo(told: Namespace) -> None:
    report = told.consolidate()
    told.erase(told.list(session="move", types=["turn"]).items[0].id)
    assert told.undo(report.run_id or "").kept == ()
    assert not told.list(types=["summary", "note"]).items


@pytest.mark.parametrize("wrong", ["no such run", "again"])
def test_only_a_run_that_is_there_is_undone(told: Namespace, wrong: str) -> None:
    run = told.consolidate().run_id or ""
    told.undo(run)
    with pytest.raises(InvalidInputError, match="run"):
        told.undo(run if wrong == "again" else wrong)


def test_after_an_undo_it_can_be_done_again(told: Namespace) -> None:
    first = told.consolidate()
    texts = sorted(cube.text for cube in told.list(types=["summary", "note"]).items)
    told.undo(first.run_id or "")
    second = told.consolidate()
    assert second.run_id != first.run_id
    assert second.done == first.done
    assert sorted(c.text for c in told.list(types=["summary", "note"]).items) == texts


def test_an_unfinished_run_goes_on_and_is_undone_as_one(told: Namespace, memory: MemoryOS) -> None:
    before = state_hash(memory, "alice")
    asked = iter([True, False])
    half = sleep_of(memory.vault).run(
        "alice", rules_of(0), payload=payload_of("alice", 0, archive=False),
        keep_on=lambda: next(asked),
    )  # fmt: skip
    assert not half.finished
    assert memory.stats().jobs == {"waiting": 1}
    rest = told.consolidate()
    assert rest.run_id == half.run_id
    assert [run.state for run in told.consolidations()] == ["done"]
    assert memory.stats().jobs == {}
    told.undo(half.run_id or "")
    assert state_hash(memory, "alice") == before


def test_a_job_finishes_what_a_dead_process_began(
    told: Namespace, memory: MemoryOS, clock: HandClock
) -> None:
    asked = iter([True, False])
    sleep_of(memory.vault).run(
        "alice", rules_of(0), payload=payload_of("alice", 0, archive=False),
        keep_on=lambda: next(asked),
    )  # fmt: skip
    clock.move_s(121)
    memory.drain()
    assert [run.state for run in told.consolidations()] == ["done"]
    assert told.consolidate().done == {}


STEPS = st.lists(st.sampled_from(["sleep", "undo", "talk", "state", "forget"]), max_size=8)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_whatever_happened_undo_restores_the_hash_before_the_run(
    steps: list[str], memory: MemoryOS, clock: HandClock, state: State, alice: Namespace
) -> None:
    for number, step in enumerate(steps):
        act(step, number, {"alice": alice, "clock": clock, "state": state})
    before = state_hash(memory, "alice")
    run = alice.consolidate().run_id
    if run is not None:
        assert alice.undo(run).kept == ()
    assert state_hash(memory, "alice") == before


def act(step: str, number: int, given: dict[str, Any]) -> None:
    alice: Namespace = given["alice"]
    runs = [run for run in alice.consolidations() if run.state == "done"]
    turns = alice.list(types=["turn"]).items
    if step == "sleep":
        alice.consolidate()
    elif step == "undo" and runs:
        alice.undo(runs[-1].id)
    elif step == "forget" and turns:
        alice.forget(turns[-1].id)
    elif step == "state" and turns:
        text = f"{'So ' * (number % 2)}I have a small grey cat and 2 old dogs at home."
        given["state"](turns[0].id, text, subject="user", relation="owns", slot="user/owns")
    else:
        for text in ("My sister Marta sings.", "We heard Marta in Bergen.", "So did Marta say."):
            alice.add(f"{text} That was {number}.", session=f"s{number % 2}", infer="none")
        given["clock"].move_s(3600)
