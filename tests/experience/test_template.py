"""Runs of like tasks are aligned; what varies becomes a slot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mneme.memories.plaintext.experience import render
from mneme.memories.plaintext.experience.reading import trajectory_of
from mneme.memories.plaintext.experience.steps import Trajectory
from mneme.memories.plaintext.experience.template import (
    aligned,
    merged,
    share_aligned,
    template_from_json,
    template_of,
)

LISTS = st.lists(st.sampled_from("abcd"), max_size=8)


def run(task: str, *actions: str) -> Trajectory:
    return trajectory_of([{"action": each} for each in actions], task)


def test_what_differs_becomes_one_slot_in_task_and_steps() -> None:
    one = run("Fly from Oslo to Rome", "search(origin=Oslo, to=Rome)", "book(to=Rome)")
    two = run("Fly from New York to Lima", "search(origin=New York, to=Lima)", "book(to=Lima)")
    script = merged(template_of(one), two)
    assert render.script(script).splitlines() == [
        "How to: Fly from {origin} to {to}",
        "1. search(origin={origin}, to={to})",
        "2. book(to={to})",
    ]
    third = merged(
        script, run("Fly from Bonn to Kyiv", "search(origin=Bonn, to=Kyiv)", "book(to=Kyiv)")
    )
    assert render.script(third) == render.script(script)
    assert third.runs == 3


def test_a_slot_splits_where_its_places_vary_apart() -> None:
    script = merged(
        template_of(run("Carry", "take(at=A)", "put(at=A)")),
        run("Carry", "take(at=B)", "put(at=B)"),
    )
    assert [str(step.action) for step in script.steps] == ["take(at={at})", "put(at={at})"]
    script = merged(script, run("Carry", "take(at=C)", "put(at=D)"))
    assert [str(step.action) for step in script.steps] == ["take(at={at})", "put(at={at2})"]


def test_a_step_that_not_all_runs_took_is_marked_and_rare_ones_go() -> None:
    script = merged(template_of(run("Tidy", "open", "look", "shut")), run("Tidy", "open", "shut"))
    assert "2. look (usually)" in render.script(script)
    for _ in range(4):
        script = merged(script, run("Tidy", "open", "shut"))
    assert [str(step.action) for step in script.steps] == ["open", "shut"]


def test_words_are_aligned_too() -> None:
    script = merged(
        template_of(run("Put a mug on desk 1", "go to desk 1", "put mug")),
        run("Put a mug on the high shelf", "go to the high shelf", "put mug"),
    )
    lines = render.script(script).splitlines()
    assert lines == ["How to: Put a mug on {x}", "1. go to {x}", "2. put mug"]


def test_a_value_that_an_earlier_result_held_says_so() -> None:
    def pay(token: str) -> Trajectory:
        steps = [
            {"action": "log in", "observation": f"token {token}"},
            {"action": {"name": "pay", "arguments": {"token": token}}},
        ]
        return trajectory_of(steps, "Pay the bill")

    script = merged(template_of(pay("T1")), pay("T2"))
    assert "{token} stood in the result of step 1." in render.script(script)
    assert template_from_json(script.to_json()) == script


@given(LISTS, LISTS)
def test_alignment_is_a_common_subsequence(one: list[str], other: list[str]) -> None:
    pairs = aligned(one, other)
    assert all(one[i] == other[j] for i, j in pairs)
    assert pairs == sorted(pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert 0 <= share_aligned(one, other) <= 1
    assert len(pairs) == len(aligned(other, one))


@given(
    st.lists(
        st.sampled_from(["open", "go to desk 1", "pay(a=1)", "look[x]"]), min_size=1, max_size=6
    )
)
def test_the_same_run_again_changes_nothing_but_the_count(actions: list[str]) -> None:
    once = template_of(run("Do it", *actions))
    twice = merged(once, run("Do it", *actions))
    assert [s.action for s in twice.steps] == [s.action for s in once.steps]
    assert (twice.runs, twice.varies) == (2, False)


@given(
    st.lists(
        st.sampled_from(["open", "go to desk 1", "go to desk 2", "pay(a=1)"]),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.sampled_from(["open", "shut", "go to desk 3", "pay(a=2)"]), min_size=1, max_size=6),
)
def test_no_step_is_lost_when_two_runs_are_merged(one: list[str], other: list[str]) -> None:
    script = merged(template_of(run("Do it", *one)), run("Do it", *other))
    names = [step.action.name for step in script.steps]
    for actions in (one, other):
        wanted = [each.split("(")[0].split()[0] for each in actions]
        assert len(aligned(names, wanted)) == len(wanted)
    assert template_from_json(script.to_json()) == script
