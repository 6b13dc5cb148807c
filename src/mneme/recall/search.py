"""A search from the question to the hits, and a context packed from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mneme.core.clock import from_us
from mneme.memories.plaintext.apply import STANDING_TYPES
from mneme.recall.context import Context, Hit
from mneme.recall.pack import pack
from mneme.recall.rank import Question, rank
from mneme.vault.codec import cube_of
from mneme.vault.find import span_of
from mneme.vault.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from mneme.core.protocols import TokenCounter
    from mneme.core.rows import Shown
    from mneme.recall.rank import Mode, Ranked
    from mneme.vault.vault import Vault
    from mneme.vault.visible import Window

_STANDING = 12  # instructions and preferences that a context may begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and how to answer it."""

    text: str
    window: Window
    now_us: int  # what "last week" in the question refers to
    limit: int = 10
    mode: Mode = "hybrid"
    min_score: float | None = None
    explain: bool = False


class Searcher:
    """Searches namespaces of a vault."""

    def __init__(self, vault: Vault, counter: TokenCounter) -> None:
        self._vault, self._counter = vault, counter

    def search(self, path: str, asked: Asked) -> list[Hit]:
        """The cubes that answer a question best, best first."""
        vector, degraded = self._vector(asked)
        question = Question(asked.text, vector, from_us(asked.now_us))
        keys = self._vault.finder.matching(path, asked.window)
        with self._vault.finder.index(path, asked.window.as_of) as index:
            allowed = visible(index, asked.window, keys)
            mode: Mode = "lexical" if vector is None else asked.mode
            ranked = rank(
                index, question, allowed=allowed, limit=asked.limit, mode=mode,
                utility=index.column("utility"),
            )  # fmt: skip
            degraded = degraded or (vector is not None and index.lacks_vectors(allowed))
        if asked.min_score is not None:
            ranked = [each for each in ranked if each.score >= asked.min_score]
        return self._hits(path, asked, ranked, degraded=degraded)

    def recall(self, path: str, asked: Asked, budget_tokens: int) -> Context:
        """A context of at most so many tokens, with what always holds first."""
        hits = self.search(path, asked)
        if asked.window.types is None:
            hits += self._standing(path, asked, {hit.cube.id for hit in hits})
        return pack(hits, budget_tokens=budget_tokens, counter=self._counter)

    def _standing(self, path: str, asked: Asked, shown: set[str]) -> list[Hit]:
        """The newest wishes that always hold and that the question did not find by itself."""
        window = replace(asked.window, types=tuple(STANDING_TYPES), session=None)
        with self._vault.finder.index(path, window.as_of) as index:
            allowed = visible(index, window, None)
            keys = sorted(index.column("key")[allowed].tolist(), reverse=True)[:_STANDING]
        found = self._vault.finder.read(path, keys, now=window.now, as_of=window.as_of)
        cubes = [cube_of(each.row, path, each.text, each.uses) for each in found.values()]
        return [
            Hit(cube=cube, score=0.0, rank=asked.limit + number)
            for number, cube in enumerate(cubes, start=1)
            if cube.id not in shown
        ]

    def _vector(self, asked: Asked) -> tuple[npt.NDArray[np.float32] | None, bool]:
        """The question's vector, and whether it is missing although it was wanted."""
        embedding = self._vault.parts.embedding
        if asked.mode == "lexical" or embedding.embedder is None:
            return None, False
        made = embedding.make([asked.text], query=True)
        return (None, True) if made is None else (made[0], False)

    def _hits(
        self, path: str, asked: Asked, ranked: Sequence[Ranked], *, degraded: bool
    ) -> list[Hit]:
        found = self._vault.finder.read(
            path, [each.key for each in ranked], now=asked.window.now, as_of=asked.window.as_of
        )
        shown = [each for each in ranked if each.key in found]
        return [
            _hit(path, each, found[each.key], number, asked, degraded=degraded)
            for number, each in enumerate(shown, start=1)
        ]


def _hit(
    path: str, ranked: Ranked, found: Shown, number: int, asked: Asked, *, degraded: bool
) -> Hit:
    passage = int(ranked.signals.get("passage", -1))
    return Hit(
        cube=cube_of(found.row, path, found.text, found.uses),
        score=ranked.score,
        rank=number,
        scores=dict(ranked.signals) if asked.explain else None,
        degraded=degraded,
        span=span_of(found, passage),
    )
