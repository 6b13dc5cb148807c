"""A session whose cache is narrowed again and again while an answer grows.

In: a memory, a decode policy, a budget. Out: logits, as of a session. Between two narrowings each
new token's attention goes to the policy's tallies; at a narrowing the session is built anew from
what stays. Positions stay true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import Held, tokens_in
from mneme.memories.activation.policies.choice import check, columns, filled, rising
from mneme.memories.activation.policies.sight import attention_of, scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.activation.policies.policy import Budget, DecodePolicy


class Growing:
    """An answer in the making, in bounded memory.

    Args:
        engine: That made the memory.
        held: What the prompt begins with; None: nothing.
        position: Of the next token.
        policy: Says what stays.
        budget: How much. The cache holds so many tokens and `policy.every` more at most, once the
            prompt is narrowed for the first time.

    Attributes:
        narrowings: How often it was narrowed.
        peak_tokens: Most tokens that the cache held after the first narrowing.

    Raises:
        InvalidInputError: The budget has no room for a token.
        UnsuitedModelError: The model's cache cannot be thinned.
    """

    def __init__(
        self,
        engine: Engine,
        held: Held | None,
        position: int,
        policy: DecodePolicy,
        budget: Budget,
    ) -> None:
        check(engine, policy.about.name, (0,), 1.0)
        if budget.prompt_tokens < 1 or budget.answer_tokens < 1:
            raise InvalidInputError(f"a budget needs at least one token for each part: {budget}")
        self._engine, self._policy, self._budget = engine, policy, budget
        known = tokens_in(held.kv) if held else 0
        self._session = engine.session(held.kv if held else None, position=position)
        self._positions = _positions(held, position, known)
        self._prompt, self._since = known, 0
        self._tallies = [policy.tally() for _ in range(engine.layers)]
        self._scaling = scaling_of(engine)
        self.narrowings = self.peak_tokens = 0

    @property
    def position(self) -> int:
        """Of the next token."""
        return self._session.position

    @property
    def cached_tokens(self) -> int:
        """How many tokens the cache holds."""
        return tokens_in(self._session.cached())

    @property
    def positions(self) -> Tensor:
        """int64 [layers, kv heads, cached tokens]: where the cached tokens stand."""
        cached = self._session.cached()
        line = rising(cached, 0, 0) if self._positions is None else self._positions
        new = tokens_in(cached) - line.shape[-1]
        more = rising(cached, self.position - new, new)
        return torch.cat((line.to(more.device), more), dim=-1)

    def prompt(self, tokens: Sequence[int]) -> Tensor:
        """Feed the end of the prompt, such as the question; the cache is narrowed after it."""
        logits = self._feed(tokens)
        self._prompt = self.cached_tokens
        self._narrow()
        return logits

    def feed(self, tokens: Sequence[int]) -> Tensor:
        """Feed tokens of the answer; float32 [vocabulary], the logits after the last."""
        logits = self._feed(tokens)
        self._since += len(tokens)
        self.peak_tokens = max(self.peak_tokens, self.cached_tokens)
        if self._since >= self._policy.every:
            self._narrow()
        return logits

    def _feed(self, tokens: Sequence[int]) -> Tensor:
        def watch(layer: int, queries: Tensor, keys: Tensor, _values: Tensor) -> None:
            scaling = self._scaling or queries.shape[-1] ** -0.5
            weights = attention_of(queries, keys, scaling, 0, queries.shape[1])
            self._tallies[layer].see(weights.mean(dim=1))

        with torch.no_grad(), self._engine.observed(watch):
            logits: Tensor = self._session.feed(tokens)
        return logits

    def _narrow(self) -> None:
        self._since = 0
        chosen = [tally.choose(self._budget, self._prompt) for tally in self._tallies]
        count = max(each.shape[-1] for each in chosen)
        cached = self._session.cached()
        if count >= tokens_in(cached):
            return
        position, places = self.position, self.positions
        chosen = [filled(each, count, tokens_in(cached)) for each in chosen]
        for tally, at in zip(self._tallies, chosen, strict=True):
            tally.forget(at)
        kv = tuple(
            type(layer)(columns(layer.keys, at), columns(layer.values, at))
            for layer, at in zip(cached, chosen, strict=True)
        )
        kept = [where.gather(-1, at) for where, at in zip(places, chosen, strict=True)]
        self._positions = torch.stack(kept)
        self._prompt = min(int((at < self._prompt).sum(-1).min()) for at in chosen)
        self._session = self._engine.session(kv, position=position)
        self.narrowings += 1


def decode(growing: Growing, logits: Tensor, *, max_new_tokens: int, ends: int | None) -> list[int]:
    """Greedy tokens that follow `logits`, in bounded memory.

    Args:
        growing: To which the prompt was fed.
        logits: What its last feed gave.
        max_new_tokens: Most of them.
        ends: The token that ends an answer; it is not among the result.
    """
    answer: list[int] = []
    while len(answer) < max_new_tokens:
        token = int(logits.argmax())
        if token == ends:
            break
        answer.append(token)
        if len(answer) < max_new_tokens:
            logits = growing.feed((token,))
    return answer


def _positions(held: Held | None, position: int, known: int) -> Tensor | None:
    """int64 [layers, kv heads, tokens] of a memory."""
    if held is None or not known:
        return None
    if held.positions is None:
        return rising(held.kv, position - known, known)
    return held.positions.to(torch.int64)
