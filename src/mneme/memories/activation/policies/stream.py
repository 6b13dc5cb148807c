"""A memory that is built piece by piece and never grows beyond a budget.

Each piece is computed against what was kept of those before it, so what is left out is not seen by
what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.memories.activation.kv import Held, cut, join, tokens_in
from mneme.memories.activation.policies.choice import rising, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine, Session


class Stream:
    """What is kept so far.

    Args:
        engine: By which tokens are computed.
        past: What stands before; it stays whole.
        position: Of the next token.

    Attributes:
        peak_tokens: Most tokens that its cache held at once, `past` included.
    """

    def __init__(self, engine: Engine, past: KV | None, position: int) -> None:
        self._engine, self._past, self._position = engine, past, position
        self._kv: KV = ()
        self._positions: Tensor | None = None
        self.peak_tokens = tokens_in(past or ())

    @property
    def first(self) -> int:
        """Columns of `past`."""
        return tokens_in(self._past or ())

    @property
    def kept(self) -> int:
        """Columns after those of `past`."""
        return tokens_in(self._kv)

    @property
    def heads(self) -> int:
        """Key-value heads, once something was absorbed."""
        return int(self._kv[0].keys.shape[0])

    def open(self) -> Session:
        """A session over all that is kept, to feed the next piece to."""
        before = [each for each in (self._past, self._kv) if each]
        past = join(before) if before else None
        return self._engine.session(past, position=self._position)

    def next_positions(self, tokens: int) -> Tensor:
        """int64 [layers, kv heads or 1, columns], once `tokens` more are fed."""
        line = torch.arange(self._position, self._position + tokens)
        if self._positions is None:
            return line.expand(self._engine.layers, 1, tokens)
        layers, heads, _ = self._positions.shape
        new = line.to(self._positions.device).expand(layers, heads, tokens)
        return torch.cat((self._positions, new), dim=-1)

    def absorb(self, session: Session, tokens: int) -> None:
        """Take what a session computed."""
        cached = session.cached()
        self.peak_tokens = max(self.peak_tokens, tokens_in(cached))
        new = rising(cached, self._position, tokens)
        whole = new if self._positions is None else torch.cat((self._positions, new), dim=-1)
        self._kv, self._positions = cut(cached, self.first, tokens_in(cached)), whole
        self._position += tokens

    def keep(self, chosen: Sequence[Tensor]) -> None:
        """Drop all columns but those chosen, of each layer int64 [kv heads, kept]."""
        assert self._positions is not None
        held = take(self._kv, self._positions, chosen)
        assert held.positions is not None
        self._kv, self._positions = held.kv, held.positions.to(torch.int64)

    def held(self) -> Held:
        """All that is kept."""
        assert self._positions is not None
        kv = join([self._kv])  # a copy of its own, not a view of a session's cache
        return Held(kv, self._positions.to(torch.int32).contiguous())
