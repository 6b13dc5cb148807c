"""The arguments of mem0's calls, checked as mem0 checks them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mneme.compat.mem0.filters import Test, test_of
from mneme.compat.mem0.scope import ENTITIES, ValidationError, entity_of
from mneme.core.errors import InvalidInputError, UnknownArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

PROCEDURAL = "procedural_memory"
_FIELDS = ("role", "content", "name")

logger = logging.getLogger(__name__)


def said_of(messages: object) -> list[dict[str, Any]]:
    """The messages that become memories: all but those of the system.

    Raises:
        ValidationError: It is no text, message or list.
        InvalidInputError: A message holds an image: nothing here reads it.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    elif isinstance(messages, Mapping):
        messages = [messages]
    elif not isinstance(messages, list):
        raise ValidationError(
            "messages must be str, dict, or list[dict].",
            "VALIDATION_003",
            {"provided_type": type(messages).__name__},
            "Give a text, a message or a list of messages.",
        )
    return [_message(each) for each in messages if _is_said(each)]


def _is_said(message: object) -> bool:
    if isinstance(message, Mapping):
        role, content = message.get("role"), message.get("content")
        if role is not None and content is not None:
            return bool(role != "system")
    logger.warning("add() leaves out what is no message with a role and a content")
    return False


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if not isinstance(content, str):
        parts = content if isinstance(content, Sequence) else [content]
        for part in parts:
            if not (isinstance(part, Mapping) and part.get("type", "text") == "text"):
                raise InvalidInputError("a message holds an image; only its text can be kept")
    return {name: message[name] for name in _FIELDS if message.get(name) is not None}


def wanted_of(filters: object) -> tuple[Test, dict[str, str]]:
    """What a filter asks of a memory, and the ids in it, trimmed.

    Raises:
        InvalidInputError: None of the three ids is in it.
    """
    if filters is not None and not isinstance(filters, Mapping):
        raise InvalidInputError(f"filters take a dict, not {type(filters).__name__}")
    known = dict(filters or {})
    entities: dict[str, str] = {}
    for name in ENTITIES:
        value = entity_of(known.get(name), name)
        if value is not None:
            known[name] = entities[name] = value
    if not entities:
        raise InvalidInputError(
            "filters must contain at least one of: user_id, agent_id, run_id. "
            "Example: filters={'user_id': 'u1'}"
        )
    return test_of(known), entities


def query_of(query: object) -> str:
    """A question, trimmed."""
    if not isinstance(query, str) or not query.strip():
        raise InvalidInputError("Invalid query: must be a non-empty string.")
    return query.strip()


def check_count(top_k: object, *, most: int | None = None) -> None:
    """How many to give back."""
    if not isinstance(top_k, int) or isinstance(top_k, bool):
        raise InvalidInputError("top_k must be a valid integer")
    if top_k < 0 or (most is not None and top_k > most):
        end = "" if most is None else f" of at most {most}"
        raise InvalidInputError(f"Invalid top_k: {top_k}. Must be a non-negative integer{end}.")


def check_threshold(threshold: object) -> None:
    """The least score."""
    if threshold is None:
        return
    if not isinstance(threshold, int | float):
        raise InvalidInputError("threshold must be a valid number")
    if not 0 <= threshold <= 1:
        raise InvalidInputError(f"Invalid threshold: {threshold}. Must be between 0 and 1.")


def check_flag(value: object, name: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} takes true or false, not {value!r:.80}")


def check_kind(memory_type: object, agent_id: object, prompt: object) -> None:
    """What `add` of mem0 has a model do, and is not done here."""
    if prompt is not None:
        raise InvalidInputError("prompt is not used: Mneme has its own wording for its model")
    if memory_type is None:
        return
    if memory_type != PROCEDURAL:
        raise ValidationError(
            f"Invalid 'memory_type': {memory_type!r}.",
            "VALIDATION_002",
            {"provided_type": memory_type, "valid_type": PROCEDURAL},
            f"Use '{PROCEDURAL}', or leave it out.",
        )
    if agent_id is not None:
        raise InvalidInputError(
            "procedural_memory is not written here; give runs of an agent to Namespace.learn"
        )


def refuse_more(call: str, given: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse what a call does not have, and ids that belong into its filters."""
    for name in given:
        if name in ENTITIES:
            raise InvalidInputError(
                f"Top-level entity parameters {{{name!r}}} are not supported in {call}(). "
                "Use filters={'user_id': '...'} instead."
            )
        raise UnknownArgumentError(f"{call}()", name, known)
