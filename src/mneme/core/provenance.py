"""Where a payload came from: spans of other cubes, who made it, how, and how far it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["user", "assistant", "tool", "document", "derived"]
Trust = Literal["trusted", "untrusted"]

ORIGINS: tuple[Origin, ...] = ("user", "assistant", "tool", "document", "derived")
UNTRUSTED_ORIGINS: frozenset[str] = frozenset({"tool", "document"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpan:
    """Characters `start` to `end` (exclusive) of one version of a cube."""

    cube_id: str
    version: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Origin, method, sources, actor and model of one version."""

    origin: str
    method: str  # "verbatim", "section", "edited", "extracted", "summarised", ...
    sources: tuple[SourceSpan, ...] = ()
    actor: str | None = None
    model: str | None = None
