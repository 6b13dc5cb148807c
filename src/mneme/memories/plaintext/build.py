"""What is read off a plaintext cube when it is written, so that it can be found.

In: a text, who said it, and when. Out: passages of about 60 words with their terms, the dates that
the text names, and a bit set that says what kind of sentence it is. Pure functions; the cost grows
with the length of the text alone.
"""

from __future__ import annotations

import re
import sys
from array import array
from datetime import date
from enum import IntFlag
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.plaintext.language.terms import pack, scan
from mneme.memories.plaintext.language.times import find_times
from mneme.memories.plaintext.language.words import Word

if TYPE_CHECKING:
    from datetime import datetime

_PASSAGE_WORDS: Final = 60
_ONE_PASSAGE_WORDS: Final = 90
_MOST_PASSAGES: Final = 2048
_LONGEST_RUN: Final = 600  # characters without an end of sentence
_DATED_CHARS: Final = 1 << 16
_MOST_MENTIONS: Final = 32
_EPOCH: Final = date(1970, 1, 1).toordinal()
_SHORT_WORDS: Final = 8
_LONG_WORDS: Final = 120

_BREAK: Final = re.compile(r"[.!?][\"')\]]*\s+|[。！？]|\n+")
_DIGIT: Final = re.compile(r"\d")
_LIST_TEXT: Final = re.compile(r"^[ \t]{0,40}(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_STANDING_TEXT: Final = re.compile(
    r"(?:^|[.!?\n])[ \t]{0,8}(?:please )?(?:always|never|remember (?:to|that)|make sure (?:to|you)"
    r"|from now on|whenever|going forward|in (?:the )?future)\b"
    r"|\b(?:when(?:ever)?|every time|each time|any ?time|if) i (?:ask|request|mention|say)\b",
    re.IGNORECASE,
)


class Shape(IntFlag):
    """What kind of sentence a text is: the bits of `IndexRow.shape`."""

    QUESTION = 1
    NUMBER = 2
    DATE = 4
    FIRST_PERSON = 8
    SECOND_PERSON = 16
    STANDING = 32
    LIKING = 64
    NEGATION = 128
    GREETING = 256
    LIST = 512
    CODE = 1024
    SHORT = 2048
    LONG = 4096
    PLAN = 8192
    PAST = 16384
    CHANGE = 32768
    FAMILY = 65536
    ENDS_ASKING = 131072
    PREFERENCE = 262144
    SCOPED = 524288


_OF_WORDS: Final[tuple[tuple[Word, Shape], ...]] = (
    (Word.FIRST_PERSON, Shape.FIRST_PERSON),
    (Word.SECOND_PERSON, Shape.SECOND_PERSON),
    (Word.LIKING, Shape.LIKING),
    (Word.NEGATION, Shape.NEGATION),
    (Word.GREETING, Shape.GREETING),
    (Word.PLAN, Shape.PLAN),
    (Word.PAST, Shape.PAST),
    (Word.CHANGE, Shape.CHANGE),
    (Word.FAMILY, Shape.FAMILY),
)
# "Always name the platforms when I ask about films": what it holds for is a passage of its own.
_SCOPE: Final = re.compile(
    r"\b(?:when(?:ever)?|every time|each time|any ?time|if) i (?:ask|request|mention|inquire|talk)"
    r"(?: you)?(?: (?:about|for|to|on|regarding))? ([^\n.!?]{3,200})",
    re.IGNORECASE,
)
_PREFERENCE_TEXT: Final = re.compile(
    r"\bi(?:'d| would| really| usually| always| also| do| just)* (?:prefer|rather|love|hate|enjoy"
    r"|dislike|avoid|like)\b|\bmy (?:\w+ )?(?:favou?rite|preference)|\bfan of\b|\bi'm allergic\b",
    re.IGNORECASE,
)
_MAY_STAND: Final = int(Word.STANDING | Word.FIRST_PERSON)
_QUESTION, _NUMBER, _DATE = int(Shape.QUESTION), int(Shape.NUMBER), int(Shape.DATE)
_PREFERENCE, _SCOPED = int(Shape.PREFERENCE), int(Shape.SCOPED)
_MAY_PREFER: Final = int(Word.LIKING)
_ENDS_ASKING, _STANDING = int(Shape.ENDS_ASKING), int(Shape.STANDING)
_CODE, _LIST = int(Shape.CODE), int(Shape.LIST)
_SHORT, _LONG = int(Shape.SHORT), int(Shape.LONG)


class Passage(NamedTuple):
    """A piece of a text of about 60 words.

    start, end: Its characters in the text (end exclusive).
    terms: Little-endian uint32, the codes of its terms in reading order.
    embed_text: What the embedder is given for it.
    """

    start: int
    end: int
    terms: bytes
    embed_text: str


class Analysis(NamedTuple):
    """What the index keeps of a text; the fields are those of `IndexRow`."""

    shape: int
    mentions: bytes
    passages: list[Passage]


