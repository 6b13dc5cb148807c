"""EM-LLM: recall whole episodes, cut where the model was surprised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import tokens_in
from mneme.memories.activation.policies.choice import SINKS, check
from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.stages import narrow_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held
    from mneme.memories.activation.policies.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class EMLLM:
    """Episodes that are like the question, and those next to them, in the order of likeness.

    A token starts an episode where its surprise is above mean + `gamma` deviations of the tokens
    before it; each boundary then moves to where the keys on its two sides are least alike
    (conductance). At the question, each layer ranks episodes by the products of their most alike
    keys with the question's queries; an episode brings its neighbours. What is ranked last is cut
    to the budget. The paper retrieves anew for each token of an answer; this is done once.

    Needs the surprise of the tokens, kept from the build, and the whole memory.

    Attributes:
        gamma: How rare a boundary is.
        window: Tokens before a token whose surprise it is compared with.
        most: Most tokens of an episode.
        speakers: Tokens that stand for an episode: those most like the question.
        neighbours: Episodes on each side that one brings.
        sinks: First tokens of the memory that always stay.
    """

    about: ClassVar[About] = About(
        name="em-llm", paper="EM-LLM, arXiv:2407.09450", stage="question", needs_surprise=True
    )
    gamma: float = 1.0
    window: int = 128
    most: int = 32
    speakers: int = 2
    neighbours: int = 1
    sinks: int = SINKS

    def narrow(
        self,
        engine: Engine,
        held: Held,
        position: int,
        question: Sequence[int],
        keep: float,
        *,
        surprise: Tensor | None = None,
    ) -> Held:
        check(engine, self.about.name, question, keep)
        tokens = tokens_in(held.kv)
        if surprise is None or surprise.shape != (tokens,):
            raise InvalidInputError(
                f"em-llm needs the surprise of all {tokens} tokens, kept from the build: "
                "surprise=surprise_of(engine, tokens)"
            )
        episode = self.episodes(held.kv, surprise)

        def score(sight: Sight) -> Tensor:
            return self._ranked(sight, episode.to(sight.keys.device))

        return narrow_by(engine, held, position, question, keep, score)

    def episodes(self, kv: KV, surprise: Tensor) -> Tensor:
        """int64 [tokens]: the number of the episode that each token belongs to, rising."""
        starts = _starts(surprise.float().cpu(), self.gamma, self.window, self.most)
        starts = refined(starts, likeness_of(kv), tokens_in(kv))
        marks = torch.zeros(tokens_in(kv), dtype=torch.int64)
        marks[starts] = 1
        return marks.cumsum(0) - 1

    def _ranked(self, sight: Sight, episode: Tensor) -> Tensor:
        """[kv heads, tokens], the same for each head: high for tokens of episodes ranked first."""
        heads, _, size = sight.own_keys.shape
        queries = sight.queries.float().reshape(heads, -1, size).mean(dim=1)
        alike = torch.einsum("hd,hnd->n", queries, sight.own_keys.float())
        number = int(episode[-1]) + 1
        order = _by_likeness(alike, episode, number, self.speakers).tolist()
        rank: dict[int, int] = {}
        for each in order:
            near = range(max(0, each - self.neighbours), min(number, each + self.neighbours + 1))
            for one in sorted(near, key=lambda other: abs(other - each)):
                rank.setdefault(one, len(rank))
        ranks = torch.tensor([rank[each] for each in range(number)], device=alike.device)
        score = -ranks[episode].float()
        score[: self.sinks] = 1.0
        return score.expand(sight.keys.shape[0], -1)


def _starts(surprise: Tensor, gamma: float, window: int, most: int) -> list[int]:
    """Where episodes start: 0, surprising tokens, and where one would be longer than `most`."""
    starts = [0]
    for at in range(1, len(surprise)):
        before = surprise[max(0, at - window) : at]
        spread = float(before.std(correction=0))
        surprising = float(surprise[at]) > float(before.mean()) + gamma * spread
        if surprising or at - starts[-1] >= most:
            starts.append(at)
    return starts


def refined(starts: list[int], alike: Callable[[int, int], Tensor], tokens: int) -> list[int]:
    """Boundaries, each moved to where the two episodes beside it hang together least.

    Args:
        starts: Where episodes start, rising, from 0.
        alike: Of the tokens from one to another, [tokens, tokens], 0 to 1.
        tokens: How many there are.
    """
    moved = list(starts)
    for number in range(1, len(starts)):
        left = moved[number - 1]
        right = starts[number + 1] if number + 1 < len(starts) else tokens
        sums = functional.pad(alike(left, right).double().cumsum(0).cumsum(1), (1, 0, 1, 0))
        middle = torch.arange(1, starts[number] + 1 - left)
        moved[number] = left + 1 + int(conductances(sums, middle).argmin())
    return moved


def likeness_of(kv: KV) -> Callable[[int, int], Tensor]:
    """How alike the keys of a run of tokens are: mean of layers and heads, 0 to 1."""
    units = [functional.normalize(layer.keys.float(), dim=-1).cpu() for layer in kv]

    def between(start: int, stop: int) -> Tensor:
        parts = [unit[:, start:stop] for unit in units]
        return (torch.stack([(part @ part.mT).mean(dim=0) for part in parts]).mean(dim=0) + 1) / 2

    return between


def conductances(sums: Tensor, at: Tensor) -> Tensor:
    """Likeness across each boundary, as a share of the likeness within its weaker side.

    Args:
        sums: [tokens + 1, tokens + 1], sums of likeness over [:row, :column].
        at: int64, where the second side starts.
    """
    end = sums.shape[0] - 1
    first = sums[at, at]
    across = sums[at, end] - first
    second = sums[end, end] - sums[at, end] - sums[end, at] + first
    return across / torch.minimum(first, second).clamp_min(1e-12)


def _by_likeness(alike: Tensor, episode: Tensor, number: int, speakers: int) -> Tensor:
    """int64 [episodes]: the most alike first, each by the mean of its best tokens."""
    means = torch.empty(number)
    for each in range(number):
        own = alike[episode == each]
        means[each] = own.topk(min(speakers, len(own))).values.mean()
    return means.argsort(descending=True, stable=True)
