"""LangChain's history and retriever, with LangChain itself and with its standard tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("langchain_core", reason="langchain-core is not installed")

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_tests.integration_tests import RetrieversIntegrationTests

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.errors import InvalidInputError
from mneme.integrations.langchain import MnemeChatMessageHistory, MnemeRetriever

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBOR" * 20_000}}
CONVERSATION: list[BaseMessage] = [
    SystemMessage("You plan trips."),
    HumanMessage("Is it raining in Bergen?", id="h1", name="ada", additional_kwargs={"at": 3}),
    AIMessage(
        "",
        tool_calls=[{"name": "weather", "args": {"city": "Bergen"}, "id": "c1"}],
        invalid_tool_calls=[{"name": "w", "args": "{", "id": "c2", "error": "cut off"}],
        usage_metadata={"input_tokens": 9, "output_tokens": 4, "total_tokens": 13},
        response_metadata={"model": "m", "logprobs": [-0.1, None]},
    ),
    ToolMessage("wet", tool_call_id="c1", artifact={"mm": [1.5, 2]}, status="error"),
    FunctionMessage(content="wet", name="weather"),
    AIMessage([{"type": "text", "text": "Yes."}, {"type": "text", "text": "Take a coat."}]),
    HumanMessage([{"type": "text", "text": "What is this?"}, PICTURE]),
    HumanMessage([PICTURE]),
    ChatMessage(content="No.", role="critic"),
    RemoveMessage(id="h1"),
    AIMessageChunk(
        content="par", tool_call_chunks=[{"name": "f", "args": "{", "id": "c", "index": 0}]
    ),
    HumanMessage("Is it raining in Bergen?"),
    HumanMessage("Is it raining in Bergen?"),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
any_text = st.text(st.characters(codec=None)) | st.sampled_from(['", "', "«text»", "\0", "\ud800"])
contents = any_text | st.lists(
    any_text | st.fixed_dictionaries({"type": st.just("text"), "text": any_text}) | json_objects,
    max_size=3,
)
messages = st.one_of(
    st.builds(HumanMessage, content=contents, additional_kwargs=json_objects, id=any_text),
    st.builds(AIMessage, content=contents, response_metadata=json_objects, name=any_text),
    st.builds(ToolMessage, content=contents, tool_call_id=any_text, artifact=json_values),
    st.builds(ChatMessage, content=contents, role=any_text),
)


@pytest.fixture
def history(namespace: Namespace) -> MnemeChatMessageHistory:
    return MnemeChatMessageHistory(namespace, "s1")


def test_every_type_of_message_comes_back_as_it_was(history: MnemeChatMessageHistory) -> None:
    history.add_messages(CONVERSATION)
    assert history.messages == CONVERSATION
    assert [type(each) for each in history.messages] == [type(each) for each in CONVERSATION]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=st.lists(messages, max_size=4))
def test_whatever_is_said_comes_back_as_it_was(memory: MemoryOS, said: list[BaseMessage]) -> None:
    namespace = memory.namespace(f"n{next(_NUMBERS)}")
    history = MnemeChatMessageHistory(namespace, "s", infer="none")
    history.add_messages(said)
    assert history.messages == said


_NUMBERS = itertools.count()


def test_sessions_do_not_mix(namespace: Namespace) -> None:
    one, other = (MnemeChatMessageHistory(namespace, name) for name in ("s1", "s2"))
    one.add_user_message("Mine.")
    other.add_ai_message("Yours.")
    assert [each.content for each in one.messages] == ["Mine."]
    one.clear()
    assert [each.content for each in other.messages] == ["Yours."]


def test_the_asynchronous_methods_do_the_same(history: MnemeChatMessageHistory) -> None:
    async def use() -> list[BaseMessage]:
        await history.aadd_messages(CONVERSATION[:2])
        said = await history.aget_messages()
        await history.aclear()
        return said

    assert asyncio.run(use()) == CONVERSATION[:2]
    assert history.messages == []


def test_cleared_is_forgotten_and_can_be_restored(namespace: Namespace) -> None:
    history = MnemeChatMessageHistory(namespace, "s1")
    history.add_messages(CONVERSATION[:2])
    ids = [cube.id for cube in namespace.list(session="s1").items]
    history.clear()
    assert (history.messages, namespace.list(session="s1").items) == ([], ())
    for cube_id in ids:
        namespace.restore(cube_id)
    assert history.messages == CONVERSATION[:2]


def test_cleared_is_erased_for_those_who_choose_so(namespace: Namespace, memory: MemoryOS) -> None:
    history = MnemeChatMessageHistory(namespace, "s1", deletes="erase")
    history.add_messages([HumanMessage("The code is quixotic-7."), *CONVERSATION])
    history.clear()
    assert history.messages == []
    assert "erase" in {entry.verb for entry in memory.audit()}
    with pytest.raises(InvalidInputError, match="deletes takes"):
        MnemeChatMessageHistory(namespace, "s1", deletes="drop")


def test_what_was_said_elsewhere_is_part_of_the_session(namespace: Namespace) -> None:
    namespace.add([{"role": "user", "content": "Hello."}], session="s1")
    namespace.add([{"role": "assistant", "content": "Good day."}], session="s1")
    namespace.add([{"role": "tool", "content": "exit 0"}], session="s1")
    history = MnemeChatMessageHistory(namespace, "s1")
    history.add_user_message("And now?")
    assert history.messages == [
        HumanMessage("Hello."), AIMessage("Good day."), HumanMessage("And now?")
    ]  # fmt: skip


def test_a_text_that_was_edited_is_edited_for_langchain_too(namespace: Namespace) -> None:
    history = MnemeChatMessageHistory(namespace, "s1")
    history.add_messages([HumanMessage("My card is 4929.", id="h1")])
    cube = namespace.list(session="s1").items[0]
    namespace.update(cube.id, text="My card is [removed].")
    assert history.messages == [HumanMessage("My card is [removed].", id="h1")]
    assert "4929" not in str(namespace.get(cube.id).metadata)


def test_what_is_not_json_is_refused_and_nothing_of_the_call_is_kept(
    history: MnemeChatMessageHistory,
) -> None:
    odd = HumanMessage("x", additional_kwargs={"odd": object()})
    with pytest.raises(InvalidInputError, match="JSON"):
        history.add_messages([HumanMessage("First."), odd])
    with pytest.raises(InvalidInputError, match="limit is"):
        history.add_messages([HumanMessage([{"type": "file", "data": "x" * (9 << 20)}])])
    assert history.messages == []


def test_a_refused_session_keeps_nothing(namespace: Namespace) -> None:
    history = MnemeChatMessageHistory(namespace, "s" * 600)
    with pytest.raises(InvalidInputError, match="session"):
        history.add_messages(CONVERSATION[:2])
    assert namespace.list().items == ()


def test_messages_of_tools_are_untrusted(namespace: Namespace) -> None:
    MnemeChatMessageHistory(namespace, "s1").add_messages(CONVERSATION[:4])
    found = {cube.role: cube.trust for cube in namespace.list(session="s1").items}
    assert found == {
        "system": "trusted", "user": "trusted", "assistant": "trusted", "tool": "untrusted"
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")  # but much used
def test_a_chain_with_history_remembers(open_namespace: Callable[[], Namespace]) -> None:
    namespace = open_namespace()
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{said}")])
    model = FakeListChatModel(responses=["Oslo it is.", "You said Oslo."])

    def of_session(session_id: str) -> BaseChatMessageHistory:
        return MnemeChatMessageHistory(namespace, session_id)

    chain = RunnableWithMessageHistory(
        prompt | model, of_session, input_messages_key="said", history_messages_key="history"
    )
    config: Any = {"configurable": {"session_id": "s1"}}
    chain.invoke({"said": "I live in Oslo."}, config)
    asyncio.run(chain.ainvoke({"said": "Where do I live?"}, config))
    assert [each.content for each in of_session("s1").messages] == [
        "I live in Oslo.", "Oslo it is.", "Where do I live?", "You said Oslo."
    ]  # fmt: skip


SAID = ["Ada moved to Oslo.", "Ada keeps two cats.", "The cats are grey.", "Oslo is cold."]


def test_documents_say_where_they_are_from_and_how_far_to_trust_them(namespace: Namespace) -> None:
    namespace.add("Ada moved to Oslo.", session="s1", at="2026-03-20", metadata={"page": 3})
    namespace.add("Ada was seen in Lima.", session="s2", role="tool")
    retriever = MnemeRetriever(namespace=namespace, search={"filters": {"trust": "trusted"}})
    (document,) = retriever.invoke("Where is Ada?")
    cube = namespace.get(str(document.id))
    assert document.page_content == "Ada moved to Oslo."
    assert {"score", "recorded_at", "version"} < document.metadata.keys()
    assert document.metadata["event_at"] == "2026-03-20T00:00:00+00:00"
    assert document.metadata["metadata"] == {"page": 3}
    assert (document.metadata["id"], document.metadata["trust"]) == (cube.id, "trusted")
    both = MnemeRetriever(namespace=namespace).invoke("Where is Ada?")
    assert {each.metadata["trust"] for each in both} == {"trusted", "untrusted"}


def test_a_retriever_feeds_a_chain(namespace: Namespace) -> None:
    namespace.add_many(SAID)

    def joined(documents: list[Document]) -> str:
        return " ".join(document.page_content for document in documents)

    chain = MnemeRetriever(namespace=namespace, k=1) | joined
    assert chain.invoke("Which cats?") in {SAID[1], SAID[2]}


@pytest.mark.anyio
class TestStandard(RetrieversIntegrationTests):
    """LangChain's own tests of retrievers."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture(autouse=True)
    def filled(self, namespace: Namespace) -> None:
        namespace.add_many(SAID)
        self._namespace = namespace

    @property
    def retriever_constructor(self) -> type[MnemeRetriever]:
        return MnemeRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"namespace": self._namespace}

    @property
    def retriever_query_example(self) -> str:
        return "Where do Ada and her cats live, in Oslo?"
