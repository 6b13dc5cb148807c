"""LangChain: the history of a chat, and a retriever.

    history = MnemeChatMessageHistory(memory.namespace("alice"), session_id="s1")
    retriever = MnemeRetriever(namespace=memory.namespace("alice"), k=4)

Both take a namespace of `mneme` or of `mneme.client`. Their asynchronous methods are LangChain's
own, which call the others in threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.errors import MissingDependencyError
from mneme.integrations.transcript import Message, Transcript

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import Document
    from langchain_core.messages import (
        AIMessage,
        BaseMessage,
        HumanMessage,
        SystemMessage,
        message_to_dict,
        messages_from_dict,
    )
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:  # pragma: no cover (tested where it is not installed)
    raise MissingDependencyError("langchain-core", "", "mneme.integrations.langchain") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.clock import Clock
    from mneme.integrations.exact import Memories
    from mneme.integrations.transcript import Kept
    from mneme.recall.context import Hit

_NAME = "langchain"
_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool",
          "function": "tool"}  # fmt: skip
_PLAIN = {"user": HumanMessage, "assistant": AIMessage, "system": SystemMessage}
_OWN = (_NAME, f"{_NAME}.part", "langgraph", "langgraph.part", "llama_index", "llama_index.part",
        "openai_agents", "openai_agents.part")  # fmt: skip


class MnemeChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session, exactly as LangChain gave them.

    Args:
        namespace: Of `mneme` or of `mneme.client`.
        session_id: The session; any name of up to 512 bytes.
        deletes: What `clear` does: "forget" hides, and `Namespace.restore` brings back; "erase"
            removes for good.
        infer: As for `Namespace.add`: "auto" reads facts out of what users say, "none" does not.
        clock: Says when a message came.

    Raises:
        InvalidInputError: A message cannot be kept; none of the call was.
    """

    def __init__(
        self,
        namespace: Memories,
        session_id: str,
        *,
        deletes: str = "forget",
        infer: str = "auto",
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self.session_id = session_id
        self._transcript = Transcript(
            namespace, session_id, name=_NAME, deletes=deletes, infer=infer, clock=clock
        )

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # LangChain allows both
        """All messages, oldest first; those that came another way as plain ones."""
        return [_message_of(kept) for kept in self._transcript.read()]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Keep messages; of all that LangChain knows, and those of a subclass as its base."""
        self._transcript.append([_said(message) for message in messages])

    def clear(self) -> None:
        """Delete the messages of the session, as `deletes` says."""
        self._transcript.clear()


class MnemeRetriever(BaseRetriever):
    """What a namespace knows about a query, as documents, best first.

    Attributes:
        namespace: Of `mneme` or of `mneme.client`.
        k: The most documents; `invoke(query, k=...)` overrides it.
        search: More arguments of `Namespace.search`, such as {"types": ["fact"]}.
    """

    namespace: Any
    k: int = 4
    search: dict[str, Any] = {}  # noqa: RUF012 (pydantic copies it)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
    ) -> list[Document]:
        limit = self.k if k is None else k
        return [_document(hit) for hit in self.namespace.search(query, limit=limit, **self.search)]


def _document(hit: Hit) -> Document:
    """A hit; what says where it is from and how far to trust it is in the metadata."""
    cube = hit.cube
    event = cube.event_at.isoformat() if cube.event_at is not None else None
    return Document(
        id=cube.id,
        page_content=cube.text,
        metadata={
            "id": cube.id,
            "version": cube.version,
            "score": hit.score,
            "trust": cube.trust,
            "type": cube.type,
            "session": cube.session,
            "role": cube.role,
            "speaker": cube.speaker,
            "event_at": event,
            "recorded_at": cube.recorded_at.isoformat(),
            "metadata": {key: value for key, value in cube.metadata.items() if key not in _OWN},
        },
    )


def _said(message: BaseMessage) -> Message:
    form = message_to_dict(message)
    kind = message.type.removesuffix("MessageChunk").lower()
    role = str(getattr(message, "role", "")) if kind == "chat" else _ROLES.get(kind, "system")
    return Message(
        text=str(message.text),
        label=_label(message, kind),
        role=role if role in _ROLES.values() else "user",
        form=form,
        speaker=message.name,
    )


def _label(message: BaseMessage, kind: str) -> str:
    """What stands for a message without text."""
    calls = getattr(message, "tool_calls", [])
    if calls:
        return "[calls " + ", ".join(str(call.get("name")) for call in calls) + "]"
    return f"[{kind} message without text]"


def _message_of(kept: Kept) -> BaseMessage:
    if kept.form is None:
        return _PLAIN[kept.cube.role](content=kept.cube.text)
    return messages_from_dict([kept.form])[0]
