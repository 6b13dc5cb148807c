"""Where a quote stands in a text, and the sentences around it.

In: a text, and words that a model says it took from there. Out: character offsets of the text, or
None. White space, kinds of quotation marks and dashes, and upper case make no difference.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SAME: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
_MARKS: Final = "\"' \t\n"
UNSPACED_FROM: Final = 0x0E00  # scripts from here on (Thai, Han, kana) put no space between words
_ENDS: Final = re.compile(r"[.!?…]+[\"')\]\u201d\u2019]*(?=\s|$)|[。！？]+|\n+")
_BREAKS: Final = re.compile(
    r"[.!?…,;:()\n。！？，；、]|\s[-–—]\s|\s(?:but|and|while|although|aber|und|mais|et|pero|y|ma|e)\s"
)


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive)."""

    start: int
    end: int


def find_quote(text: str, quote: str) -> Span | None:
    """The first place where whole words of a text are the quote's."""
    wanted = _plain(quote)[0].strip()
    plain, places = _plain(text)
    for each in dict.fromkeys((wanted, wanted.strip(_MARKS))):
        start = plain.find(each) if each else -1
        while start >= 0:
            end = start + len(each)
            if not (_splits(plain, start) or _splits(plain, end)):
                return Span(places[start], places[end - 1] + 1)
            start = plain.find(each, start + 1)
    return None


def sentences_of(text: str, span: Span) -> list[Span]:
    """The sentences that a span touches, whole."""
    found, start = [], 0
    for end in [*(match.end() for match in _ENDS.finditer(text)), len(text)]:
        if start < span.end and end > span.start and text[start:end].strip():
            found.append(Span(start, end))
        start = end
    return found


def clause_of(text: str, span: Span) -> str:
    """The span and what stands beside it up to the next comma, stop or conjunction."""
    before = [match.end() for match in _BREAKS.finditer(text, 0, span.start)]
    after = _BREAKS.search(text, max(span.end - 1, span.start))
    return text[before[-1] if before else 0 : max(span.end, after.start() if after else len(text))]


def _plain(text: str) -> tuple[str, list[int]]:
    """The text as it is compared, and the place in the text of each of its characters."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text.translate(_SAME)):
        if character.isspace():
            if characters and characters[-1] == " ":
                continue
            character = " "
        lower = character.lower()
        characters.append(lower if len(lower) == 1 else character)
        places.append(place)
    return "".join(characters), places


def _splits(text: str, place: int) -> bool:
    """Whether a place is inside a word."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    spaced = ord(before) < UNSPACED_FROM and ord(after) < UNSPACED_FROM
    return spaced and before.isalnum() and after.isalnum()
