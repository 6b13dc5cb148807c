"""How far a memory is trusted: decided when it is written, passed to all that derives from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.provenance import UNTRUSTED_ORIGINS

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORIGIN_OF_ROLE = {"user": "user", "assistant": "assistant", "system": "user", "tool": "tool"}


def origin_of(role: str, type_: str) -> str:
    """The origin of what the caller did not name one for."""
    return "document" if type_ == "document" else _ORIGIN_OF_ROLE[role]


def trust_of(origin: str, sources: Iterable[str] = ()) -> str:
    """Untrusted if the origin is, or any of the sources is."""
    tainted = origin in UNTRUSTED_ORIGINS or "untrusted" in sources
    return "untrusted" if tainted else "trusted"
