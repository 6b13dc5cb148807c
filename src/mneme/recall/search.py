"""A search from the question to the hits, and a context packed from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from mneme.core.clock import from_us
from mneme.recall.context import Context, Hit
from mneme.recall.pack import pack
from mneme.recall.rank import Question, rank
from mneme.recall.statements import is_open_to, standing_keys, with_statements
from mneme.recall.topic import topic_of
from mneme.vault.codec import cube_of
from mneme.vault.find import span_of
from mneme.vault.visible import holding, present, unretired, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from mneme.core.cube import MemCube
    from mneme.core.protocols import TokenCounter
    from mneme.core.rows import Shown
    from mneme.recall.rank import Learned, Mode, Ranked
    from mneme.vault.find import Indexes
    from mneme.vault.index.namespace import NamespaceIndex
    from mneme.vault.vault import Vault
    from mneme.vault.visible import Window

    Mask = npt.NDArray[np.bool_]
    Spans = Sequence[tuple[int, int]]

_NOTHING: Mapping[int, Spans] = MappingProxyType({})
_STATEMENTS = 8  # derived cubes that a context may choose from
_TYPES = ("fact", "preference", "event", "profile", "procedure", "note")


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
    learned: Learned | None = None  # what feedback taught (recall.learning)


class Searcher:
    """Searches namespaces of a vault."""

    def __init__(self, vault: Vault, counter: TokenCounter) -> None:
        self._vault, self.counter = vault, counter

    def search(self, path: str, asked: Asked) -> list[Hit]:
        """The cubes that answer a question best, best first."""
        question, degraded = self._question(asked)
        keys = self._vault.finder.matching(path, asked.window)
        with self._vault.finder.indexes(path, asked.window.as_of) as found:
            ground = visible(found.ground, asked.window, keys)
            ranked = _rank(found.ground, question, asked, ground)
            degraded |= question.vector is not None and found.ground.lacks_vectors(ground)
            if asked.window.derived:
                mask = visible(found.written, asked.window, keys)
                at = present(found.ground, asked.window)
                mask = holding(found.written, asked.window, mask, at)
                ranked = _merge(ranked, _rank(found.written, question, asked, mask))
        ranked = ranked[: asked.limit]
        if asked.min_score is not None:
            ranked = [each for each in ranked if each.score >= asked.min_score]
        return self._hits(path, asked, ranked, degraded=degraded)

    def recall(self, path: str, asked: Asked, budget_tokens: int) -> Context:
        """A context of at most so many tokens, with what always holds first."""
        hits = self.found(path, asked)
        return pack(hits, budget_tokens=budget_tokens, counter=self.counter)

    def found(self, path: str, asked: Asked) -> list[Hit]:
        """What a context is packed from, best first."""
        if asked.window.types is not None:
            return self.search(path, asked)
        return self.recalled(path, asked)

    def recalled(self, path: str, asked: Asked) -> list[Hit]:
        """What a context is chosen from: turns that still hold, statements, standing wishes."""
        question, degraded = self._question(asked)
        window = asked.window
        with self._vault.finder.indexes(path, window.as_of) as found:
            mask = visible(found.ground, window, None)
            at = present(found.ground, window)
            mask = unretired(found.ground, found.claims, window, mask, at)
            ranked = _rank(found.ground, question, asked, mask)
            degraded |= question.vector is not None and found.ground.lacks_vectors(mask)
            stated = self._stated(found, question, asked, at)
            wishes = standing_keys(found, window, at)
            at = at if window.valid_at is None else window.valid_at
            spans = {r.key: found.claims.closed_spans(r.key, at) for r in ranked}
        spans = {} if window.as_of is not None else spans
        hits = self._hits(path, asked, ranked, degraded=degraded, elided=spans)
        hits = [hit for hit in hits if is_open_to(hit.cube, asked.text)]
        hits = with_statements(hits, self._hits(path, asked, stated), asked.text)
        shown = {hit.cube.id for hit in hits}
        more = self._cubes(path, wishes, window)
        hits += [Hit(cube=c, score=0.0, rank=0) for c in more if c.id not in shown]
        return [replace(hit, rank=number) for number, hit in enumerate(hits, start=1)]

    def _stated(self, found: Indexes, question: Question, asked: Asked, at: int) -> list[Ranked]:
        """The derived statements that fit a question best."""
        window = replace(asked.window, types=_TYPES)
        mask = holding(found.written, window, visible(found.written, window, None), at)
        return _rank(found.written, question, replace(asked, limit=_STATEMENTS), mask)

    def _cubes(self, path: str, keys: Sequence[int], window: Window) -> list[MemCube]:
        found = self._vault.finder.read(path, keys, now=window.now, as_of=window.as_of)
        return [cube_of(each.row, path, each.text, each.uses) for each in found.values()]

    def _question(self, asked: Asked) -> tuple[Question, bool]:
        """The question with its vector, and whether that is missing although it was wanted."""
        embedding, vector, degraded = self._vault.parts.embedding, None, False
        if asked.mode != "lexical" and embedding.embedder is not None:
            made = embedding.make([topic_of(asked.text)], query=True)
            vector, degraded = (None, True) if made is None else (made[0], False)
        return Question(asked.text, vector, from_us(asked.now_us)), degraded

    def _hits(
        self,
        path: str,
        asked: Asked,
        ranked: Sequence[Ranked],
        *,
        degraded: bool = False,
        elided: Mapping[int, Spans] = _NOTHING,
    ) -> list[Hit]:
        found = self._vault.finder.read(
            path, [each.key for each in ranked], now=asked.window.now, as_of=asked.window.as_of
        )
        shown = [each for each in ranked if each.key in found]
        hits = [
            _hit(path, each, found[each.key], number, asked)
            for number, each in enumerate(shown, start=1)
        ]
        return [
            replace(hit, degraded=degraded, elided=tuple(elided.get(each.key, ())))
            for hit, each in zip(hits, shown, strict=True)
        ]


def _rank(index: NamespaceIndex, question: Question, asked: Asked, allowed: Mask) -> list[Ranked]:
    mode: Mode = "lexical" if question.vector is None else asked.mode
    return rank(
        index, question, allowed=allowed, limit=asked.limit, mode=mode,
        utility=index.column("utility"), learned=asked.learned,
    )  # fmt: skip


def _merge(one: list[Ranked], other: list[Ranked]) -> list[Ranked]:
    return sorted([*one, *other], key=lambda each: (-each.score, each.key))


def _hit(path: str, ranked: Ranked, found: Shown, number: int, asked: Asked) -> Hit:
    passage = int(ranked.signals.get("passage", -1))
    return Hit(
        cube=cube_of(found.row, path, found.text, found.uses),
        score=ranked.score,
        rank=number,
        scores=dict(ranked.signals) if asked.explain else None,
        span=span_of(found, passage),
    )
