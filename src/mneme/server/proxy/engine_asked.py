"""A chat request to the model in this process: what of OpenAI's dialect it can do.

In: a request that was read. Out: messages of text and a few numbers, or a refusal that names the
field. What would change the meaning of the answer and cannot be done is refused; what only tunes
chance (temperature, top_p, seed, penalties) is ignored, since the answer is the likeliest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mneme.server.proxy.refused import RefusedError
from mneme.server.proxy.talk import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.server.proxy.talk import Talk

_NEW_TOKENS: Final = 256
_MOST_NEW_TOKENS: Final = 1 << 20
_ROLES: Final = {
    "user": "user", "assistant": "assistant", "system": "system", "developer": "system",
}  # fmt: skip
_UNSET: Final[tuple[Any, ...]] = (None, False, 0, [], {}, "none")
_PLAIN: Final[Mapping[str, tuple[Any, ...]]] = {
    "tools": (),
    "functions": (),
    "tool_choice": ("auto",),
    "function_call": ("auto",),
    "response_format": ({"type": "text"},),
    "logprobs": (),
    "top_logprobs": (),
    "logit_bias": (),
    "stop": (),
    "audio": (),
    "modalities": (["text"],),
    "web_search_options": (),
    "n": (1,),
}
"""Fields that would change what an answer is, and the values with which they do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the model is asked.

    Attributes:
        messages: Texts; the last is the user's.
        new_tokens: Most of the answer.
        model: The name that the client gave.
        streams: Whether the answer comes piece by piece.
        with_usage: Whether a stream ends with counts of tokens.
    """

    messages: tuple[dict[str, str], ...]
    new_tokens: int
    model: str
    streams: bool
    with_usage: bool


def wanted_of(talk: Talk | None, name: str) -> Wanted:
    """The request, checked.

    Args:
        talk: None: it could not be read.
        name: Of the model, where the client gives none.

    Raises:
        RefusedError: It asks for what a model in this process cannot do.
    """
    if talk is None:
        raise _refused("the body must be a JSON object with a list of messages", "messages")
    fields = talk.fields
    for field, plain in _PLAIN.items():
        if fields.get(field) not in (*_UNSET, *plain):
            raise _refused(f"the model in this process does not know {field!r}", field)
    streams = _flag(fields, "stream")
    options = fields.get("stream_options") or {}
    if not isinstance(options, dict):
        raise _refused("stream_options takes an object", "stream_options")
    model = fields.get("model")
    return Wanted(
        messages=_messages(talk),
        new_tokens=_tokens(fields),
        model=model if isinstance(model, str) and model else name,
        streams=streams,
        with_usage=_flag(options, "include_usage"),
    )


def _messages(talk: Talk) -> tuple[dict[str, str], ...]:
    said = tuple(_message(each) for each in talk.messages)
    if not said or said[-1]["role"] != "user":
        raise _refused("the last message must be the user's", "messages")
    return said


def _message(message: Mapping[str, Any]) -> dict[str, str]:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise _refused(f"the model in this process knows no role {role!r:.40}", "messages")
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise _refused("the model in this process reads text alone", "messages")
    text = text_of(message)
    if not text.strip():
        raise _refused("a message has no text", "messages")
    return {"role": _ROLES[role], "content": text}


def _tokens(fields: Mapping[str, Any]) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value = fields.get(name)
        if value is None:
            continue
        known = isinstance(value, int) and not isinstance(value, bool)
        if not known or not 1 <= value <= _MOST_NEW_TOKENS:
            raise _refused(f"{name} takes a number from 1 on", name)
        return int(value)
    return _NEW_TOKENS


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise _refused(f"{name} takes true or false", name)
    return bool(value)


def _refused(message: str, param: str) -> RefusedError:
    return RefusedError(400, message, code="unsupported_value", param=param)
