"""A pool of evidence, refreshed by what a question asks for and the pool does not say yet.

In: questions, and what searches found. Out: what is missing, the words to search it with, and the
best of the pool. Pure functions and a small class.

After EWE (arXiv:2412.18069), whose working memory is refreshed by what a check finds wanting, and
RFM-RAG (arXiv:2508.17862), which asks again for the gaps that its pool leaves. Both let a language
model judge; here a question is taken apart into its names, days, numbers and other content words,
and each is covered or it is not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from mneme.memories.plaintext.language.terms import codes_of, is_stopword, tokens_of
from mneme.memories.plaintext.language.times import find_times

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from mneme.recall.context import Hit

_MOST_ASKS: Final = 24
_LATER: Final = 6  # places by which what was found for a gap stands behind what the question found
_FOR_A_GAP: Final = 3  # hits that are taken for one thing that was missing
_MOST_KEPT: Final = 400
_ASKING: Final = frozenset(
    {
        "kind",
        "type",
        "sort",
        "many",
        "much",
        "long",
        "often",
        "ever",
        "name",
        "tell",
        "list",
        "describe",
        "explain",
        "mention",
        "mentioned",
        "say",
        "said",
        "talk",
        "talked",
        "discuss",
        "discussed",
        "summarize",
        "summary",
        "order",
        "one",
        "two",
        "three",
        "us",
        "please",
        "help",
        "likely",
        "considered",
        "would",
        "might",
    }
)  # words of a question that an answer seldom holds


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that a question asks about.

    Attributes:
        label: As the question says it.
        codes: Of its words; all must be said. Empty for a time.
        days: First and last day of a time; None for words.
    """

    label: str
    codes: frozenset[int] = frozenset()
    days: tuple[date, date] | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What is compared of a text: its words, and the days that it is of or speaks of."""

    codes: frozenset[int]
    days: tuple[tuple[date, date], ...] = ()

    def covers(self, ask: Ask) -> bool:
        """Whether the text says what is asked about."""
        if ask.days is None:
            return ask.codes <= self.codes
        first, last = ask.days
        return any(start <= last and end >= first for start, end in self.days)


def asks_of(question: str, today: date | None) -> list[Ask]:
    """What a question asks about, each once: times, names, numbers and other content words."""
    asks: dict[str, Ask] = {}
    rest, at = [], 0
    for span in find_times(question, today):
        rest.append(question[at : span.start])
        at = span.end
        label = question[span.start : span.end]
        asks[label] = Ask(label, days=(span.first, span.last))
    for token in tokens_of(" ".join([*rest, question[at:]])):
        word = token.removesuffix("'s")
        if not is_stopword(word) and word not in _ASKING and any(map(str.isalnum, word)):
            asks.setdefault(word, Ask(word, frozenset(codes_of(word))))
    return list(asks.values())[:_MOST_ASKS]


def read_text(text: str, said_on: date | None) -> Read:
    """What is compared of a text that was said on a day."""
    days = [(span.first, span.last) for span in find_times(text, said_on)]
    if said_on is not None:
        days.append((said_on, said_on))
    return Read(frozenset(codes_of(text)), tuple(days))


@dataclass(frozen=True, slots=True)
class _Item:
    hit: Hit
    read: Read
    place: float  # among what the newest question found; lower is better
    turn: int  # the question that found it last


@dataclass(slots=True)
class Pool:
    """Evidence by cube."""

    _items: dict[str, _Item] = field(default_factory=dict)
    _turn: int = 0

    def begin(self) -> None:
        """A new question comes."""
        self._turn += 1

    def take(self, hits: Iterable[Hit], round_: int, wanted: Sequence[Ask] | None = None) -> int:
        """Take what a search found, best first; the number of cubes that the question gained.

        Args:
            hits: What was found.
            round_: 0 for the question itself, 1 and on for gaps.
            wanted: Only the first few that cover each of these are taken; None takes all.
        """
        gained = 0
        filled: Counter[str] = Counter()
        for place, hit in enumerate(hits):
            known = self._items.get(hit.cube.id)
            if known is not None and known.turn == self._turn:
                continue
            same = known is not None and known.hit.cube.version == hit.cube.version
            read = known.read if known is not None and same else _read(hit)
            if wanted is not None and not _fills(read, wanted, filled):
                continue
            later = _LATER * round_
            self._items[hit.cube.id] = _Item(hit, read, place + later + round_ / 8, self._turn)
            gained += 1
        return gained

    def keep(self, ids: Collection[str]) -> None:
        """Drop all but these cubes: the others changed, or hold no longer."""
        self._items = {cube_id: each for cube_id, each in self._items.items() if cube_id in ids}

    def missing(self, asks: Sequence[Ask], shown: Sequence[Read]) -> list[Ask]:
        """What neither the pool nor the texts that are shown anyway say."""
        reads = [*shown, *(each.read for each in self._items.values())]
        return [ask for ask in asks if not any(read.covers(ask) for read in reads)]

    def best(self, asks: Sequence[Ask] | None, without: Collection[str]) -> list[Hit]:
        """The hits, best first: those of the newest question, then older ones that fit it.

        Args:
            asks: Of the newest question; None keeps all older ones.
            without: Ids that are not wanted.
        """
        fresh = sorted(
            (each for each in self._items.values() if each.turn == self._turn),
            key=lambda each: each.place,
        )
        older = [each for each in self._items.values() if each.turn != self._turn]
        if asks is not None:
            lacking = [a for a in asks if not any(each.read.covers(a) for each in fresh)]
            older = [e for e in older if any(e.read.covers(ask) for ask in lacking)]
        older.sort(key=lambda each: (-each.turn, each.place))
        hits = [each.hit for each in [*fresh, *older] if each.hit.cube.id not in without]
        return [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]

    def hits(self) -> dict[str, Hit]:
        """All that it holds, by id of the cube."""
        return {cube_id: each.hit for cube_id, each in self._items.items()}

    def trim(self) -> None:
        """Let go of what was found longest ago, where there is too much."""
        if len(self._items) > _MOST_KEPT:
            newest = sorted(self._items.items(), key=lambda each: (-each[1].turn, each[1].place))
            self._items = dict(newest[:_MOST_KEPT])


def words_for(gaps: Sequence[Ask], asks: Sequence[Ask]) -> str:
    """The words to search gaps with: their own, and the names and times beside them."""
    beside = [ask for ask in asks if ask.days is not None and ask not in gaps]
    ordered = [ask.label for ask in [*gaps, *beside]]
    return " ".join(label for label, _ in groupby(ordered))


def _fills(read: Read, wanted: Sequence[Ask], filled: Counter[str]) -> bool:
    """Whether a text covers what few others did so far; counts it."""
    covered = [ask.label for ask in wanted if read.covers(ask)]
    if not any(filled[label] < _FOR_A_GAP for label in covered):
        return False
    filled.update(covered)
    return True


def _read(hit: Hit) -> Read:
    moment = hit.cube.event_at or hit.cube.recorded_at
    name = hit.cube.speaker or ""
    return read_text(f"{name} {hit.cube.text}", moment.date())
