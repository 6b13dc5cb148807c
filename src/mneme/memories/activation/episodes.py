"""A long conversation as episodes, each with a budget of its own; a question brings back a few.

In: tokens of successive turns, and a unit vector and a time for each turn.
Out: for each episode keys and values within a budget, and for a question the past of a session,
made of the episodes that are nearest to it.

After EpiCache (arXiv:2509.17396): episodes are built one at a time and block by block, so that the
cache never holds more than a budget and a block; a question is compared with the medoid of each. It
differs in two ways. An episode is a run of turns, not a cluster of turns from all over. And what is
kept of it is chosen by a policy that needs no question (`Leverage`), not by the attention of a
patched prompt, which on the judge models kept no more answers than a random choice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import Held, join, tokens_in
from mneme.memories.activation.policies.blockwise import Blockwise
from mneme.memories.activation.positions import ensure_movable, move, shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.policies.policy import BuildPolicy

GAP_S: Final = 3600.0  # silence that ends an episode
WINDOW: Final = 3  # turns on both sides that a change of topic is seen by
DEPTH: Final = 0.5  # standard deviations below the mean (TextTiling, Hearst 1997)
FLAT: Final = 0.02  # standard deviation below which nothing stands out


class Episode(NamedTuple):
    """Keys and values of one episode.

    held: What was kept; keys rotated for where it was built.
    tokens: Of the whole episode, what was left out included.
    start: Position of its first token.
    """

    held: Held
    tokens: int
    start: int


def cut_episodes(
    vectors: Any,  # noqa: ANN401 (an array)
    times: Sequence[float] | None = None,
    *,
    gap_s: float = GAP_S,
    window: int = WINDOW,
) -> list[range]:
    """Cut a conversation where it paused, or where its topic changed.

    The topic changes between two turns if the turns before are less like the turns after than
    usual, and less than anywhere near.

    Args:
        vectors: [turns, size], of length 1 each.
        times: Seconds, not falling; None: pauses are not known.
        gap_s: A longer pause ends an episode.
        window: Turns on either side that are compared.

    Returns:
        The turns of each episode; together all of them, in order.

    Raises:
        InvalidInputError: There is not one time for each vector.
    """
    rows = torch.as_tensor(vectors, dtype=torch.float32)
    if times is not None and len(times) != len(rows):
        raise InvalidInputError(f"{len(times)} times for {len(rows)} vectors; give one for each")
    edges = {0, len(rows)} | set(_changes(rows, window))
    if times is not None:
        edges |= {at for at in range(1, len(rows)) if times[at] - times[at - 1] > gap_s}
    return [range(first, end) for first, end in pairwise(sorted(edges))]


def medoid(vectors: Any) -> int:  # noqa: ANN401 (an array)
    """The vector that is nearest to the mean of all: [vectors, size], at least one."""
    rows = torch.as_tensor(vectors, dtype=torch.float32)
    return int((rows @ rows.mean(dim=0)).argmax())


def choose(medoids: Any, query: Any, limit: int) -> list[int]:  # noqa: ANN401 (arrays)
    """The episodes whose medoids are nearest to a question, in order of time.

    Args:
        medoids: [episodes, size], of length 1 each.
        query: [size], of length 1.
        limit: Most episodes.
    """
    rows = torch.as_tensor(medoids, dtype=torch.float32)
    near = rows @ torch.as_tensor(query, dtype=torch.float32)
    order = near.argsort(descending=True, stable=True)
    return sorted(order[:limit].tolist())


def build_episode(
    engine: Engine,
    head: KV | None,
    tokens: Sequence[int],
    budget_tokens: int,
    *,
    policy: BuildPolicy | None = None,
) -> Episode:
    """Compute an episode and keep no more than a budget of it.

    Args:
        engine: A model whose keys can be moved.
        head: Keys and values of what all prompts begin with; None: the episode is built alone.
        tokens: At least one.
        budget_tokens: Most tokens to keep, at least one. An episode that is not longer is kept
            whole, exactly.
        policy: By which the rest is left out; None: `Blockwise`, for which the cache never holds
            more than the head, the budget and one block.

    Raises:
        InvalidInputError: There are no tokens, or no budget.
        UnsuitedModelError: The model's keys cannot be moved.
    """
    ensure_movable(engine)
    if budget_tokens < 1 or not tokens:
        raise InvalidInputError("an episode needs a token at least, and a budget of one")
    start = tokens_in(head or ())
    if len(tokens) <= budget_tokens:
        session = engine.session(head, record=True)
        session.feed(tokens)
        return Episode(Held(session.recorded()), len(tokens), start)
    keep = budget_tokens / len(tokens)
    held = (policy or Blockwise()).thin(engine, tokens, keep, past=head, position=start)
    return Episode(held, len(tokens), start)


def place(engine: Engine, head: KV | None, episodes: Sequence[Episode]) -> tuple[KV, int]:
    """The past of a session: a head, and after it episodes, one after the other.

    What was left out keeps its place, so that distances within an episode are as they were. An
    episode that was built elsewhere than it now stands is an approximation, as in `compose`.

    Returns:
        Keys and values, and the position of the next token.

    Raises:
        InvalidInputError: There is nothing to place.
    """
    position = tokens_in(head or ())
    pieces = [] if head is None else [head]
    for episode in episodes:
        pieces.append(_at(engine, episode, position))
        position += episode.tokens
    if not pieces:
        raise InvalidInputError("there is neither a head nor an episode")
    return join(pieces, engine.device), position


def _at(engine: Engine, episode: Episode, position: int) -> KV:
    if episode.held.positions is None:
        return move(episode.held.kv, engine, episode.start, position)
    return shift(episode.held, engine, position - episode.start).kv


def _changes(rows: torch.Tensor, window: int) -> list[int]:
    """Turns with which a topic begins."""
    alike = [_alike(rows, at, window) for at in range(1, len(rows))]
    if len(alike) < 2:
        return []
    spread, mean = torch.tensor(alike).std(), torch.tensor(alike).mean()
    if spread < FLAT:
        return []
    low = float(mean - DEPTH * spread)
    return [
        number + 1
        for number, value in enumerate(alike)
        if value < low and value == min(alike[max(0, number - window + 1) : number + window])
    ]


def _alike(rows: torch.Tensor, at: int, window: int) -> float:
    """Cosine of the means of the turns before and after."""
    before, after = rows[max(0, at - window) : at].mean(0), rows[at : at + window].mean(0)
    return float(torch.nn.functional.cosine_similarity(before, after, dim=0))
