"""The arguments of `chat` and `promote`, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.ingest import checks
from mneme.memories.activation.forms import CODECS
from mneme.transform.text_to_kv import Order

if TYPE_CHECKING:
    from mneme.app.activation.reply import Reply
    from mneme.ingest.reader import Limits

    Said = list[dict[str, str]]

_MOST_NEW_TOKENS = 1 << 20


def said_of(messages: object, limits: Limits) -> Said:
    """A conversation of which the last message is the user's question.

    Args:
        messages: The question, a message, or a list of messages {"role", "content"}.
        limits: Of one message.
    """
    if isinstance(messages, str | Mapping):
        messages = [messages]
    if not isinstance(messages, Iterable):
        raise InvalidInputError("messages takes a question, or a list of {'role', 'content'}")
    said = [_message_of(each, limits) for each in messages]
    if not said or said[-1]["role"] != "user":
        raise InvalidInputError("the last message must be the user's question")
    return said


def new_tokens_of(value: object) -> int:
    """How many tokens an answer may have."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_NEW_TOKENS:
        raise InvalidInputError(f"max_new_tokens takes a number from 1 on, not {value!r:.80}")
    return value


def carrier_of(value: object) -> str:
    """Where to promote to."""
    if value not in {"activation", "parametric"}:
        raise InvalidInputError(f"to takes 'activation' or 'parametric', not {value!r:.80}")
    return str(value)


def share_of(value: object, *, name: str) -> float:
    """A share above 0 and up to 1."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:  # type: ignore[operator]
        raise InvalidInputError(f"{name} takes a share above 0 and up to 1, not {value!r:.80}")
    return float(value)  # type: ignore[arg-type]


def order_of(codec: object, policy: object, keep: object, *, sentences: bool = False) -> Order:
    """How to build.

    Raises:
        InvalidInputError: No such codec or policy, or a share without a policy.
    """
    if not isinstance(codec, str):
        raise InvalidInputError(f"codec takes a name, not {codec!r:.80}")
    if codec not in CODECS:
        raise InvalidInputError(f"codec takes one of {', '.join(CODECS)}, not {codec!r:.80}")
    share = share_of(keep, name="keep")
    if policy is None:
        if share < 1:
            raise InvalidInputError("keep needs a policy, such as policy='leverage'")
        return Order(codec=codec, sentences=sentences)
    if not isinstance(policy, str):
        raise InvalidInputError(f"policy takes a name, not {policy!r:.80}")
    if sentences:
        raise InvalidInputError("an index of sentences needs every token: give no policy")
    from mneme.memories.activation.policies import build_policy

    about = build_policy(policy).about  # says which there are
    if about.exact:
        if share < 1:
            raise InvalidInputError(f"policy {policy!r} leaves nothing out: give no keep")
        return Order(codec=codec, policy=policy, exact=True)
    if not about.frees_bytes:
        raise InvalidInputError(f"policy {policy!r} frees no bytes: there is nothing to gain here")
    return Order(codec=codec, policy=policy, keep=share)


def kept_in(reply: Reply, session: str) -> Reply:
    """A reply that was remembered."""
    return replace(reply, session=session)


def _message_of(value: object, limits: Limits) -> dict[str, str]:
    if isinstance(value, str):
        value = {"role": "user", "content": value}
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"a message is {{'role', 'content'}}, not {type(value).__name__}")
    role = checks.role_of(value.get("role", "user"))
    content = checks.text_of(value.get("content"), name="content", max_bytes=limits.document_bytes)
    return {"role": role, "content": content}
