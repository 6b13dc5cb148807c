"""The OpenAI Agents SDK: its Runner, with Mneme as the session and a model of our own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("agents", reason="openai-agents is not installed")

from agents import Agent, Model, ModelProvider, ModelResponse, RunConfig, Runner, function_tool
from agents.memory import Session, SessionSettings, SQLiteSession
from agents.usage import Usage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.errors import InvalidInputError
from mneme.integrations.openai_agents import MnemeSession

ITEMS: list[Any] = [
    {"role": "user", "content": "Is it raining in Bergen?"},
    {"role": "user", "content": [{"type": "input_text", "text": "Look:"},
                                 {"type": "input_image", "image_url": "data:" + "x" * 90_000}]},
    {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "abc"},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Bergen"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "wet"},
    {"type": "message", "id": "m1", "role": "assistant", "status": "completed",
     "content": [{"type": "output_text", "text": "It is.", "annotations": [], "logprobs": []},
                 {"type": "refusal", "refusal": "No more."}]},
    {"role": "developer", "content": "Be brief."},
    {"type": "computer_call_output", "call_id": "c2", "output": {"type": "computer_screenshot"}},
    {"role": "user", "content": ""},
    {"role": "user", "content": "Is it raining in Bergen?"},
]  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None)) | st.sampled_from(["«text»", '", "', "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
items = st.fixed_dictionaries(
    {"content": json_values},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "developer"]),
        "type": st.sampled_from(["message", "function_call", "function_call_output", "odd"]),
        "output": json_values,
        "summary": json_values,
    },
)


def run(awaitable: Any) -> Any:  # noqa: ANN401 (what it gives)
    async def wait() -> Any:  # noqa: ANN401
        return await awaitable

    return asyncio.run(wait())


@pytest.fixture
def session(namespace: Namespace) -> MnemeSession:
    return MnemeSession(namespace, "s1")


def test_it_is_a_session_of_the_sdk(session: MnemeSession) -> None:
    assert isinstance(session, Session)


def test_every_item_comes_back_as_it_was(session: MnemeSession) -> None:
    run(session.add_items(ITEMS))
    assert run(session.get_items()) == ITEMS
    assert [list(item) for item in run(session.get_items())] == [list(item) for item in ITEMS]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(items, max_size=3)),
        st.tuples(st.just("get"), st.none() | st.integers(-1, 5)),
        st.tuples(st.just("pop"), st.none()),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=8,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_it_does_what_the_session_of_the_sdk_does(memory: MemoryOS, steps: list[Any]) -> None:
    namespace = memory.namespace(f"n{next(_NUMBERS)}")

    async def play(session: Session) -> list[Any]:
        seen: list[Any] = []
        for verb, argument in steps:
            if verb == "add":
                await session.add_items(argument)
            elif verb == "get":
                seen.append(await session.get_items(argument))
            elif verb == "pop":
                seen.append(await session.pop_item())
            else:
                await session.clear_session()
        return [*seen, await session.get_items()]

    theirs = SQLiteSession("s")
    expected = asyncio.run(play(theirs))
    theirs.close()
    assert asyncio.run(play(MnemeSession(namespace, "s", infer="none"))) == expected


_NUMBERS = itertools.count()


def test_the_limit_of_the_settings_holds(namespace: Namespace) -> None:
    session = MnemeSession(namespace, "s1", session_settings=SessionSettings(limit=2))
    run(session.add_items(ITEMS))
    assert run(session.get_items()) == ITEMS[-2:]
    assert run(session.get_items(3)) == ITEMS[-3:]
    assert run(session.get_items(0)) == []


def test_popped_is_forgotten_and_can_be_restored(namespace: Namespace) -> None:
    session = MnemeSession(namespace, "s1")
    run(session.add_items(ITEMS[:2]))
    last = namespace.list(session="s1").items[-1]
    assert run(session.pop_item()) == ITEMS[1]
    assert run(session.get_items()) == ITEMS[:1]
    namespace.restore(last.id)
    assert run(session.get_items()) == ITEMS[:2]


def test_deletes_may_erase(namespace: Namespace, memory: MemoryOS) -> None:
    session = MnemeSession(namespace, "s1", deletes="erase")
    run(session.add_items(ITEMS))
    run(session.pop_item())
    run(session.clear_session())
    assert (run(session.get_items()), run(session.pop_item())) == ([], None)
    assert "erase" in {entry.verb for entry in memory.audit()}


def test_texts_and_trust_are_what_a_reader_expects(namespace: Namespace) -> None:
    run(MnemeSession(namespace, "s1").add_items(ITEMS[:8]))
    found = [(cube.role, cube.trust, cube.text) for cube in namespace.list(session="s1").items]
    assert found == [
        ("user", "trusted", "Is it raining in Bergen?"),
        ("user", "trusted", "Look:"),
        ("assistant", "trusted", "[reasoning]"),
        ("assistant", "trusted", 'called weather({"city":"Bergen"})'),
        ("tool", "untrusted", "wet"),
        ("assistant", "trusted", "It is.\nNo more."),
        ("system", "trusted", "Be brief."),
        ("tool", "untrusted", '{"type": "computer_screenshot"}'),
    ]


def test_what_was_said_elsewhere_is_part_of_the_session(namespace: Namespace) -> None:
    namespace.add("I live in Oslo.", session="s1")
    assert run(MnemeSession(namespace, "s1").get_items()) == [
        {"role": "user", "content": "I live in Oslo."}
    ]


def test_what_is_no_item_is_refused(session: MnemeSession) -> None:
    bad: list[Any]
    for bad in ([ITEMS[0], "text"], [ITEMS[0], {"role": "user", "content": object()}]):
        with pytest.raises(InvalidInputError):
            run(session.add_items(bad))
    assert run(session.get_items()) == []


class Scripted(Model):
    """Calls a tool first, then says what the tool, and what the user before, said."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[Any],  # noqa: A002 (the SDK's name)
        *_: object,
        **__: object,
    ) -> ModelResponse:
        self.asked.append([dict(item) for item in input if isinstance(item, dict)])
        last = self.asked[-1][-1]
        output: Any
        if last.get("type") == "function_call_output":
            text = ResponseOutputText(
                type="output_text", text=f"It is {last['output']}.", annotations=[]
            )
            output = ResponseOutputMessage(
                id="m1", type="message", role="assistant", status="completed", content=[text]
            )
        else:
            output = ResponseFunctionToolCall(
                type="function_call", call_id=f"c{len(self.asked)}", name="weather",
                arguments='{"city":"Bergen"}',
            )  # fmt: skip
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: object, **__: object) -> AsyncIterator[Any]:
        raise NotImplementedError


class Provider(ModelProvider):
    def __init__(self, model: Model) -> None:
        self._model = model

    def get_model(self, model_name: str | None) -> Model:
        return self._model


@function_tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"wet in {city}"


def test_a_runner_goes_on_with_what_was_said(namespace: Namespace) -> None:
    def play(session: Session) -> tuple[list[Any], list[list[Any]]]:
        model = Scripted()
        config = RunConfig(model_provider=Provider(model), tracing_disabled=True)
        agent = Agent(name="a", tools=[weather])
        answers = []
        for question in ("Is it raining?", "Is it still raining?"):
            result = run(Runner.run(agent, question, session=session, run_config=config))
            answers.append(result.final_output)
        return answers, model.asked

    theirs = SQLiteSession("s")
    ours = MnemeSession(namespace, "s")
    answers, asked = play(ours)
    assert (answers, asked) == play(theirs)
    assert answers == ["It is wet in Bergen."] * 2
    assert asked[2][0] == {"content": "Is it raining?", "role": "user"}
    assert run(ours.get_items()) == run(theirs.get_items())
    theirs.close()
    assert namespace.search("raining in Bergen", limit=3)
