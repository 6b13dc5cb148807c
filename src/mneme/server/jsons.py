"""JSON that comes as text: in a query parameter."""

from __future__ import annotations

import json
from typing import Any

from mneme.core.errors import InvalidInputError

_LONGEST = 65_536


def object_of(text: str | None, *, name: str) -> dict[str, Any] | None:
    """A JSON object as it is written; None for none.

    Raises:
        InvalidInputError: It is no JSON, or no object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):  # malformed, a number too long to read, or too deep
        value = None
    if not isinstance(value, dict):
        raise InvalidInputError(
            f'{name} takes a JSON object of {_LONGEST} characters at most: {{"type": "fact"}}'
        )
    return value
