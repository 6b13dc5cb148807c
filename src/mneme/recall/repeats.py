"""Leave out what another hit already says.

In: hits, best first. Out: hits, best first, of which no two say the same. Pure functions.

Two texts repeat each other if their words are the same, or nearly: most of their runs of three
words are common, their numbers are equal, and nobody else said the second. The newest stays.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mneme.memories.plaintext.apply import is_standing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mneme.core.cube import MemCube
    from mneme.recall.context import Hit

_WORD = re.compile(r"[^\W\d_]+|\d+")
_NEAR = 0.9
_READ_CHARS = 4000  # of a text; what begins alike for so long is a repeat
_SHORT_CHARS = 400  # a source of this length says more than what was extracted from it


class _Print(NamedTuple):
    """What is compared of a text."""

    hit: Hit
    words: tuple[str, ...]
    shingles: frozenset[tuple[str, ...]]
    numbers: tuple[str, ...]


def drop_repeats(hits: Iterable[Hit]) -> list[Hit]:
    """The hits without repeats; who stays takes the better place of the two."""
    kept: list[_Print] = []
    for fresh in map(_fingerprint, hits):
        place = next((i for i, old in enumerate(kept) if _repeats(old, fresh)), None)
        if place is None:
            kept.append(fresh)
        elif _prefer(fresh.hit.cube, kept[place].hit.cube):
            kept[place] = fresh._replace(hit=replace(fresh.hit, rank=kept[place].hit.rank))
    return [entry.hit for entry in kept]


def _fingerprint(hit: Hit) -> _Print:
    words = tuple(_WORD.findall(hit.cube.text[:_READ_CHARS].casefold()))
    shingles = frozenset(zip(words, words[1:], words[2:], strict=False))
    return _Print(hit, words, shingles, tuple(word for word in words if word.isdigit()))


def _repeats(one: _Print, other: _Print) -> bool:
    a, b = one.hit.cube, other.hit.cube
    if a.id == b.id:
        return True
    if _derives(a, b) or _derives(b, a):
        if one.hit.elided or other.hit.elided:  # the statement stands in for what is left out
            return False
        return _contains(one, other) or _contains(other, one)
    if one.words == other.words:
        return _same_voice(a, b) and (bool(one.words) or a.text.strip() == b.text.strip())
    near = _overlap(one.shingles, other.shingles) >= _NEAR and one.numbers == other.numbers
    return near and _same_voice(a, b)


def _overlap(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of the runs of words of both that are in both; 0 where it is surely small."""
    fewer, more = sorted((len(one), len(other)))
    if not fewer or fewer < _NEAR * more:
        return 0.0
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _contains(whole: _Print, part: _Print) -> bool:
    return " ".join(part.hit.cube.text.split()) in " ".join(whole.hit.cube.text.split())


def _derives(part: MemCube, whole: MemCube) -> bool:
    sources = part.provenance.sources
    return bool(sources) and any(source.cube_id == whole.id for source in sources)


def _same_voice(a: MemCube, b: MemCube) -> bool:
    """Whether the same one may have said both; a speaker who is not known may be anyone."""
    if a.speaker and b.speaker:
        return a.speaker.casefold() == b.speaker.casefold()
    return a.role == b.role


def _prefer(fresh: MemCube, old: MemCube) -> bool:
    """Whether `fresh` stays, of two that say the same."""
    if (fresh.trust == "untrusted") != (old.trust == "untrusted"):
        return old.trust == "untrusted"
    if is_standing(fresh) != is_standing(old):
        return is_standing(fresh)
    if _derives(fresh, old):
        return len(old.text) > _SHORT_CHARS
    if _derives(old, fresh):
        return len(fresh.text) <= _SHORT_CHARS
    return age_key(fresh) > age_key(old)


def age_key(cube: MemCube) -> tuple[bool, datetime, str]:
    """Sorts by the time of the event, those of unknown time last; then by order of recording."""
    return (cube.event_at is None, cube.event_at or cube.recorded_at, cube.id)
