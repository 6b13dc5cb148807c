"""SirLLM: keep the tokens that surprised the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mneme.memories.activation.policies.choice import SINKS, best, check, kept_of, protected
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stream import Stream
from mneme.memories.activation.policies.surprise import overhear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class SirLLM:
    """Token entropy, which is -log p of each token as it was read, with decay from round to round.

    All layers and heads keep the same tokens. The text streams in rounds; after each, the cache is
    cut to its budget, and what was read before counts less. A round is a fixed number of tokens
    here, a turn of a conversation in the paper; kept tokens stay at their true positions, where
    the paper moves them together.

    Attributes:
        round_tokens: Size of a round.
        decay: By which the entropy of what was read before is multiplied at each round.
        sinks: First tokens of a prompt that always stay.
    """

    about: ClassVar[About] = About(name="sirllm", paper="SirLLM, arXiv:2405.12528", stage="build")
    round_tokens: int = 256
    decay: float = 0.9
    sinks: int = SINKS

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        check(engine, self.about.name, tokens, keep)
        budget = kept_of(len(tokens), keep)
        stream = Stream(engine, past, position)
        entropy = torch.zeros(0)
        for start in range(0, len(tokens), self.round_tokens):
            read = tokens[start : start + self.round_tokens]
            session = stream.open()
            with overhear(engine, read) as heard:
                session.feed(read)
            stream.absorb(session, len(read))
            new: Tensor = heard()
            entropy = torch.cat((entropy.to(new.device) * self.decay, new))
            if stream.kept > budget:
                entropy = self._cut(stream, entropy, budget, engine.layers)
        return stream.held()

    def _cut(self, stream: Stream, entropy: Tensor, budget: int, layers: int) -> Tensor:
        """Leave out what is beyond the budget; the entropy of what stays."""
        sinks = self.sinks if stream.first == 0 else 0
        chosen = best(protected(entropy[None], sinks=sinks), budget)
        heads = stream.heads
        stream.keep([chosen.expand(heads, -1)] * layers)
        return entropy[chosen[0]]
