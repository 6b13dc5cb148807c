"""Several runs of keys and values, each computed apart, woven into one prompt.

In: a head whose keys and values are exact, and parts that were computed elsewhere or not at all.
Out: keys and values of the whole, for a session to go on from.

What follows the head as it was computed stays exact. Any other part is moved to its place, which is
an approximation: its tokens never saw what now stands before them. So some of them are computed
again, in one pass in which each sees all that stands before it (`mend`). A model for which this was
not proven is not to be composed for: see `proof`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mneme.core.engine import Layer
from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import join
from mneme.memories.activation.mend import Draft
from mneme.memories.activation.positions import ensure_movable, move, unrotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.mend import Mend


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A run of tokens of a prompt, and what is known of its keys and values.

    Attributes:
        tokens: At least one.
        kv: Of these tokens; None: not known, they are computed (text between two parts).
        start: Position of the first token for which the keys are rotated; None: unrotated.
        behind: All tokens that stood before when they were computed; None: unknown, so that the
            part counts as moved wherever it stands.
    """

    tokens: tuple[int, ...]
    kv: KV | None = None
    start: int | None = None
    behind: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """Keys and values of a whole prompt so far, in order of position, one for each position.

    Attributes:
        kv: The past of a session.
        position: Of the next token: how many tokens there are.
        exact: Whether all tokens saw what a plain run would have shown them.
        moved_tokens: Tokens that were computed elsewhere and are used as they are.
        recomputed_tokens: Tokens that were computed now, those without keys and values included.
    """

    kv: KV
    position: int
    exact: bool
    moved_tokens: int
    recomputed_tokens: int


def compose(
    engine: Engine,
    head: Sequence[int],
    head_kv: KV | None,
    parts: Sequence[Part],
    *,
    mend: Mend | None = None,
) -> Composed:
    """Keys and values of `head` and, after it, of each part in order.

    Args:
        engine: Which all keys and values are of.
        head: Tokens before the first part; may be empty.
        head_kv: Their exact keys and values; None if there are none.
        parts: What follows, in the order of the prompt. Nothing of them is changed.
        mend: Which moved tokens to compute again; None: none.

    Raises:
        InvalidInputError: Keys and values do not fit their tokens or the model.
        UnsuitedModelError: A part would have to be moved, but the model's keys cannot be.
    """
    _check(engine, head, head_kv, parts)
    draft = _draft(engine, head, head_kv, parts)
    if draft is None:
        return _plain(engine, [token for part in parts for token in part.tokens])
    due = set(_positions(draft.gaps))
    if mend is not None and draft.moved:
        due |= set(mend(engine, draft)) & set(_positions(draft.moved))
    stale = len(set(_positions(draft.moved)) - due)
    return Composed(
        kv=_recomputed(engine, draft, sorted(due)) if due else draft.kv,
        position=len(draft.tokens),
        exact=stale == 0,
        moved_tokens=stale,
        recomputed_tokens=len(due),
    )


def prefill_apart(engine: Engine, tokens: Sequence[int], *, behind: KV | None = None) -> Part:
    """Compute a part on its own, unrotated, for any place in any prompt.

    What is best to stand before it depends on the model: nothing, or a text that all prompts begin
    with; a lone begin token attracts attention that it will not get later.

    Args:
        engine: A model whose keys can be moved.
        tokens: At least one.
        behind: Keys and values of what stands before it, from position 0 on.

    Raises:
        UnsuitedModelError: The model's keys cannot be moved.
    """
    ensure_movable(engine)
    session = engine.session(behind, record=True)
    start = session.position
    session.feed(tokens)
    return Part(tokens=tuple(tokens), kv=unrotate(session.recorded(), engine, start))


def _draft(
    engine: Engine, head: Sequence[int], head_kv: KV | None, parts: Sequence[Part]
) -> Draft | None:
    """Everything at its place; None if nothing is known."""
    known = [] if head_kv is None else [head_kv]
    known += [part.kv for part in parts if part.kv is not None]
    if not known:
        return None
    tokens, pieces = list(head), [] if head_kv is None else [head_kv]
    moved: list[tuple[int, int]] = []
    gaps: list[tuple[int, int]] = []
    sure = len(tokens)
    for part in parts:
        at, end = len(tokens), len(tokens) + len(part.tokens)
        if part.kv is None:
            gaps.append((at, end))
            pieces.append(_zeros(known[0], len(part.tokens)))
        else:
            if part.start != at:
                ensure_movable(engine)
            pieces.append(move(part.kv, engine, part.start, at))
            if moved or not _continues(part, tokens):
                moved.append((at, end))
            elif sure == at:
                sure = end
        tokens += part.tokens
    kv = join(pieces, engine.device)
    return Draft(tokens=tuple(tokens), kv=kv, sure=sure, moved=tuple(moved), gaps=tuple(gaps))


def _continues(part: Part, tokens: Sequence[int]) -> bool:
    """Whether a part was computed behind exactly these tokens."""
    return part.behind is not None and list(part.behind) == list(tokens)


def _recomputed(engine: Engine, draft: Draft, due: list[int]) -> KV:
    """Compute tokens again: each sees all before it, and none the old copies of these tokens."""
    wanted = set(due)
    kept = [at for at in range(len(draft.tokens)) if at not in wanted]
    new = torch.tensor(due, device=engine.device)
    old = torch.tensor(kept, dtype=torch.long, device=engine.device)
    past = tuple(
        Layer(keys.index_select(1, old), values.index_select(1, old)) for keys, values in draft.kv
    )
    visible = torch.cat((old[None] < new[:, None], new[None] <= new[:, None]), dim=1)
    session = engine.session(past if kept else None, position=len(draft.tokens), record=True)
    session.feed_at([draft.tokens[at] for at in due], due, visible)
    return tuple(
        Layer(
            laid.keys.index_copy(1, new, fresh.keys), laid.values.index_copy(1, new, fresh.values)
        )
        for laid, fresh in zip(draft.kv, session.recorded(), strict=True)
    )


def _plain(engine: Engine, tokens: list[int]) -> Composed:
    session = engine.session(record=True)
    session.feed(tokens)
    return Composed(
        kv=session.recorded(),
        position=len(tokens),
        exact=True,
        moved_tokens=0,
        recomputed_tokens=len(tokens),
    )


def _positions(spans: Sequence[tuple[int, int]]) -> list[int]:
    return [at for first, end in spans for at in range(first, end)]


def _zeros(like: KV, tokens: int) -> KV:
    return tuple(
        Layer(
            keys.new_zeros(keys.shape[0], tokens, keys.shape[2]),
            values.new_zeros(values.shape[0], tokens, values.shape[2]),
        )
        for keys, values in like
    )


def _check(engine: Engine, head: Sequence[int], head_kv: KV | None, parts: Sequence[Part]) -> None:
    if bool(head) != (head_kv is not None):
        raise InvalidInputError("a head needs its keys and values, and these need their tokens")
    if not parts or not all(part.tokens for part in parts):
        raise InvalidInputError("there must be at least one part, and tokens in each")
    held = [(head, head_kv), *((part.tokens, part.kv) for part in parts)]
    for tokens, kv in held:
        if kv is None:
            continue
        if len(kv) != engine.layers:
            raise InvalidInputError(f"keys and values of {len(kv)} layers, not of {engine.layers}")
        if any(layer.keys.shape[1] != len(tokens) for layer in kv):
            raise InvalidInputError(f"keys and values do not fit the {len(tokens)} tokens")
