"""Put what was computed elsewhere into a prompt whose exact beginning ends before it.

A stated approximation (EPIC, arXiv:2410.15332, or whatever `mend` is given): a promoted text was
computed behind the head of a prompt of its own; here other texts stand before it. Its keys are
turned to its place, and some of its tokens are computed again. Used only for an engine for which
`proof` says that answers stay what they are.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.activation.compose import Part, compose
from mneme.memories.activation.keys import tokens_of
from mneme.memories.activation.kv import Held, cut, join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.core.rows import BlockRow
    from mneme.memories.activation.memory import ActivationMemory, Opening
    from mneme.memories.activation.mend import Mend

_EDGE: Final = 8  # tokens at the ends of a text that may be cut otherwise among other texts
_LEAST: Final = 32  # tokens that are worth being moved


class Piece(NamedTuple):
    """A text at its place in a prompt, and its run elsewhere.

    start, end: Of the text, in tokens of the prompt.
    rows: The blocks of a run, from its first token on, in which the text is the last.
    """

    start: int
    end: int
    rows: Sequence[BlockRow]


class _Moved(NamedTuple):
    """What goes to another place: parts of the prompt, blocks that were read, tokens by tier."""

    parts: list[Part]
    rows: list[BlockRow]
    by_tier: dict[str, int]


class _Aligned(NamedTuple):
    """Equal tokens: from `own` on in the run, from `start` to `end` in the prompt."""

    own: int
    start: int
    end: int


def weave(
    memory: ActivationMemory,
    opening: Opening,
    tokens: Sequence[int],
    pieces: Sequence[Piece],
    mend: Mend | None,
) -> Opening:
    """An opening that covers more of a prompt; the same one where nothing can be moved.

    Args:
        memory: Of the engine.
        opening: What was found exactly.
        tokens: The whole prompt.
        pieces: In the order of the prompt.
        mend: Which moved tokens to compute again.

    Raises:
        UnsuitedModelError: The model's keys cannot be moved.
    """
    begun = perf_counter()
    moved = _parts(memory, opening, tokens, pieces)
    if not moved.rows:
        return opening
    head = list(tokens[: opening.tokens])
    composed = compose(
        memory.engine,
        head,
        None if opening.held is None else opening.held.kv,
        moved.parts,
        mend=mend,
    )
    session = memory.engine.session(composed.kv, position=composed.position, record=True)
    return replace(
        opening,
        session=session,
        tokens=composed.position,
        held=Held(composed.kv),
        rows=(*opening.rows, *moved.rows),
        by_tier=_sum(opening.by_tier, moved.by_tier),
        woven_tokens=composed.moved_tokens,
        computed_tokens=composed.recomputed_tokens,
        load_s=opening.load_s + perf_counter() - begun,
        built_s=opening.built_s + sum(row.cost_s for row in moved.rows),
        loaded_bytes=opening.loaded_bytes + sum(row.size for row in moved.rows),
    )


def _parts(
    memory: ActivationMemory, opening: Opening, tokens: Sequence[int], pieces: Sequence[Piece]
) -> _Moved:
    parts: list[Part] = []
    moved = _Moved(parts, [], {})
    at = opening.tokens
    for piece in pieces:
        run = [token for row in piece.rows for token in tokens_of(row.tokens)]
        aligned = _align(run, tokens, max(piece.start, at), piece.end)
        if aligned is None:
            continue
        fetched = memory.tiers.fetch(piece.rows)
        held = [each.kv for each in fetched.held if each is not None and each.positions is None]
        if len(held) < len(piece.rows):
            continue
        if aligned.start > at:
            parts.append(Part(tokens=tuple(tokens[at : aligned.start])))
        stop = aligned.own + aligned.end - aligned.start
        parts.append(
            Part(
                tokens=tuple(tokens[aligned.start : aligned.end]),
                kv=cut(join(held), aligned.own, stop),
                start=aligned.own,
                behind=tuple(run[: aligned.own]),
            )
        )
        moved.rows.extend(piece.rows)
        for row, tier in zip(piece.rows, fetched.tier, strict=True):
            end = row.start + len(row.tokens) // 4
            used = min(end, stop) - max(row.start, aligned.own)
            if used > 0:
                moved.by_tier[str(tier)] = moved.by_tier.get(str(tier), 0) + used
        at = aligned.end
    return moved


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {tier: one.get(tier, 0) + other.get(tier, 0) for tier in (*one, *other)}


def _align(run: Sequence[int], tokens: Sequence[int], start: int, end: int) -> _Aligned | None:
    """The longest run of equal tokens that ends near the ends of both; None if it is short."""
    best: _Aligned | None = None
    for own_end in range(len(run), max(0, len(run) - _EDGE), -1):
        for stop in range(end, max(start, end - _EDGE), -1):
            same = _equal_before(run, own_end, tokens, stop, start)
            if best is None or same > best.end - best.start:
                best = _Aligned(own_end - same, stop - same, stop)
    if best is None or best.end - best.start < _LEAST:
        return None
    return best


def _equal_before(
    run: Sequence[int], own_end: int, tokens: Sequence[int], stop: int, start: int
) -> int:
    same = 0
    while same < min(own_end, stop - start) and run[own_end - same - 1] == tokens[stop - same - 1]:
        same += 1
    return same
