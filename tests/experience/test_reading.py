"""A run is read from steps or messages; what is malformed is refused by the name of its step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import InvalidInputError
from mneme.memories.plaintext.experience.reading import MOST_STEPS, trajectory_of
from mneme.memories.plaintext.experience.steps import (
    Action,
    Argument,
    action_from_json,
    action_of,
)

GOOD = {"action": "open door"}


def test_steps_of_each_form_are_read() -> None:
    run = trajectory_of(
        [
            {"action": "open_door(room=12, key='the blue one')", "observation": "open"},
            {"action": "search[Oslo, Rome]", "thought": "Let me look.", "observation": {"n": 1}},
            {"action": {"tool": "pay", "args": {"sum": 5}}, "error": "card declined"},
            {"action": "go to desk 2", "observation": "Error: no desk"},
        ],
        "  Tidy   up ",
    )
    assert run.task == "Tidy up"
    one, two, three, four = run.steps
    assert one.action.arguments == (Argument("room", "12"), Argument("key", "the blue one"))
    assert (two.action.style, two.thought, two.observation) == ("list", "Let me look.", '{"n": 1}')
    assert (str(three.action), three.failed) == ("pay(sum=5)", True)
    assert three.observation == "card declined"
    assert (four.action.name, four.failed, one.failed) == ("go", True, False)


def test_messages_with_tool_calls_are_read() -> None:
    run = trajectory_of(
        {
            "messages": [
                {"role": "system", "content": "You are an agent."},
                {"role": "user", "content": [{"type": "text", "text": "Count the boxes"}]},
                {
                    "role": "assistant",
                    "content": "I look.",
                    "tool_calls": [
                        {"id": "a", "function": {"name": "look", "arguments": '{"at": "shelf"}'}},
                        {"id": "b", "function": {"name": "count", "arguments": "{}"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "b", "content": "3"},
                {"role": "tool", "tool_call_id": "a", "content": "boxes"},
                {"role": "assistant", "content": "Three."},
            ]
        },
        None,
    )
    assert run.task == "Count the boxes"
    assert [(str(s.action), s.observation) for s in run.steps] == [
        ("look(at=shelf)", "boxes"),
        ("count()", "3"),
    ]
    assert run.observed


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("open door", "not str"),
        (7, "not int"),
        ([], "no step"),
        ([GOOD, "walk"], "step 2 is a str"),
        ([GOOD, GOOD, {"observation": "x"}], "step 3 has no 'action'"),
        ([{"action": "  "}], "step 1: 'action' is empty"),
        ([{"action": 5}], "step 1: 'action' is a int"),
        ([{"action": {"arguments": {}}}], "needs a 'name'"),
        ([{"action": {"name": "a", "arguments": "{"}}], "no JSON"),
        ([{"action": {"name": "a", "arguments": [1]}}], "no mapping"),
        ([{"action": {"name": "a", "arguments": {"x": {1}}}}], "step 1 holds a set"),
        ([{"action": "a", "observation": float("nan")}], "step 1"),
        ([GOOD | {"result": 1}], "no field 'result'"),
        ([GOOD | {"thought": 3}], "step 1: 'thought' is a int"),
        ([GOOD | {"error": 3}], "'error' is true, false or a text"),
        ([{"action": "a\0b"}], "NUL"),
        ([{"action": "a\ud800"}], "lone surrogate"),
        ({"steps": [GOOD], "messages": []}, "either"),
        ({"steps": [GOOD], "mood": 1}, "no field 'mood'"),
        ([GOOD] * (MOST_STEPS + 1), "the most is"),
        ([{"role": "wizard", "content": "x"}], "message 1 has no role"),
        ([{"role": "tool", "content": "x", "tool_call_id": "z"}], "message 1 answers no tool call"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}], "function with a name"),
        ([{"role": "assistant", "tool_calls": "x"}], "no list"),
    ],
)
def test_what_is_no_run_is_refused_by_the_name_of_its_step(value: object, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        trajectory_of(value, "A task")


def test_a_run_without_a_task_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="task="):
        trajectory_of([GOOD], None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.one_of(JSON, st.lists(st.fixed_dictionaries({"action": JSON}), max_size=3)))
def test_anything_is_read_or_refused(value: Any) -> None:  # noqa: ANN401
    try:
        run = trajectory_of(value, "A task")
    except InvalidInputError:
        return
    assert run.steps


@given(st.text(min_size=1).filter(str.strip))
def test_an_action_survives_its_json(text: str) -> None:
    action = action_of(text)
    assert action_from_json(action.to_json()) == action


def test_an_action_is_written_as_it_was_given() -> None:
    for text in ("pay(flight=A1, sum=3)", "search[Oslo, Rome]", "go to desk 2"):
        assert str(action_of(text)) == text
    assert str(Action("call", "pay", (Argument("to", "whom", slot=True),))) == "pay(to={whom})"
