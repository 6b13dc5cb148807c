"""Summaries: choose the sentences that say most, and check a summary that somebody else wrote.

In: sentences. Out: numbers of sentences, or what is wrong with a summary. A summary that is chosen
says nothing that its source does not say, since it is made of its sentences. One that is written
(by a language model, or by a caller) is checked sentence by sentence: its words must be those of
its sources, its numbers and names must stand there, and it may not deny what they say. What this
cannot see is who did what to whom. Pure functions.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import log1p
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.plaintext.language.terms import tokens_of
from mneme.memories.plaintext.sentences import Gist, content_of, gist_of, sentences_of

if TYPE_CHECKING:
    from collections.abc import Sequence

COVERED: Final = 0.6  # share of a sentence's words that its sources must hold

_LONG_WORDS: Final = 40
_NEAR: Final = 0.34  # share of a sentence's words that a sentence which supports it must hold
_SUPPORTING: Final = 4


class Weighed(NamedTuple):
    """A sentence and how much what it says counts."""

    text: str
    weight: float = 1.0


def choose(sentences: Sequence[Weighed], most: int) -> list[int]:
    """Numbers of the sentences that together say most, in their order.

    Greedy cover of the words, each weighed by how often it comes, less for what is common to all
    sentences; a word that is covered counts no more. Within (1 - 1/e) of the best choice for its
    number of sentences, since the gain is submodular (Nemhauser, Wolsey and Fisher 1978).
    """
    held = [gist_of(sentence.text).terms for sentence in sentences]
    counts = Counter(term for terms in held for term in terms)
    worth = {t: log1p(len(held) / n) * (1 + log1p(n - 1)) for t, n in counts.items()}
    covered: set[int] = set()
    chosen: list[int] = []
    while len(chosen) < most:
        gains = [
            0.0 if i in chosen else _gain(sentences[i], held[i] - covered, worth)
            for i in range(len(held))
        ]
        best = max(range(len(gains)), key=lambda i: (gains[i], -i), default=0)
        if not gains or gains[best] <= 0:
            break
        chosen.append(best)
        covered |= held[best]
    return sorted(chosen)


def _gain(sentence: Weighed, fresh: frozenset[int], worth: dict[int, float]) -> float:
    words = max(sentence.text.count(" ") + 1, 6)
    longer = max(1.0, words / _LONG_WORDS)
    return float(sentence.weight * sum(worth[t] for t in fresh) / words**0.5 / longer)


def faults(summary: str, sources: Sequence[str]) -> list[str]:
    """Why a summary is not supported by its sources; empty if it is.

    Args:
        summary: What was written.
        sources: The texts that it is said to sum up.
    """
    said = [s.text for source in sources for s in sentences_of(source)]
    lines = [s.text for s in sentences_of(summary)]
    if not lines:
        return ["it says nothing"]
    return [fault for line in lines if (fault := _fault(line, said)) is not None]


def is_same(one: str, other: str) -> bool:
    """Whether two statements have the same numbers, names and polarity."""
    a, b = gist_of(one), gist_of(other)
    return a.numbers == b.numbers and a.names == b.names and a.denies == b.denies


def _fault(line: str, said: Sequence[str]) -> str | None:
    gist = gist_of(line)
    support = _support(gist, said)
    held = frozenset[int]().union(*(gist_of(s).terms for s in support))
    words = frozenset(w for s in support for w in (*tokens_of(s), *gist_of(s).numbers))
    if gist.terms and len(gist.terms & held) < COVERED * len(gist.terms):
        return f"not covered by its sources: {line!r}"
    if strange := sorted(n for n in gist.numbers if n not in words):
        return f"number {strange[0]} is not in its sources: {line!r}"
    spoken_of = words | {w for s in _led_to(support, said) for w in tokens_of(s)}
    if strange := sorted(n for n in gist.names if not _holds(spoken_of, n)):
        return f"name {strange[0]!r} is not in its sources: {line!r}"
    if swapped := _swapped(line, support):
        return f"number {swapped} belongs to something else in its sources: {line!r}"
    if support and gist.denies != gist_of(support[0]).denies:
        return f"contradicts {support[0]!r}: {line!r}"
    return None


def _support(gist: Gist, said: Sequence[str]) -> list[str]:
    """The sentences that share most with one, best first."""
    shares = [(len(gist.terms & gist_of(s).terms), -i) for i, s in enumerate(said)]
    best = sorted(shares, reverse=True)[:_SUPPORTING]
    least = max(1.0, _NEAR * len(gist.terms))
    return [said[-i] for n, i in best if n >= least] or [said[-i] for n, i in best[:1] if n]


def _led_to(support: Sequence[str], said: Sequence[str]) -> list[str]:
    """The sentences before those that support one: they may name whom "she" means."""
    return [before for before, sentence in pairwise(said) if sentence in support]


def _holds(words: frozenset[str], name: str) -> bool:
    return all(token in words or f"{token}'s" in words for token in tokens_of(name))


def _swapped(line: str, support: Sequence[str]) -> str | None:
    """A number that the sources give to something else, while they give this another one."""
    known: dict[int, set[str]] = {}
    for sentence in support:
        for number, thing in _counted(sentence):
            known.setdefault(thing, set()).add(number)
    for number, thing in _counted(line):
        if thing in known and number not in known[thing]:
            return number
    return None


def _counted(sentence: str) -> list[tuple[str, int]]:
    """Each number with the content word that follows it."""
    tokens = tokens_of(sentence)
    found = []
    for i, token in enumerate(tokens[:-1]):
        numbers = gist_of(token).numbers
        after = content_of(tokens[i + 1])
        if numbers and after and not gist_of(tokens[i + 1]).numbers:
            found.append((min(numbers), after[0]))
    return found
