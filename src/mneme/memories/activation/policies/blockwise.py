"""Blockwise: build in blocks, thin after each, so that the cache never exceeds a budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from mneme.memories.activation.policies.choice import best, check, kept_of
from mneme.memories.activation.policies.leverage import Leverage
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.sight import Span, observe
from mneme.memories.activation.policies.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


class Scorer(Protocol):
    """What can score a layer as it sees it: any policy of this package with `score`."""

    def score(self, sight: Sight) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Built:
    """A memory, and what its building took.

    Attributes:
        held: What was kept.
        peak_tokens: Most tokens that the cache held at once.
    """

    held: Held
    peak_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blockwise:
    """Blockwise prefill with another policy's scores, leverage if none is named.

    The cache holds `past`, the budget and one block at most. As in EpiCache and KeyDiff, a block
    sees only what was kept of the blocks before it. With nothing left out this is a prefill in
    parts, exact but for rounding.

    Attributes:
        block_tokens: Size of a block.
        scorer: Says what stays.
    """

    about: ClassVar[About] = About(
        name="blockwise", paper="EpiCache's blockwise prefill, arXiv:2509.17396", stage="build"
    )
    block_tokens: int = 64
    scorer: Scorer = field(default_factory=Leverage)

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        return self.build(engine, tokens, keep, past=past, position=position).held

    def build(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Built:
        """As `thin`, and says what it took."""
        check(engine, self.about.name, tokens, keep)
        budget = kept_of(len(tokens), keep)
        stream = Stream(engine, past, position)
        for start in range(0, len(tokens), self.block_tokens):
            block = tokens[start : start + self.block_tokens]
            session = stream.open()
            span = Span(stream.next_positions(len(block)), stream.first)
            scores = observe(engine, session, block, self.scorer.score, span)
            stream.absorb(session, len(block))
            if stream.kept > budget:
                stream.keep([best(of, budget) for of in scores])
        return Built(stream.held(), stream.peak_tokens)
