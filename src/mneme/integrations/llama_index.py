"""LlamaIndex: a memory for agents and chat engines, and a block for LlamaIndex's own `Memory`.

    memory = MnemeMemory.from_defaults(namespace=namespace, session_id="s1")
    await agent.run("Where do I live?", memory=memory)

`MnemeMemory` keeps the whole conversation and puts before it what the namespace knows of the
question. `MnemeBlock` is for those who use `llama_index.core.memory.Memory`: it takes in what that
lets go of, and answers from all that the namespace knows.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from mneme.core.errors import MissingDependencyError
from mneme.integrations.transcript import Message, Transcript

try:
    from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.memory import BaseMemory, BaseMemoryBlock
    from llama_index.core.utils import get_tokenizer
    from pydantic_core import to_jsonable_python
except ImportError as error:  # pragma: no cover (tested where it is not installed)
    raise MissingDependencyError(
        "llama-index-core", "", "mneme.integrations.llama_index"
    ) from error

from collections.abc import Callable  # pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.integrations.transcript import Kept

_NAME = "llama_index"
_ROLES = {
    MessageRole.USER: "user", MessageRole.SYSTEM: "system", MessageRole.DEVELOPER: "system",
    MessageRole.TOOL: "tool", MessageRole.FUNCTION: "tool",
}  # fmt: skip
_ANSWERS = (MessageRole.ASSISTANT, MessageRole.TOOL, MessageRole.FUNCTION)


class MnemeMemory(BaseMemory):  # type: ignore[misc]
    """The messages of one session, and what the namespace knows of the latest question.

    Attributes:
        namespace: Of `mneme` or of `mneme.client`.
        session_id: The session; any name of up to 512 bytes.
        token_limit: The most tokens that `get` gives, by `tokenizer_fn`; the latest question, and
            what came after it, is given in any case.
        recall_tokens: The most of them for what is recalled; 0: nothing is.
        deletes: What `reset` and `set` do with messages that go: "forget" or "erase".
        infer: As for `Namespace.add`: "auto" reads facts out of what users say.
        tokenizer_fn: Cuts a text into tokens.
    """

    namespace: Any = Field(exclude=True)
    session_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    token_limit: int = Field(default=30_000, gt=0)
    recall_tokens: int = Field(default=1500, ge=0)
    deletes: str = "forget"
    infer: str = "auto"
    tokenizer_fn: Callable[[str], list[Any]] = Field(default_factory=get_tokenizer, exclude=True)
    _transcript: Transcript = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 (pydantic's)
        super().model_post_init(context)
        self._transcript = Transcript(
            self.namespace, self.session_id, name=_NAME, deletes=self.deletes, infer=self.infer
        )

    @classmethod
    def class_name(cls) -> str:
        return "MnemeMemory"

    @classmethod
    def from_defaults(
        cls,
        chat_history: list[ChatMessage] | None = None,
        **kwargs: Any,  # noqa: ANN401 (LlamaIndex's signature)
    ) -> MnemeMemory:
        """A memory from its attributes; `chat_history` replaces what the session holds."""
        unknown = kwargs.keys() - cls.model_fields.keys()
        if unknown:
            raise TypeError(f"MnemeMemory has no {', '.join(sorted(unknown))}")
        memory = cls(**kwargs)
        if chat_history is not None:
            memory.set(chat_history)
        return memory

    def get(
        self,
        input: str | None = None,  # noqa: A002 (LlamaIndex's name)
        initial_token_count: int = 0,
        **kwargs: Any,  # noqa: ANN401 (LlamaIndex's signature)
    ) -> list[ChatMessage]:
        """What goes into the next prompt: what is recalled, then the newest messages.

        Args:
            input: The question; None: what the user said last.
            initial_token_count: Of the limit, taken by something else.
            **kwargs: Not used.
        """
        kept = self._transcript.read()
        messages = [_message_of(each) for each in kept]
        question = _last_question(messages) if input is None else input
        window = self._window(messages, initial_token_count)
        recalled = self._recalled(question, kept[len(kept) - len(window) :])
        if not recalled:
            return window
        window = self._window(window, initial_token_count + len(self.tokenizer_fn(recalled)))
        return _with_system(recalled, window)

    def get_all(self) -> list[ChatMessage]:
        """All messages of the session, oldest first."""
        return [_message_of(kept) for kept in self._transcript.read()]

    def put(self, message: ChatMessage) -> None:
        """Keep a message."""
        self.put_messages([message])

    def put_messages(self, messages: list[ChatMessage]) -> None:
        """Keep messages in their order."""
        self._transcript.append([_said(message) for message in messages])

    def set(self, messages: list[ChatMessage]) -> None:
        """Make the session what is given; messages that it begins with already stay as they are."""
        kept = self._transcript.read()
        same = 0
        for each, message in zip(kept, messages, strict=False):
            if _message_of(each) != message:
                break
            same += 1
        self._transcript.remove(kept[same:])
        self.put_messages(messages[same:])

    def reset(self) -> None:
        """Delete the messages of the session, as `deletes` says."""
        self._transcript.clear()

    def _recalled(self, question: str, window: Sequence[Kept]) -> str:
        """A context for the question, unless the window says all of it already."""
        if not self.recall_tokens or not question.strip():
            return ""
        context = self.namespace.recall(question, budget_tokens=self.recall_tokens)
        shown = {kept.cube.id for kept in window}
        return "" if all(hit.cube.id in shown for hit in context.hits) else str(context.text)

    def _window(self, messages: list[ChatMessage], taken: int) -> list[ChatMessage]:
        """The newest messages within the limit, from a question on; the latest one in any case."""
        starts = [k for k, message in enumerate(messages) if message.role not in _ANSWERS] or [0]
        room, start = self.token_limit - taken, starts[-1]
        for number in range(len(messages) - 1, -1, -1):
            room -= self._tokens(messages[number])
            if room < 0:
                break
            if number in starts or number == 0:
                start = min(start, number)
        return messages[start:]

    def _tokens(self, message: ChatMessage) -> int:
        more = message.additional_kwargs
        return len(self.tokenizer_fn(_text(message) + (str(more) if more else "")))


class MnemeBlock(BaseMemoryBlock[str]):  # type: ignore[misc]
    """A block of LlamaIndex's `Memory`: keeps what leaves its queue, recalls for each question.

    Attributes:
        namespace: Of `mneme` or of `mneme.client`.
        budget_tokens: The most tokens of what is recalled, by Mneme's counter.
        infer: As for `Namespace.add`: "auto" reads facts out of what users say.
    """

    name: str = "Mneme"
    namespace: Any = Field(exclude=True)
    budget_tokens: int = Field(default=1500, ge=0)
    infer: str = "auto"

    async def _aget(
        self,
        messages: list[ChatMessage] | None = None,
        **_: object,
    ) -> str:
        """What the namespace knows of the user's latest words; empty if nothing."""
        question = _last_question(messages or [])
        if not question.strip():
            return ""
        context = await asyncio.to_thread(
            self.namespace.recall, question, budget_tokens=self.budget_tokens
        )
        return str(context.text)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Keep messages, in the sessions that `Memory` says they are from."""
        by_session: dict[str, list[Message]] = {}
        for message in messages:
            session = str(message.additional_kwargs.get("session_id", _NAME))
            by_session.setdefault(session, []).append(_said(message))
        for session, said in by_session.items():
            transcript = Transcript(self.namespace, session, name=_NAME, infer=self.infer)
            await asyncio.to_thread(transcript.append, said)


def _said(message: ChatMessage) -> Message:
    kinds = sorted({str(block.block_type) for block in message.blocks}) or ["empty"]
    return Message(
        text=_text(message),
        label=f"[{', '.join(kinds)}]",
        role=_ROLES.get(message.role, "assistant"),
        form=to_jsonable_python(message.model_dump(), inf_nan_mode="constants"),
    )


def _text(message: ChatMessage) -> str:
    return str(message.content or "")


def _message_of(kept: Kept) -> ChatMessage:
    if kept.form is None:
        return ChatMessage(role=kept.cube.role, content=kept.cube.text)
    return ChatMessage.model_validate(kept.form)


def _last_question(messages: Sequence[ChatMessage]) -> str:
    asked = (message for message in reversed(messages) if message.role == MessageRole.USER)
    latest = next(asked, None)
    return "" if latest is None else _text(latest)


def _with_system(text: str, messages: list[ChatMessage]) -> list[ChatMessage]:
    """The text as a system message, or at the head of the one that comes first."""
    if messages and messages[0].role == MessageRole.SYSTEM:
        first = messages[0].model_copy(
            update={"blocks": [TextBlock(text=text), *messages[0].blocks]}
        )
        return [first, *messages[1:]]
    return [ChatMessage(role=MessageRole.SYSTEM, content=text), *messages]
