"""Messages to the tokens of a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateError

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Message = Mapping[str, Any]

_REFUSES = (TemplateError, TypeError, ValueError, KeyError, AttributeError)


def render(tokenizer: Any, messages: Sequence[Message]) -> list[int]:  # noqa: ANN401
    """Tokens of the whole prompt, ready for an answer.

    Raises:
        InvalidInputError: There are no messages, or the template refuses them.
    """
    messages = [_checked(message) for message in messages]
    if not messages:
        raise InvalidInputError("there are no messages; give at least one")
    if getattr(tokenizer, "chat_template", None) is None:
        return _plain(tokenizer, messages)
    try:
        return _by_template(tokenizer, messages)
    except _REFUSES as error:
        if messages[0]["role"] != "system":
            raise _refused(error) from error
    try:
        return _by_template(tokenizer, _system_as_user(messages))
    except _REFUSES as error:
        raise _refused(error) from error


def _checked(message: Message) -> Message:
    if not isinstance(message.get("role"), str) or not isinstance(message.get("content"), str):
        raise InvalidInputError("a message needs a role and a content, both text")
    return message


def _refused(error: Exception) -> InvalidInputError:
    return InvalidInputError(f"the model's chat template refuses these messages: {error}")


def _by_template(tokenizer: Any, messages: Sequence[Message]) -> list[int]:  # noqa: ANN401
    text = tokenizer.apply_chat_template(
        [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
    )
    return _tokens(tokenizer, text, special=False)  # the template says which special ones it wants


def _system_as_user(messages: Sequence[Message]) -> list[Message]:
    """The system's text at the head of the first message of the user."""
    system, *rest = messages
    for at, message in enumerate(rest):
        if message["role"] == "user":
            both = "\n\n".join(filter(None, (system["content"], message["content"])))
            return [*rest[:at], {**message, "content": both}, *rest[at + 1 :]]
    return [{"role": "user", "content": system["content"]}, *rest]


def _plain(tokenizer: Any, messages: Sequence[Message]) -> list[int]:  # noqa: ANN401
    text = "\n".join(message["content"] for message in messages if message["content"])
    tokens = _tokens(tokenizer, text, special=False)
    begin = tokenizer.bos_token_id
    return tokens if begin is None or tokens[:1] == [begin] else [begin, *tokens]


def _tokens(tokenizer: Any, text: str, *, special: bool) -> list[int]:  # noqa: ANN401
    found = tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
    return [int(token) for token in found]
