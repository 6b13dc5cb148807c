"""Names of blobs: what every place can hold, and no path leads out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 200
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.@+-]{{0,{LONGEST - 1}}}", re.ASCII)


def fits(name: str) -> bool:
    """Whether it may be the name of a blob."""
    return _NAME.fullmatch(name) is not None


def checked(names: Iterable[str]) -> list[str]:
    """The names, if all may be used.

    Raises:
        InvalidInputError: One of them is empty, too long, or has other characters.
    """
    names = list(names)
    for name in names:
        if not fits(name):
            raise InvalidInputError(
                f"{name[:80]!r} is no name of a blob: 1 to {LONGEST} letters, digits and "
                "-_.@+, a letter or digit first"
            )
    return names