def analyse(text: str, *, role: str, speaker: str | None, said_at: datetime | None) -> Analysis:
    """Read off a text what finding it will need.

    Args:
        text: The text, in any script.
        role: user, assistant, system or tool.
        speaker: The name of who said it, where there is one.
        said_at: When it was said, to which "last Friday" refers; None if unknown.
    """
    spans = _spans(text)
    passages: list[Passage] = []
    flags = words = 0
    for start, end in spans:
        piece = text[start:end] if len(spans) > 1 else text
        codes, found = scan(piece)
        flags |= found
        words += len(codes)
        passages.append(Passage(start, end, pack(codes), _embed_text(piece, speaker)))
    mentions = _mentions(text, said_at)
    shape = _shape(text, flags, words, bool(mentions))
    scope = _SCOPE.search(text) if len(spans) == 1 and flags & _MAY_STAND else None
    if scope is not None:
        shape |= _SCOPED
        codes = scan(scope[1])[0]
        passages.append(Passage(scope.start(1), scope.end(1), pack(codes), scope[1]))
    return Analysis(shape, mentions, passages)


def _mentions(text: str, said_at: datetime | None) -> bytes:
    """The days of each date that a text names, as pairs of int32."""
    spans = find_times(text[:_DATED_CHARS], None if said_at is None else said_at.date())
    days = {(span.first.toordinal() - _EPOCH, span.last.toordinal() - _EPOCH) for span in spans}
    if not days:
        return b""
    packed = array("i", [day for pair in sorted(days)[:_MOST_MENTIONS] for day in pair])
    if sys.byteorder == "big":  # pragma: no cover
        packed.byteswap()
    return packed.tobytes()


def _embed_text(piece: str, speaker: str | None) -> str:
    return f"{speaker}: {piece}" if speaker else piece


def _spans(text: str) -> list[tuple[int, int]]:
    """Passages as character spans that cover the whole text."""
    words = text.count(" ") + 1
    if len(text) < _LONGEST_RUN and words <= _ONE_PASSAGE_WORDS:
        return [(0, len(text))]
    most_chars = max(_LONGEST_RUN, len(text) // _MOST_PASSAGES)
    sentences = _sentences(text, most_chars)
    target = max(_PASSAGE_WORDS, (words + len(sentences)) // _MOST_PASSAGES)
    spans: list[tuple[int, int]] = []
    start = count = 0
    for first, last in sentences:
        size = text.count(" ", first, last) + 1
        if start < first and (count + size > target * 1.25 or last - start > 2 * most_chars):
            spans.append((start, first))
            start, count = first, 0
        count += size
        if count >= target:
            spans.append((start, last))
            start, count = last, 0
    return _close(spans, start, len(text), count)


def _close(spans: list[tuple[int, int]], start: int, end: int, words: int) -> list[tuple[int, int]]:
    """Add what is left; a short rest goes to the passage before it."""
    if start < end or not spans:
        if spans and words < _PASSAGE_WORDS // 4 and end - start < _LONGEST_RUN:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _sentences(text: str, most_chars: int) -> list[tuple[int, int]]:
    """Sentences and lines as spans, none longer than `most_chars`."""
    ends = [match.end() for match in _BREAK.finditer(text)]
    if not ends or ends[-1] < len(text):
        ends.append(len(text))
    spans: list[tuple[int, int]] = []
    start = 0
    for end in ends:
        while end - start > most_chars:
            cut = text.rfind(" ", start + most_chars // 2, start + most_chars) + 1
            cut = cut or start + most_chars
            spans.append((start, cut))
            start = cut
        spans.append((start, end))
        start = end
    return spans


def _shape(text: str, flags: int, words: int, has_date: bool) -> int:
    """The bit set; plain integers, since this runs for every text that is written."""
    shape = _shape_of_words(flags) | _size(words)
    if has_date:
        shape |= _DATE
    if "?" in text:
        shape |= _QUESTION
        if text.rstrip().endswith("?"):
            shape |= _ENDS_ASKING
    if flags & _MAY_STAND and _STANDING_TEXT.search(text):
        shape |= _STANDING
    if flags & _MAY_PREFER and _PREFERENCE_TEXT.search(text):
        shape |= _PREFERENCE
    if "\n" in text:
        shape |= _shape_of_lines(text)
    return shape | (_NUMBER if _DIGIT.search(text) else 0)


@lru_cache(maxsize=4096)
def _shape_of_words(flags: int) -> int:
    return sum(int(bit) for word, bit in _OF_WORDS if flags & word)


def _shape_of_lines(text: str) -> int:
    return (_CODE if "```" in text else 0) | (_LIST if _LIST_TEXT.search(text) else 0)


def _size(words: int) -> int:
    if words < _SHORT_WORDS:
        return _SHORT
    return _LONG if words > _LONG_WORDS else 0
