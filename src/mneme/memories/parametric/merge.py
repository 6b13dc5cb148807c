"""Several low-rank adapters of one base become one.

A merged adapter must pass the gate again: its parts were each written as if they were alone, and
disturb each other. On the judge two shards of 25 facts did not pass it in any way; what stays and
what other ways of peft do is in benchmarks/parametric_merge.py. Left out are those that work on the
small matrices themselves (linear, TIES, DARE), which break facts, and DARE on the changes, which
leaves to chance what "svd" does as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.low_rank import Change, adapter_of, balanced, changes_of, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.memories.parametric.adapter import Adapter

How = Literal["svd", "ties_svd", "cat"]
HOW: Final = ("svd", "ties_svd", "cat")
_EXACT = 1_024  # up to this many rows or columns a dense SVD is computed in full


def merge(
    adapters: Sequence[Adapter],
    how: How = "svd",
    *,
    rank: int | None = None,
    weights: Sequence[float] | None = None,
    density: float = 0.5,
    seed: int = 0,
) -> Adapter:
    """One adapter from several; none of them changes.

    Args:
        adapters: One or more of carrier "lora", of one base; ranks and layers may differ.
        how: "cat": the exact sum of their changes; ranks add.
            "svd": the nearest to that sum of a chosen rank.
            "ties_svd": TIES (arXiv:2306.01708) of the changes, then the nearest of a chosen rank:
            of each change only the largest numbers stay, those against the majority's sign go,
            the mean of the others is taken. Layer by layer it builds the full matrices.
        rank: Of the result; None: the highest of theirs. "cat" takes none.
        weights: One for each; None: 1 each.
        density: Share of the numbers that "ties_svd" keeps of each change, in (0, 1].
        seed: Of the random projections by which "ties_svd" decomposes large layers.

    Raises:
        InvalidInputError: Nothing to merge, other bases, an unknown way, or a setting that is out
            of range.
    """
    scales = _checked(adapters, how, rank, weights)
    if not 0 < density <= 1:
        raise InvalidInputError(f"density must be above 0 and at most 1, not {density}")
    parts = [changes_of(adapter) for adapter in adapters]
    cut = rank or max(len(f.down) for part in parts for f in part.values())
    merged = {}
    for layer in dict.fromkeys(name for part in parts for name in part):
        pairs = [(p[layer], w) for p, w in zip(parts, scales, strict=True) if layer in p]
        if how == "ties_svd":
            merged[layer] = _nearest(_ties(pairs, density), cut, seed)
        else:
            total = stacked([Change(part.down, part.up * weight) for part, weight in pairs])
            merged[layer] = total if how == "cat" else total.cut(cut)
    return adapter_of(merged, adapters)


def compose(adapters: Sequence[Adapter]) -> Adapter:
    """All of them on at once, for a session: the exact sum of their changes, equal weights."""
    return merge(adapters, "cat")


def _checked(
    adapters: Sequence[Adapter], how: str, rank: int | None, weights: Sequence[float] | None
) -> Sequence[float]:
    if not adapters:
        raise InvalidInputError("there is nothing to merge; give one or more adapters")
    if how not in HOW:
        raise InvalidInputError(f"there is no way {how!r} to merge; choose one of {', '.join(HOW)}")
    if len({adapter.base for adapter in adapters}) > 1:
        raise InvalidInputError("adapters of different bases cannot be merged; write them again")
    if rank is not None and (rank < 1 or how == "cat"):
        raise InvalidInputError("rank must be 1 or more, and 'cat' takes none: its ranks add")
    if weights is not None and len(weights) != len(adapters):
        raise InvalidInputError(f"{len(weights)} weights for {len(adapters)} adapters")
    return [1.0] * len(adapters) if weights is None else weights


def _ties(pairs: Sequence[tuple[Change, float]], density: float) -> Tensor:
    """[outputs, inputs]: trim, elect signs, mean of those that agree."""
    trimmed = torch.stack([_trim((part.up @ part.down).float(), density) for part, _ in pairs])
    elected = torch.where(trimmed.sum(0) >= 0, 1.0, -1.0)
    agree = trimmed.sign() == elected
    weights = torch.tensor([weight for _, weight in pairs])[:, None, None]
    return (trimmed * weights * agree).sum(0) / agree.sum(0).clamp_min(1)


def _trim(change: Tensor, density: float) -> Tensor:
    kept = torch.zeros_like(change).flatten()
    at = change.abs().flatten().topk(max(1, int(density * change.numel()))).indices
    kept[at] = change.flatten()[at]
    return kept.view_as(change)


def _nearest(change: Tensor, rank: int, seed: int) -> Change:
    if min(change.shape) <= _EXACT:
        u, s, v = torch.linalg.svd(change.double(), full_matrices=False)
        return balanced(u[:, :rank], s[:rank], v[:rank])
    wanted = min(rank + 8, *change.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        u, s, right = torch.svd_lowrank(change, q=wanted, niter=4)
    return balanced(u[:, :rank].double(), s[:rank].double(), right[:, :rank].T.double())
