"""Tools come by need, stay while they are used, and are never more than the limit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import Namespace
from mneme.core.errors import InvalidInputError
from mneme.recall.working.tools import Toolbox

Chat = dict[str, Any]


def call(call_id: str, name: str = "look_up", arguments: str = '{"city": "Oslo"}') -> Chat:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def asks(*calls: Chat) -> Chat:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(call_id: str, content: str = "7 degrees, rain") -> Chat:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


TOOLS: list[dict[str, Any]] = [
    {"name": "get_weather", "description": "Weather of a city today"},
    {"name": "send_mail", "description": "Send an email to somebody"},
    {"name": "search_flights", "description": "Find flights between two airports"},
    {"name": "bookRoom", "description": "Reserve a hotel", "parameters": {
        "type": "object", "properties": {"nights": {"type": "integer"}}}},
    {"type": "function", "function": {"name": "convert_money", "description": "Exchange rates"}},
]  # fmt: skip


def names(choice: Any) -> list[str]:  # noqa: ANN401
    return [tool.get("function", tool)["name"] for tool in choice.tools]


def test_what_a_step_needs_comes_and_goes(alice: Namespace) -> None:
    work = alice.context(session="s", tools=TOOLS)
    work.add("Let us plan.")
    first = work.tools("What is the weather in Oslo?", limit=2)
    assert names(first)[0] == "get_weather"
    assert first.added[0] == "get_weather"
    assert first.removed == ()
    assert work.cost.tokens["tools"] > 0
    work.add("Go on.")
    second = work.tools("Find a flight between the airports", limit=2)
    assert names(second) == ["search_flights", "get_weather"]  # used lately, and there is room
    for turn in range(3):
        work.add(f"Go on {turn}.")
    last = work.tools("Find a flight between the airports", limit=2)
    assert names(last) == ["search_flights"]
    assert last.removed == ("get_weather",)


def test_words_within_names_and_parameters_count(alice: Namespace) -> None:
    work = alice.context(session="s", tools=TOOLS)
    assert names(work.tools("book a room for three nights"))[0] == "bookRoom"


def test_what_was_called_in_this_turn_stays(alice: Namespace) -> None:
    work = alice.context(session="s", tools=TOOLS)
    work.add(["Send it.", asks(call("c1", "send_mail", "{}")), result("c1", "sent")])
    assert names(work.tools("weather of the city", limit=1)) == ["send_mail"]
    work.add("Thanks.")
    assert names(work.tools("weather of the city", limit=1)) == ["get_weather"]


def test_what_is_pinned_stays(alice: Namespace) -> None:
    work = alice.context(session="s")
    work.register_tools(TOOLS, pinned=["convert_money"])
    assert names(work.tools("weather", limit=2)) == ["convert_money", "get_weather"]
    work.register_tools(TOOLS[:2], pinned=["send_mail", "get_weather"])
    with pytest.raises(InvalidInputError, match="pinned"):
        work.tools("weather", limit=2)
    work.remove_tool("send_mail")
    with pytest.raises(InvalidInputError):
        work.remove_tool("send_mail")


@given(
    st.lists(st.tuples(st.sampled_from(["weather", "mail flights", "hotel rates", "?"]),
                       st.integers(1, 5), st.booleans()), max_size=12)
)  # fmt: skip
def test_never_more_than_the_limit_and_every_change_is_told(
    steps: list[tuple[str, int, bool]],
) -> None:
    box = Toolbox()
    box.register(TOOLS)
    shown: set[str] = set()
    for turn, (step, limit, is_called) in enumerate(steps):
        called = {"send_mail": turn} if is_called else {}
        choice = box.choose(step, limit=limit, turn=turn, called=called, vectorise=lambda _: None)
        assert len(choice.tools) <= limit
        assert len(set(names(choice))) == len(choice.tools)
        shown = (shown | set(choice.added)) - set(choice.removed)
        assert shown == set(names(choice))


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "x"},
        "x",
        [7],
        [{}],
        [{"name": ""}],
        [{"name": "a b"}],
        [{"name": "x", "description": 7}],
        [{"name": "x", "parameters": []}],
        [{"name": "x", "parameters": {"properties": {"a": {1, 2}}}}],
        [{"name": "x"}, {"name": "x"}],
    ],
)
def test_bad_schemas_are_refused_and_none_is_taken(alice: Namespace, bad: object) -> None:
    work = alice.context(session="s")
    with pytest.raises(InvalidInputError):
        work.register_tools(bad)
    assert work.tools("x").tools == ()
    with pytest.raises(InvalidInputError):
        alice.context(session="s", tools=bad)
    with pytest.raises(InvalidInputError):
        work.tools("x", limit=0)
