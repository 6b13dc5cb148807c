"""What a question gets back: hits, and the context packed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.core.cube import MemCube


@dataclass(frozen=True, slots=True)
class Hit:
    """One cube found.

    Attributes:
        cube: The cube.
        score: Higher is better; comparable within one search only.
        rank: 1 for the best.
        scores: The signals behind the score, where they were asked for.
        degraded: Whether a part (the embedder) was down, so that the ranking is lexical alone.
        span: Characters of the cube's text where the best passage lies, where that is known.
        elided: Characters that a context leaves out: they say what holds no longer.
    """

    cube: MemCube
    score: float
    rank: int
    scores: Mapping[str, float] | None = None
    degraded: bool = False
    span: tuple[int, int] | None = None
    elided: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """What `[n]` in a context stands for: characters `start` to `end` of one version of a cube."""

    n: int
    cube_id: str
    version: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Context:
    """Memory made ready for a prompt.

    Attributes:
        text: Goes into a prompt as it is; empty if nothing fits or nothing was found.
        hits: The hits that are in the text, best first.
        tokens: Tokens of `text`, by the counter in use; never above the budget.
        citations: One for each hit, in the order of the text.
        degraded: Whether one of the hits given was found without the embedder.
    """

    text: str
    hits: tuple[Hit, ...] = ()
    tokens: int = 0
    citations: tuple[Citation, ...] = ()
    degraded: bool = False

    def to_messages(self) -> list[dict[str, str]]:
        """The text as one system message; no message if there is no text."""
        return [{"role": "system", "content": self.text}] if self.text else []
