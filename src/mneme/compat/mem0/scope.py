"""Whose memory it is: mem0's three ids as namespaces, and the checks that mem0 makes of them.

A user has a namespace; so has an agent that is named without a user, and a run without either. The
other ids are metadata there, and a run is the session, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from mneme.core.errors import CubeNotFoundError, InvalidInputError

ENTITIES = ("user_id", "agent_id", "run_id")
EXPIRES = "expiration_date"
_IDENTITIES = frozenset({*ENTITIES, "actor_id"})
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@-]")
_LONGEST = 300

logger = logging.getLogger(__name__)


class ValidationError(InvalidInputError):
    """What mem0 calls a validation error; here it is a ValueError, too.

    Attributes:
        error_code: As mem0 numbers them.
        details: What was given.
        suggestion: What to do.
    """

    def __init__(
        self, message: str, error_code: str, details: Mapping[str, Any], suggestion: str
    ) -> None:
        super().__init__(f"{message} {suggestion}")
        self.error_code, self.details, self.suggestion = error_code, dict(details), suggestion


class MemoryNotFoundError(CubeNotFoundError, ValueError):
    """No memory has this id; a ValueError, as mem0 raises it."""

    def __init__(self, memory_id: str) -> None:
        self.cube_id = memory_id
        InvalidInputError.__init__(
            self, f"Memory with id {memory_id} not found. Give the id of a memory."
        )


def entity_of(value: object, name: str) -> str | None:
    """One of the three ids, trimmed; numbers become strings.

    Raises:
        InvalidInputError: It is empty, or holds a space.
    """
    if value is None:
        return None
    trimmed = str(value).strip()
    if not trimmed:
        raise InvalidInputError(f"Invalid {name}: it is empty. Give an identifier.")
    if any(each.isspace() for each in trimmed):
        raise InvalidInputError(f"Invalid {name}: it holds a space. Give one without spaces.")
    if len(trimmed) > _LONGEST:
        raise InvalidInputError(f"Invalid {name}: more than {_LONGEST} characters.")
    return trimmed


def entities_of(**given: object) -> dict[str, str]:
    """Those of the three ids that were given.

    Raises:
        ValidationError: None was.
    """
    known = {name: entity_of(given.get(name), name) for name in ENTITIES}
    found = {name: value for name, value in known.items() if value is not None}
    if not found:
        raise ValidationError(
            "At least one of 'user_id', 'agent_id' or 'run_id' must be provided.",
            "VALIDATION_001",
            {"provided_ids": known},
            "Give one to say whose memory it is.",
        )
    return found


def owner_of(root: str, entities: Mapping[str, str]) -> str:
    """The namespace that keeps what is said of these ids."""
    name = next(each for each in ENTITIES if each in entities)
    return f"{root}/{name.removesuffix('_id')}/{_segment(entities[name])}"


def own_metadata(metadata: object, current: Mapping[str, Any], *, call: str) -> dict[str, Any]:
    """The caller's metadata without ids, which only arguments set; mem0 drops them likewise."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidInputError(f"metadata takes a dict, not {type(metadata).__name__}")
    for name in _IDENTITIES & metadata.keys():
        if metadata[name] != current.get(name):
            logger.warning("%s leaves out metadata[%r]: an id is set by its argument", call, name)
    return {name: value for name, value in metadata.items() if name not in _IDENTITIES}


def expiration_of(value: object) -> str | None:
    """The last day on which a memory is found, as YYYY-MM-DD."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise InvalidInputError("expiration_date takes a date such as 2027-01-31") from error
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise InvalidInputError("expiration_date takes a date such as 2027-01-31")


def moment_of(value: object, name: str) -> Any:  # noqa: ANN401 (what `at` takes)
    """A moment as mem0's platform takes it: seconds since 1970, or what Mneme takes."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise InvalidInputError(f"{name}: no such moment: {value!r}") from error
    return value


def _segment(name: str) -> str:
    """Any id as a segment of a namespace; two ids never become one."""
    return _UNSAFE.sub(lambda found: "".join(f":{b:02x}" for b in found[0].encode()), name)
