"""Pydantic AI with a memory: real agents, whose models are functions; no key, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("pydantic_ai", reason="make test-integrations has it")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from mneme.integrations.pydantic_ai import (
    MnemeConversations,
    MnemeMemory,
    memory_instructions,
    memory_tools,
)

OSLO = "I moved to Oslo in March."
EPOCH = datetime(2026, 3, 20, tzinfo=UTC)


def run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
    return asyncio.run(work)


def test_an_agent_is_told_what_memory_says_of_the_prompt(namespace: Any) -> None:  # noqa: ANN401
    namespace.add(OSLO)
    told: list[str] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        request = messages[-1]
        assert isinstance(request, ModelRequest)
        told.append(request.instructions or "")
        assert sorted(tool.name for tool in info.function_tools) == ["remember", "search_memory"]
        return ModelResponse(parts=[TextPart("In Oslo.")])

    agent = Agent(FunctionModel(answer), capabilities=[MnemeMemory(namespace)])
    assert run(agent.run("Where did I move?")).output == "In Oslo."
    assert OSLO in told[0]
    run(agent.run(["Where did I move?", BinaryContent(b"...", media_type="image/png")]))
    assert OSLO in told[1]


def test_a_model_searches_and_remembers(namespace: Any) -> None:  # noqa: ANN401
    namespace.add(OSLO)
    results: list[Any] = []

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        returned = [p for p in messages[-1].parts if isinstance(p, ToolReturnPart)]
        if not returned:
            calls = [ToolCallPart("search_memory", {"query": "Where did I move?", "limit": 99})]
            calls.append(ToolCallPart("remember", {"text": "The user asked for the address."}))
            return ModelResponse(parts=calls)
        results.extend(part.content for part in returned)
        return ModelResponse(parts=[TextPart("done")])

    agent = Agent(FunctionModel(answer), toolsets=[memory_tools(namespace)])
    assert run(agent.run("x")).output == "done"
    found = next(each for each in results if isinstance(each, list))
    assert found[0]["text"] == OSLO
    assert found[0]["trust"] == "trusted"
    kept = namespace.get(next(each for each in results if isinstance(each, str)))
    assert (kept.text, kept.role) == ("The user asked for the address.", "assistant")


def test_the_test_model_calls_every_tool(namespace: Any) -> None:  # noqa: ANN401
    agent = Agent(TestModel(), capabilities=[MnemeMemory(namespace, budget_tokens=0)])
    assert run(agent.run("Hello.")).output
    assert len(namespace.list().items) == 1


def test_instructions_are_left_out_where_there_is_nothing(namespace: Any) -> None:  # noqa: ANN401
    model = TestModel(call_tools=[])
    agent = Agent(model, instructions=memory_instructions(namespace))
    run(agent.run("Hello."))
    assert MnemeMemory(namespace, tools=False).get_toolset() is None
    result = run(agent.run(message_history=[ModelRequest(parts=[UserPromptPart("Hi.")])]))
    assert result.output


def test_a_conversation_goes_on_in_another_process(namespace: Any) -> None:  # noqa: ANN401
    agent = Agent(TestModel(custom_output_text="Fine."))

    async def talk() -> None:
        store = MnemeConversations(namespace)
        result = await agent.run(OSLO, conversation=Conversation(conversation_id="c1"))
        entries = await store.save(result, scope="alice")
        assert len(entries) == 2
        again = MnemeConversations(namespace)
        loaded = await again.load("c1")
        assert loaded is not None
        assert loaded.messages == result.all_messages()
        second = await agent.run("And now?", conversation=loaded)
        await again.save(second)
        whole = await store.load("c1", scope="alice")
        assert whole is not None
        assert whole.messages == second.all_messages()
        assert whole.usage == second.conversation.usage
        assert await store.load("c1", scope="bob") is None
        last = await store.load("c1", limit=1)
        assert last is not None
        assert last.messages == second.all_messages()[-1:]

    run(talk())
    assert [cube.text for cube in namespace.list(session="c1").items] == [
        OSLO, "Fine.", "And now?", "Fine.",
    ]  # fmt: skip
    assert namespace.search("Where did I move?")[0].cube.text == OSLO
    assert all("Conversation" not in hit.cube.text for hit in namespace.search("Conversation c1"))


def test_of_two_writers_one_is_told(namespace: Any) -> None:  # noqa: ANN401
    agent = Agent(TestModel(custom_output_text="Fine."))

    async def talk() -> None:
        store = MnemeConversations(namespace)
        first = await agent.run("One.", conversation=Conversation(conversation_id="c1"))
        await store.save(first)
        other = await agent.run("Two.", conversation=Conversation(conversation_id="c1"))
        with pytest.raises(ConversationConflict):
            await store.save(other)
        mine, theirs = await store.load("c1"), await store.load("c1")
        assert mine is not None
        assert theirs is not None
        await store.save(await agent.run("Mine.", conversation=mine))
        with pytest.raises(ConversationConflict):
            await store.save(await agent.run("Theirs.", conversation=theirs))

    run(talk())
    texts = [cube.text for cube in namespace.list(session="c1").items]
    assert texts == ["One.", "Fine.", "Mine.", "Fine."]


async def script(store: ConversationStore) -> list[Any]:
    """What any store answers to branches, forks, lists and deletions."""
    said: list[Any] = []

    async def note(conversation_id: str) -> None:
        loaded = await store.load(conversation_id)
        said.append(None if loaded is None else [m.parts for m in loaded.messages])

    talk = Conversation(conversation_id="c1")
    for n in range(3):
        talk.messages += [
            ModelRequest(parts=[UserPromptPart(f"Number {n}.", timestamp=EPOCH)]),
            ModelResponse(parts=[TextPart(f"Yes, {n}.")], timestamp=EPOCH),
        ]
        said.append(len(await store.save(talk, scope="s")))
    await note("c1")
    branch = await store.branch("c1", at=2, expected_revision=talk.revision)
    branch.messages.append(ModelRequest(parts=[UserPromptPart("Otherwise.", timestamp=EPOCH)]))
    await store.save(branch)
    await note("c1")
    fork = await store.fork("c1", at=1, new_conversation_id="c2", scope="t")
    fork.messages.append(ModelResponse(parts=[TextPart("Fork.")], timestamp=EPOCH))
    await store.save(fork)
    said.append([(r.conversation_id, r.scope, len(r.branches), r.forked_from)
                 for r in await store.list_conversations()])  # fmt: skip
    said.append([r.conversation_id for r in await store.list_conversations(scope="t", limit=5)])
    await store.delete("c1", scope="other")
    await note("c1")
    await store.delete("c1")
    await note("c1")
    await note("c2")
    said.append([r.conversation_id for r in await store.list_conversations()])
    again = Conversation(conversation_id="c1")
    again.messages.append(ModelRequest(parts=[UserPromptPart("Again.", timestamp=EPOCH)]))
    await store.save(again)
    await note("c1")
    for wrong in ("none", "c1"):
        try:
            await store.branch(wrong, at=0, expected_revision="wrong")
        except Exception as error:  # noqa: BLE001 (which one, is what is compared)
            said.append(type(error).__name__)
    return said


@pytest.mark.parametrize("deletes", ["forget", "erase"])
def test_it_does_what_pydantic_ais_own_store_does(namespace: Any, deletes: str) -> None:  # noqa: ANN401
    ours = run(script(MnemeConversations(namespace, deletes=deletes)))
    assert ours == run(script(InMemoryConversationStore()))
    texts = {cube.text for cube in namespace.list(limit=100).items}
    assert texts == {"Number 0.", "Fork.", "Again."}


text = st.text(max_size=40)
images = st.builds(BinaryContent, st.binary(), media_type=st.just("image/png"))
parts: Any = st.one_of(
    st.builds(UserPromptPart, text, timestamp=st.just(EPOCH)),
    st.builds(SystemPromptPart, text, timestamp=st.just(EPOCH)),
    st.builds(ToolReturnPart, text, st.dictionaries(text, text | st.integers() | st.none()), text,
              timestamp=st.just(EPOCH)),
    st.builds(UserPromptPart, st.lists(text | images, min_size=1, max_size=3),
              timestamp=st.just(EPOCH)),
)  # fmt: skip
answers: Any = st.one_of(
    st.builds(TextPart, text),
    st.builds(ThinkingPart, text, signature=text),
    st.builds(ToolCallPart, text, st.dictionaries(text, text), text),
)
messages = st.lists(
    st.builds(ModelRequest, st.lists(parts, min_size=1, max_size=3), instructions=st.none() | text)
    | st.builds(ModelResponse, st.lists(answers, min_size=1, max_size=3), timestamp=st.just(EPOCH)),
    min_size=1,
    max_size=3,
)
_NUMBERS = iter(range(1_000_000))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=messages)
def test_messages_come_back_exactly(open_namespace: Callable[[], Any], said: list[Any]) -> None:
    async def around() -> list[ModelMessage]:
        store = MnemeConversations(open_namespace(), infer="none")
        await store.save(Conversation(conversation_id="c", messages=list(said)))
        loaded = await store.load("c")
        assert loaded is not None
        return loaded.messages

    back = run(around())
    dump = ModelMessagesTypeAdapter.dump_python
    assert dump(back, mode="json") == dump(said, mode="json")
    expected = ModelMessagesTypeAdapter.validate_python(dump(said, mode="json"))
    assert back == expected


@pytest.mark.parametrize("name", ["", " ", "x" * 5000, "🙂\n\0", "a\ud800"])
def test_any_id_names_a_conversation(namespace: Any, name: str) -> None:  # noqa: ANN401
    async def around() -> None:
        store = MnemeConversations(namespace)
        said = [ModelRequest(parts=[UserPromptPart(OSLO)])]
        try:
            await store.save(Conversation(conversation_id=name, messages=list(said)))
        except UnicodeEncodeError:
            pytest.skip("pydantic does not write it either")
        loaded = await store.load(name)
        assert loaded is not None
        assert loaded.messages == said
        assert await store.load(name + "x") is None

    run(around())


def test_a_message_too_long_for_metadata_comes_back(namespace: Any) -> None:  # noqa: ANN401
    image = BinaryContent(bytes(range(256)) * 800, media_type="image/png")

    async def around() -> None:
        store = MnemeConversations(namespace)
        said: list[Any] = [ModelRequest(parts=[UserPromptPart(["Look.", image])])]
        await store.save(Conversation(conversation_id="c", messages=list(said)))
        loaded = await store.load("c")
        assert loaded is not None
        dump = ModelMessagesTypeAdapter.dump_python
        assert dump(loaded.messages, mode="json") == dump(said, mode="json")

    run(around())
    assert [cube.text for cube in namespace.list(session="c").items] == ["Look."]
