"""Evidence for a step: searches for a question, then for what they left open.

Each search is a `recall`, which leaves out what is superseded. What an older question found stays
in the pool as long as its cube is as it was; it comes back only for what the newest question asks
and nothing newer says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from mneme.core.clock import from_us
from mneme.recall import asking, learning
from mneme.recall.working.evidence import Pool, asks_of, words_for
from mneme.vault.read import LISTED
from mneme.vault.visible import Window, present

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mneme.app.shared import Shared
    from mneme.core.rows import Shown
    from mneme.recall.context import Hit
    from mneme.recall.working.evidence import Ask, Read
    from mneme.recall.working.tiers import Tier


@dataclass(frozen=True, slots=True)
class Evidence:
    """What memory says for a question.

    Attributes:
        text: Goes into a prompt as data; empty where the window says it all, or nothing is known.
        hits: The hits in the text, best first.
        missing: What the question asks about and neither the text's pool nor the window says.
        tokens: Of the text.
        recalls: Searches that were made.
        degraded: Whether the embedder did not answer, so that words alone were compared.
    """

    text: str = ""
    hits: tuple[Hit, ...] = ()
    missing: tuple[str, ...] = ()
    tokens: int = 0
    recalls: int = 0
    degraded: bool = False


class Gatherer:
    """The pool of evidence of one working memory, and the searches that fill it."""

    def __init__(self, shared: Shared, path: str) -> None:
        self._shared, self._path = shared, path
        self._vault = shared.vault
        self.pool = Pool()
        self.asks: Sequence[Ask] | None = None
        self.missing: tuple[str, ...] = ()
        self.recalls = 0
        self.recall_ms = 0.0

    def gather(self, query: str, tier: Tier, now: object, shown: Sequence[Read]) -> None:
        """Search for a question, and then for what is missing, as often as the tier allows.

        Args:
            query: The question.
            tier: How to search.
            now: What "last week" in it refers to; None for the clock.
            shown: What the window says anyway.
        """
        self.recalls, self.recall_ms = 0, 0.0
        hits, moment = self._search(query, tier, now)
        self.keep_sound()
        self.asks = asks_of(query, moment)
        self.pool.begin()
        self.pool.take(hits, 0)
        gaps = self.pool.missing(self.asks, shown)
        for number in range(1, tier.rounds):
            words = words_for(gaps, self.asks)
            if not gaps or not words.strip():
                break
            more, _ = self._search(words, tier, now)
            if not self.pool.take(more, number, gaps):
                break
            gaps = self.pool.missing(self.asks, shown)
        self.missing = tuple(ask.label for ask in gaps)
        self.pool.trim()

    def keep_sound(self) -> None:
        """Drop what changed since it was found, was forgotten, or holds no longer."""
        held = self.pool.hits()
        if not held:
            return
        now = self._vault.parts.clock.now_us()
        window = Window(now=now)
        keys = self._vault.lives.keys_of(self._path, list(held))
        found = self._vault.finder.read(self._path, keys, now=now, as_of=None)
        with self._vault.finder.indexes(self._path) as indexes:
            at = present(indexes.ground, window)
            retired = set(indexes.claims.retired(at).tolist()) & set(found)
            spans = {key: tuple(indexes.claims.closed_spans(key, at)) for key in found}
        self.pool.keep(
            {
                shown.row.id
                for key, shown in found.items()
                if key not in retired and _is_as(held[shown.row.id], shown, spans[key], at)
            }
        )

    def stale(self) -> frozenset[int]:
        """Numbers of the turns all of whose statements hold no longer."""
        window = Window(now=self._vault.parts.clock.now_us())
        with self._vault.finder.indexes(self._path) as indexes:
            at = present(indexes.ground, window)
            return frozenset(indexes.claims.retired(at).tolist())

    def count_use(self, hits: Sequence[Hit]) -> None:
        """Note that cubes were given back."""
        ids = [hit.cube.id for hit in hits]
        self._shared.usage.count(self._vault.lives.keys_of(self._path, ids))

    def _search(self, query: str, tier: Tier, now: object) -> tuple[list[Hit], date]:
        """What a recall finds, best first, and the day that the question's times refer to."""
        begun = perf_counter()
        asked = asking.asked_of(
            {"query": query, "limit": tier.candidates, "mode": tier.mode, "now": now},
            self._shared.limits.zone,
            self._vault.parts.clock.now_us(),
        )
        if self._shared.learn:
            asked = replace(asked, learned=learning.learned(self._vault, self._path))
        hits = self._shared.searcher.recalled(self._path, asked)
        self.recalls += 1
        self.recall_ms += (perf_counter() - begun) * 1000
        return hits, from_us(asked.now_us).date()


def _is_as(hit: Hit, shown: Shown, elided: tuple[tuple[int, int], ...], at: int) -> bool:
    """Whether a cube still says what it said when it was found."""
    row = shown.row
    ended = row.origin == "derived" and row.valid_to is not None and row.valid_to <= at
    same = row.version == hit.cube.version and row.state in LISTED
    return same and not ended and elided == tuple(hit.elided)
