"""A chat request, read without being rewritten.

In: the bytes that a client sent. Out: what memory needs of them, and the same bytes with one
message put in. Nothing is parsed and written again, so that the spelling of numbers, the order of
keys, unknown fields and blanks reach the model as they were sent. Pure, no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_BLANKS: Final = " \t\n\r"
_DECODER: Final = json.JSONDecoder()
_SAID_BY: Final = {"user": "user", "tool": "tool", "function": "tool"}


class UnreadableError(ValueError):
    """The bytes are no chat request that memory could be added to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A chat request.

    Attributes:
        body: As it came.
        fields: The whole object.
        messages: Its messages, each an object.
        place: Characters before the last message of the user, where memory goes; None: there is no
            such message.
    """

    body: bytes
    fields: Mapping[str, Any]
    messages: tuple[Mapping[str, Any], ...]
    place: int | None

    @property
    def question(self) -> str:
        """What the user said last; empty if that has no text."""
        said = [each for each in self.messages if each.get("role") == "user"]
        return text_of(said[-1]) if said else ""

    @property
    def texts(self) -> frozenset[str]:
        """All that the request says: memory need not say it again."""
        return frozenset(text_of(each).strip() for each in self.messages) - {""}

    @property
    def new(self) -> tuple[dict[str, str], ...]:
        """What users and tools said since the model's last reply, as `add` takes it.

        What the model itself said, and what the application says as system or developer, is
        nothing that the user told.
        """
        last = max(
            (n for n, each in enumerate(self.messages) if each.get("role") == "assistant"),
            default=-1,
        )
        said = ((each.get("role"), text_of(each)) for each in self.messages[last + 1 :])
        return tuple(
            {"role": _SAID_BY[role], "content": text}
            for role, text in said
            if isinstance(role, str) and role in _SAID_BY and text.strip()
        )

    @property
    def opening(self) -> str:
        """All up to the user's first message: what the requests of one conversation share."""
        users = [n for n, each in enumerate(self.messages) if each.get("role") == "user"]
        return json.dumps(self.messages[: users[0] + 1 if users else None], sort_keys=True)

    def with_system(self, text: str) -> bytes:
        """The same bytes, with a system message before the last message of the user.

        Raises:
            UnreadableError: There is no message of the user.
        """
        if self.place is None:
            raise UnreadableError("no message of a user")
        message = json.dumps({"role": "system", "content": text}, ensure_ascii=False)
        whole = self.body.decode()
        return f"{whole[: self.place]}{message}, {whole[self.place :]}".encode()


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message: its content, or the text parts of that, a line each."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def read(body: bytes) -> Talk:
    """A request with its parts.

    Raises:
        UnreadableError: It is no JSON object in UTF-8 with a list of messages; or it says
            "messages" twice, and nobody knows which the model will read.
    """
    try:
        return _read(body, body.decode())
    except UnreadableError:
        raise
    except (ValueError, RecursionError, IndexError) as error:
        raise UnreadableError("no JSON object") from error


def _read(body: bytes, text: str) -> Talk:
    members = _members(text)
    fields = {name: value for name, value, _ in members}
    starts = [start for name, _, start in members if name == "messages"]
    messages = fields.get("messages")
    if len(starts) != 1 or not isinstance(messages, list):
        raise UnreadableError("no one list of messages")
    if not all(isinstance(each, dict) for each in messages):
        raise UnreadableError("a message is no object")
    users = [n for n, each in enumerate(messages) if each.get("role") == "user"]
    place = _items(text, starts[0])[users[-1]] if users else None
    return Talk(body=body, fields=fields, messages=tuple(messages), place=place)


def _members(text: str) -> list[tuple[str, Any, int]]:
    """Names and values of the object that a text is, and where the values begin."""
    at = _after(text, _skip(text, 0), "{")
    found = []
    if text[at] == "}":
        at = _skip(text, at + 1)
    else:
        more = True
        while more:
            if text[at] != '"':
                raise UnreadableError("a name is no string")
            name, at = _DECODER.raw_decode(text, at)
            start = _after(text, _skip(text, at), ":")
            value, at = _DECODER.raw_decode(text, start)
            found.append((name, value, start))
            at, more = _next(text, _skip(text, at), "}")
    if at != len(text):
        raise UnreadableError("more than one value")
    return found


def _items(text: str, start: int) -> list[int]:
    """Where the items of a list, which is known to be one, begin."""
    at, more = _after(text, start, "["), True
    starts = []
    while more:
        starts.append(at)
        _, at = _DECODER.raw_decode(text, at)
        at, more = _next(text, _skip(text, at), "]")
    return starts


def _next(text: str, at: int, end: str) -> tuple[int, bool]:
    """Beyond a comma, or the end; and whether there is more."""
    if text[at] == end:
        return _skip(text, at + 1), False
    return _after(text, at, ","), True


def _after(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise UnreadableError(f"no {sign}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at
