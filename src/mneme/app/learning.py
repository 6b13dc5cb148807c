"""The verbs of learning to retrieve: citations, feedback, the log of decisions, starting anew."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.core.rows import DecisionRow
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.ingest.experience import credit
from mneme.ingest.experience_book import TYPES
from mneme.recall import asking, learning
from mneme.recall.context import Context, Hit
from mneme.recall.rank import CANDIDATES
from mneme.transfer import decisions
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mneme.app.shared import Shared
    from mneme.core.rows import Namespace as Known
    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.recall.search import Asked

_CITED = re.compile(r"\[(\d{1,6}(?:\s*[,;]\s*\d{1,6})*)\]")


class LearningVerbs:
    """What feedback does beyond single cubes. A part of `Namespace`."""

    path: str
    _shared: Shared

    @strict
    def feedback(self, hits_or_ids: object, *, used: object, query: str | None = None) -> None:
        """Tell ranking which of the hits helped: `used` is true, false, or those that did.

        Each cube's own utility changes, and the record of procedures and lessons. With `query` and
        `Settings.learn`, the weights of this namespace's ranking change, too.
        """
        rewards = asking.rewards(hits_or_ids, used)
        checks.ids_of(list(rewards))
        shown = None
        if query is not None:
            checks.text_of(query, name="query", max_bytes=self._shared.limits.turn_bytes)
            shown = self._shown(query, rewards) if self._shared.learn else None

        def follow(tx: Transaction, known: Known, rows: dict[str, VersionRow]) -> None:
            helped = {i: float(rewards[i] > 0) for i, row in rows.items() if row.type in TYPES}
            if helped:
                credit(self._shared.vault, tx, self.path, known, helped)
            if shown is not None and query is not None:
                self._take(tx, known, rows, shown, rewards, query)

        self._shared.vault.lives.reward(self.path, rewards, follow)

    @strict
    def cited(self, context: Context, answer: str) -> list[Hit]:
        """The hits of a context that an answer cites as `[n]`, for `feedback(used=...)`."""
        if not isinstance(context, Context):
            raise InvalidInputError(f"context is what recall gave, not a {type(context).__name__}")
        if not isinstance(answer, str):
            raise InvalidInputError(f"answer is a text, not a {type(answer).__name__}")
        numbers = {int(n) for found in _CITED.findall(answer) for n in re.findall(r"\d+", found)}
        ids = {c.cube_id for c in context.citations if c.n in numbers}
        return [hit for hit in context.hits if hit.cube.id in ids]

    @strict
    def reset_learning(self) -> int:
        """Rank as if no feedback had taught the weights; the number of decisions forgotten.

        What single cubes gained or lost by feedback stays.
        """
        with self._shared.vault.parts.store.write() as tx:
            known = tx.cubes.namespace(self.path)
            if known is None:
                return 0
            learning.write(tx, known.number, learning.Weights())
            return tx.written.drop_decisions(known.number)

    @strict
    def export_decisions(self, path: str | Path) -> int:
        """Write what was shown, and what came of it, as JSON lines; the number of lines."""
        return decisions.export_decisions(self._shared.vault, self.path, checks.path_of(path))

    def _as_learned(self, asked: Asked) -> Asked:
        """The question with what this namespace learned, where learning is on."""
        if not self._shared.learn:
            return asked
        return replace(asked, learned=learning.learned(self._shared.vault, self.path))

    def _shown(self, query: str, rewards: Mapping[str, float]) -> learning.Shown | None:
        """The signals of what was shown, by the same search again."""
        now = self._shared.vault.parts.clock.now_us()
        given = {"query": query, "limit": CANDIDATES, "explain": True}
        asked = self._as_learned(asking.asked_of(given, self._shared.limits.zone, now))
        return learning.shown_of(self._shared.searcher.search(self.path, asked), rewards)

    def _take(
        self,
        tx: Transaction,
        known: Known,
        rows: Mapping[str, VersionRow],
        shown: learning.Shown,
        rewards: Mapping[str, float],
        query: str,
    ) -> None:
        """One step of the weights, and its entry in the log of decisions."""
        weights = learning.stepped(learning.read(tx, known.number), shown)
        learning.write(tx, known.number, weights)
        now = self._shared.vault.parts.clock.now_us()
        hashed = self._shared.vault.writer.hashed(f"query\0{query}")
        tx.written.add_decisions(
            known.number,
            (
                DecisionRow(rows[i].key, now, hashed, place, float(rewards[i] > 0), _told(features))
                for place, (i, features) in enumerate(
                    zip(shown.ids, shown.features, strict=True), start=1
                )
            ),
        )


def _told(features: learning.Floats) -> str:
    values = {n: round(float(v), 4) for n, v in zip(learning.LEARNED, features, strict=True)}
    return canonical_json(values)
