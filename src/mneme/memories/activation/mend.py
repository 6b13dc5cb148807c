"""Which tokens of moved parts to compute again.

A moved part was computed without what now stands before it. Two answers to which of its tokens
suffer most: the first ones, which took the place of the beginning of a text (EPIC), or those whose
keys at an early layer differ most from what they should be (CacheBlend).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import cut

if TYPE_CHECKING:
    from mneme.core.engine import KV, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A prompt in the making, as a choice of what to compute again sees it.

    Attributes:
        tokens: All of them.
        kv: Of all of them; zeros where `gaps` says that they are not known.
        sure: How many of the first tokens are exact.
        moved: (first, after the last) position of each moved part, rising.
        gaps: The same of what is to be computed in any case.
    """

    tokens: tuple[int, ...]
    kv: KV
    sure: int
    moved: tuple[tuple[int, int], ...]
    gaps: tuple[tuple[int, int], ...]


class Mend(Protocol):
    """A choice of tokens to compute again.

    Attributes:
        name: What it is and its parameters: what was proven for one is proven for no other.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, engine: Engine, draft: Draft) -> list[int]:
        """Positions within the moved parts of a draft."""
        ...


@dataclass(frozen=True, slots=True)
class FirstTokens:
    """The first tokens of each moved part: LegoLink of EPIC (arXiv:2410.15332).

    Costs no forward pass to choose.

    Attributes:
        each: Tokens of a part, at least one.
    """

    each: int = 16

    def __post_init__(self) -> None:
        if self.each < 1:
            raise InvalidInputError(f"each must be at least 1, not {self.each}")

    @property
    def name(self) -> str:
        return f"first-{self.each}"

    def __call__(self, engine: Engine, draft: Draft) -> list[int]:
        return [
            at for first, end in draft.moved for at in range(first, min(first + self.each, end))
        ]


@dataclass(frozen=True, slots=True)
class MostDeviating:
    """The tokens whose keys at an early layer deviate most: CacheBlend (arXiv:2405.16444).

    A pass over all tokens behind the exact ones, that stops at that layer, gives the keys as they
    should be. Keys of layer 0 depend on no other token, so the first to tell anything is layer 1.

    Attributes:
        share: Of the moved tokens, above 0, to 1.
        layer: Whose keys are compared, as KV counts; of a model with fewer, the last.
    """

    share: float = 0.15
    layer: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidInputError(f"share must be above 0 and at most 1, not {self.share}")

    @property
    def name(self) -> str:
        return f"deviating-{self.share:g}-{self.layer}"

    def __call__(self, engine: Engine, draft: Draft) -> list[int]:
        moved = [at for first, end in draft.moved for at in range(first, end)]
        layer = min(self.layer, engine.layers - 1)
        true = keys_at(engine, draft, layer)
        places = torch.tensor(moved, device=true.device)
        old = draft.kv[layer].keys.index_select(1, places).float()
        off = (true.index_select(1, places - draft.sure).float() - old).square().sum(dim=(0, 2))
        most = off.topk(math.ceil(self.share * len(moved))).indices
        return sorted(places[most].tolist())


class _SeenError(Exception):
    """The layer was reached: ends a forward pass early."""


def keys_at(engine: Engine, draft: Draft, layer: int) -> torch.Tensor:
    """Keys of one layer as a plain run computes them, for the tokens behind the sure ones.

    The forward pass goes no further than to that layer.

    Returns:
        [key-value heads, tokens behind the sure ones, head size]
    """
    seen: list[torch.Tensor] = []

    def watch(number: int, queries: object, keys: torch.Tensor, values: object) -> None:
        if number == layer and keys.shape[1] == len(draft.tokens):  # long runs come in pieces
            seen.append(keys[:, draft.sure :].clone())
            raise _SeenError

    session = engine.session(cut(draft.kv, 0, draft.sure) if draft.sure else None)
    try:
        with engine.observed(watch):
            session.feed(draft.tokens[draft.sure :])
    except _SeenError:
        return seen[0]
    raise InvalidInputError(f"the model showed no attention of layer {layer}")
