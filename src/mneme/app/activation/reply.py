"""What `chat` gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.memories.activation.ledger import Timings
    from mneme.recall.context import Context

Carrier = Literal["text", "activation", "parametric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """One memory that went into a prompt.

    Attributes:
        carrier: How it went in.
        cube_id: The cube that carried it.
        sources: Ids of the cubes whose text it says; the cube itself for text.
        tokens: Of the prompt.
        reason: Why it went in, and in that way.
    """

    carrier: Carrier
    cube_id: str
    sources: tuple[str, ...]
    tokens: int
    reason: str

    def __str__(self) -> str:
        if self.carrier == "parametric":  # no token of the prompt says it
            return self.reason
        return f"{self.carrier} {self.cube_id}: {self.tokens} tokens, {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and where it came from.

    Attributes:
        text: The answer.
        plan: Which memory went in, and as what, in the order of the prompt.
        timings: What it cost and what memory saved.
        context: What was recalled as text.
        session: Where the exchange was remembered; None if it was not.
    """

    text: str
    plan: tuple[PlanItem, ...]
    timings: Timings
    context: Context
    session: str | None = None

    def __str__(self) -> str:
        return self.text


def recalled_items(context: Context, count: Callable[[str], int]) -> list[PlanItem]:
    """What went in as recalled text, in the order of the prompt; `count` gives tokens."""
    hits = {hit.cube.id: hit for hit in context.hits}
    return [
        PlanItem(
            carrier="text",
            cube_id=cited.cube_id,
            sources=(cited.cube_id,),
            tokens=count(hits[cited.cube_id].cube.text[cited.start : cited.end]),
            reason=f"recalled for the question, rank {hits[cited.cube_id].rank}",
        )
        for cited in context.citations
    ]
