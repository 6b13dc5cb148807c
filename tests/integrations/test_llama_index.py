"""LlamaIndex's agents, chat engine and `Memory`, with Mneme behind them and a mock of its own."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("llama_index.core", reason="llama-index-core is not installed")

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from llama_index.core.memory import Memory

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.integrations.llama_index import MnemeBlock, MnemeMemory

# LlamaIndex looks at every attribute of a workflow, that of pydantic's past included.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_"),
]

CONVERSATION = [
    ChatMessage(role="system", content="You plan trips."),
    ChatMessage(role="user", content="What is this?", additional_kwargs={"at": [1, 2.5, None]}),
    ChatMessage(
        role="user",
        blocks=[
            TextBlock(text="A picture:"),
            ImageBlock(image=b"\x89PNG" * 30_000, image_mimetype="image/png"),
            AudioBlock(audio=b"RIFF", format="wav"),
            DocumentBlock(data=b"%PDF", title="a", document_mimetype="application/pdf"),
        ],
    ),
    ChatMessage(
        role="assistant",
        blocks=[
            ThinkingBlock(content="Hm.", num_tokens=2),
            ToolCallBlock(tool_call_id="c1", tool_name="look", tool_kwargs={"at": "sky"}),
        ],
    ),
    ChatMessage(role="tool", content="grey", additional_kwargs={"tool_call_id": "c1"}),
    ChatMessage(role="assistant", content="Clouds."),
    ChatMessage(role="user", blocks=[]),
    ChatMessage(role="developer", content="Be brief."),
]

any_text = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(['", "', "«text»"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
messages = st.builds(
    ChatMessage,
    role=st.sampled_from(list(MessageRole)),
    content=any_text | st.lists(st.builds(TextBlock, text=any_text), max_size=3),
    additional_kwargs=st.dictionaries(any_text.filter(lambda key: key != "images"), json_values),
)


@pytest.fixture
def memory_of(namespace: Namespace) -> MnemeMemory:
    return MnemeMemory.from_defaults(namespace=namespace, session_id="s1")


def test_every_block_comes_back_as_it_was(memory_of: MnemeMemory) -> None:
    memory_of.put_messages(CONVERSATION)
    assert memory_of.get_all() == CONVERSATION


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=st.lists(messages, max_size=4))
def test_whatever_is_said_comes_back_as_it_was(memory: MemoryOS, said: list[ChatMessage]) -> None:
    namespace = memory.namespace(f"n{next(_NUMBERS)}")
    kept = MnemeMemory.from_defaults(said, namespace=namespace, infer="none")
    assert kept.get_all() == said


_NUMBERS = itertools.count()


def test_a_session_goes_on_where_it_ended(namespace: Namespace) -> None:
    MnemeMemory.from_defaults(CONVERSATION[:2], namespace=namespace, session_id="s1")
    assert MnemeMemory(namespace=namespace, session_id="s1").get_all() == CONVERSATION[:2]
    assert MnemeMemory(namespace=namespace).get_all() == []
    with pytest.raises(TypeError, match="no sessoin_id"):
        MnemeMemory.from_defaults(namespace=namespace, sessoin_id="s1")


def test_the_asynchronous_methods_do_the_same(memory_of: MnemeMemory) -> None:
    async def use() -> list[ChatMessage]:
        await memory_of.aput_messages(CONVERSATION[:2])
        await memory_of.aput(CONVERSATION[5])
        await memory_of.aset(CONVERSATION[:1])
        said = await memory_of.aget_all()
        await memory_of.areset()
        return said

    assert asyncio.run(use()) == CONVERSATION[:1]
    assert memory_of.get_all() == []


def test_set_keeps_what_stays_and_forgets_the_rest(namespace: Namespace) -> None:
    kept = MnemeMemory.from_defaults(CONVERSATION[:3], namespace=namespace, session_id="s1")
    before = [cube.id for cube in namespace.list(session="s1").items]
    kept.set([CONVERSATION[0], CONVERSATION[5]])
    after = [cube.id for cube in namespace.list(session="s1").items]
    assert kept.get_all() == [CONVERSATION[0], CONVERSATION[5]]
    assert (after[0], len(after)) == (before[0], 2)
    namespace.restore(before[1])
    assert CONVERSATION[1] in kept.get_all()


def test_deletes_may_erase(namespace: Namespace, memory: MemoryOS) -> None:
    kept = MnemeMemory(namespace=namespace, deletes="erase")
    kept.put(CONVERSATION[1])
    kept.reset()
    assert "erase" in {entry.verb for entry in memory.audit()}
    with pytest.raises(ValueError, match="deletes takes"):  # as pydantic says it
        MnemeMemory(namespace=namespace, deletes="drop")


def test_what_is_known_of_the_question_comes_first(namespace: Namespace) -> None:
    namespace.add("The boat is called Vega.", session="earlier")
    memory = MnemeMemory(namespace=namespace, session_id="now")
    memory.put(ChatMessage(role="user", content="What is the boat called?"))
    first, last = memory.get()
    assert first.role == MessageRole.SYSTEM
    assert "Vega" in str(first.content)
    assert last.content == "What is the boat called?"
    assert "Vega" in str(memory.get(input="And the name of the boat?")[0].content)
    assert memory.get_all() == [last]


def test_it_joins_a_system_message_that_is_there(namespace: Namespace) -> None:
    namespace.add("The boat is called Vega.", session="earlier")
    memory = MnemeMemory(namespace=namespace)
    memory.put_messages([CONVERSATION[0], ChatMessage(role="user", content="Which boat?")])
    first, _ = memory.get()
    assert first.blocks[1] == TextBlock(text="You plan trips.")
    assert memory.get_all()[0] == CONVERSATION[0]


def test_what_the_window_says_is_not_recalled_again(namespace: Namespace) -> None:
    memory = MnemeMemory(namespace=namespace, infer="none")
    said = [ChatMessage(role="user", content="The boat is called Vega. Which boat?")]
    memory.put_messages(said)
    assert memory.get() == said
    quiet = MnemeMemory(namespace=namespace, recall_tokens=0)
    quiet.put(ChatMessage(role="user", content="Which boat?"))
    assert len(quiet.get()) == 1


def test_a_window_begins_with_a_question_and_keeps_to_its_limit(namespace: Namespace) -> None:
    def words(text: str) -> list[str]:
        return text.split()

    memory = MnemeMemory(
        namespace=namespace, token_limit=8, recall_tokens=0, tokenizer_fn=words, infer="none"
    )
    said = [
        ChatMessage(role=role, content=text)
        for role, text in (
            ("user", "one two three"), ("assistant", "four five"), ("tool", "six"),
            ("user", "seven eight"), ("assistant", "nine ten"),
        )
    ]  # fmt: skip
    memory.put_messages(said)
    assert memory.get() == said[3:]
    assert memory.get(initial_token_count=100) == said[3:]
    memory.token_limit = 10
    assert memory.get() == said


def test_a_chat_engine_remembers(namespace: Namespace) -> None:
    namespace.add("The boat is called Vega.", session="earlier")
    memory = MnemeMemory(namespace=namespace, session_id="chat")
    engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
    assert "Vega" in str(engine.chat("What is the boat called?"))  # the mock says its prompt
    asyncio.run(engine.achat("Thank you."))
    roles = [message.role.value for message in memory.get_all()]
    assert roles == ["user", "assistant", "user", "assistant"]


def answer(messages: list[ChatMessage], **_: object) -> ChatMessage:
    """A model that first calls a tool, then says what came of it."""
    if messages[-1].role == MessageRole.TOOL:
        return ChatMessage(role="assistant", content=f"It says: {messages[-1].content}")
    name = "Vega" if "Vega" in str(messages[0].content) else "nothing"
    call = ToolCallBlock(tool_call_id="c1", tool_name="look_up", tool_kwargs={"name": name})
    return ChatMessage(role="assistant", blocks=[call])


def look_up(name: str) -> str:
    """Look a name up."""
    return f"{name} means forward"


def test_an_agent_with_a_tool_remembers(namespace: Namespace) -> None:
    namespace.add("The boat is called Vega.", session="earlier")
    memory = MnemeMemory(namespace=namespace, session_id="agent")
    model = MockFunctionCallingLLM(response_generator=answer)
    agent = FunctionAgent(tools=[look_up], llm=model, streaming=False)

    async def ask() -> str:
        return str(await agent.run("What is the boat called?", memory=memory))

    assert asyncio.run(ask()) == "It says: Vega means forward"
    roles = [message.role.value for message in memory.get_all()]
    assert roles == ["user", "assistant", "tool", "assistant"]
    (tool,) = [cube for cube in namespace.list(session="agent").items if cube.role == "tool"]
    assert tool.trust == "untrusted"


def test_a_block_of_memory_keeps_what_leaves_the_queue(namespace: Namespace) -> None:
    block = MnemeBlock(namespace=namespace)

    async def use() -> tuple[str, int]:
        memory = Memory.from_defaults(
            session_id="s1", token_limit=60, chat_history_token_ratio=0.5, token_flush_size=20,
            memory_blocks=[block],
        )  # fmt: skip
        await memory.aput(ChatMessage(role="user", content="The boat is called Vega, by the way."))
        for number in range(6):
            await memory.aput(ChatMessage(role="user", content=f"Number {number} is a number."))
        await memory.aput(ChatMessage(role="user", content="What is the boat called?"))
        prompt = await memory.aget()
        return str(prompt[0].content), len(prompt)

    first, _ = asyncio.run(use())
    assert "<Mneme>" in first
    assert "Vega" in first
    assert namespace.list(session="s1").items[0].text == "The boat is called Vega, by the way."
    assert asyncio.run(block.aget([])) == ""
