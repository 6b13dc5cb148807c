"""One message of a conversation: as a caller gives it, as a cube keeps it, as a prompt shows it.

In: messages in the form of OpenAI's chat, untrusted. Out: checked messages, and the text and the
few numbers from which a cube gives the same message back. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mneme.core.errors import InvalidInputError, UnknownArgumentError

ROLES: Final = ("system", "user", "assistant", "tool")
FIELDS: Final = ("role", "content", "name", "at", "tool_calls", "tool_call_id")
_EMPTY: Final = "(no text)"  # what a cube says for a tool result without any
_LONGEST_ID = 512

Chat = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the assistant; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message.

    Attributes:
        role: system, user, assistant or tool.
        content: Its text; None where the assistant only calls tools.
        name: Who speaks, where that is said.
        calls: Tools that the assistant calls.
        answers: The id of the call that a tool's message answers.
        at: When it was said, as the caller put it.
    """

    role: str
    content: str | None
    name: str | None = None
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    at: object = None

    def to_chat(self) -> Chat:
        """The message in the form of OpenAI's chat."""
        chat: Chat = {"role": self.role, "content": self.content}
        if self.name:
            chat["name"] = self.name
        if self.answers is not None:
            chat["tool_call_id"] = self.answers
        if self.calls:
            chat["tool_calls"] = [
                {"id": c.id, "type": "function",
                 "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.calls
            ]  # fmt: skip
        return chat


def parse(raw: object) -> Message:
    """A message from outside.

    Raises:
        InvalidInputError: It is no message, or holds what is no text.
        UnknownArgumentError: It has a field that would be lost.
    """
    if isinstance(raw, str):
        return Message(role="user", content=_content(raw, may_lack=False))
    if not isinstance(raw, Mapping):
        raise InvalidInputError(f"a message is a string or a mapping, not {type(raw).__name__}")
    for field, value in raw.items():
        if field not in FIELDS and value not in (None, "", [], {}, ()):
            raise UnknownArgumentError("a message", str(field), FIELDS)
    role = raw.get("role")
    if role not in ROLES:
        raise InvalidInputError(f"role {role!r:.80} is unknown; use one of {', '.join(ROLES)}")
    calls = _calls(raw.get("tool_calls"), role)
    content = _content(raw.get("content"), may_lack=bool(calls) or role == "tool")
    return Message(
        role=role,
        content="" if content is None and role == "tool" else content,
        name=None if role == "tool" else _name(raw.get("name")),
        calls=calls,
        answers=_answers(raw.get("tool_call_id"), role),
        at=raw.get("at"),
    )


def encode(message: Message) -> tuple[str, dict[str, Any] | None]:
    """The text of a cube for a message, and what its metadata says beside it.

    The text holds every word once: the content first, then each call as `name(arguments)`.
    """
    content = message.content or ""
    pieces = [content] if content.strip() else []
    pieces += [f"{call.name}({call.arguments})" for call in message.calls]
    about: dict[str, Any] = {}
    if message.calls:
        about["calls"] = [[c.id, c.name, len(c.arguments)] for c in message.calls]
    if message.answers is not None:
        about["answers"] = message.answers
    if message.content is None or not content.strip():
        about["content"] = message.content
    elif about:
        about["chars"] = len(content)
    return "\n".join(pieces) or _EMPTY, about or None


def decode(role: str, name: str | None, text: str, about: Mapping[str, Any] | None) -> Message:
    """The message that a cube keeps; its text alone where that was edited since."""
    if not about:
        return Message(role=role, content=text, name=name)
    content = about["content"] if "content" in about else text[: int(about["chars"])]
    rest = text[len(content) + 1 :] if (content or "").strip() else text
    calls = _decoded_calls(rest, about.get("calls", ()))
    answers = about.get("answers")
    if calls is None:
        return Message(role=role, content=text, name=name)
    if answers is not None and (content or "").strip() and len(content or "") != len(text):
        content = text  # a tool's result that was edited
    return Message(role=role, content=content, name=name, calls=calls, answers=answers)


def _decoded_calls(rest: str, known: Sequence[Sequence[Any]]) -> tuple[ToolCall, ...] | None:
    """The calls that stand in the rest of a text; None where it does not hold them."""
    calls, at = [], 0
    for call_id, name, size in known:
        start = at + len(name) + 1
        if rest[at:start] != f"{name}(" or rest[start + size : start + size + 1] != ")":
            return None
        calls.append(ToolCall(call_id, name, rest[start : start + size]))
        at = start + size + 2
    return None if known and at != len(rest) + 1 else tuple(calls)


def _content(value: object, *, may_lack: bool) -> str | None:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\n".join(_part(part) for part in value)
    if value is None or (isinstance(value, str) and not value.strip()):
        if may_lack:
            return value
        raise InvalidInputError("a message without content; give it a text, or leave it out")
    return _text(value)


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or part.get("type", "text") != "text":
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        raise InvalidInputError(
            f"a part of the content is {kind!r:.80}, no text; describe it in words, or leave it out"
        )
    return _text(text)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"content must be text, not {type(value).__name__}")
    return value


def _name(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InvalidInputError(f"name must be a string, not {value!r:.80}")
    return value


def _answers(value: object, role: str) -> str | None:
    if role == "tool":
        return _id(value, "a message of a tool needs 'tool_call_id', the id of the call it answers")
    if value is not None:
        raise InvalidInputError(f"'tool_call_id' is for messages of tools, not of the {role}")
    return None


def _calls(value: object, role: str) -> tuple[ToolCall, ...]:
    if not value:
        return ()
    if role != "assistant" or not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidInputError("'tool_calls' is a list, in a message of the assistant")
    calls = tuple(_call(each) for each in value)
    if len({call.id for call in calls}) < len(calls):
        raise InvalidInputError("two tool calls share one id; give each its own")
    return calls


def _call(value: object) -> ToolCall:
    function = value.get("function") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(function, Mapping):
        raise InvalidInputError(
            "a tool call is {'id': ..., 'type': 'function', 'function': {'name': ..., "
            "'arguments': '{...}'}}"
        )
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        raise InvalidInputError("the arguments of a tool call are JSON in a string")
    name = _id(function.get("name"), "a tool call needs the name of its function")
    return ToolCall(_id(value.get("id"), "a tool call needs an id"), name, arguments)


def _id(value: object, complaint: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_ID:
        raise InvalidInputError(complaint)
    return value
