"""Cut a turn into the sentences that its speaker says, and leave out what is only passed on.

In: the text of a turn. Out: a copy of the same length in which quotations, code and contexts that
Mneme rendered are filled, so that no rule reads them, and the sentences of that copy. Every
pattern is bounded: the cost grows with the length of the text alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

FILL: Final = "\ufffc"
_SHORTEST: Final = 3
_LONGEST: Final = 600  # characters without an end of sentence

_FENCE: Final = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_INLINE_CODE: Final = re.compile(r"`[^`\n]{1,200}`")
_DOUBLE: Final = re.compile(
    r'"[^"\n]{1,400}"|“[^“”]{1,400}”|„[^„“”]{1,400}[“”]|«[^«»]{1,400}»|「[^「」]{1,400}」'
)
_SINGLE: Final = re.compile(
    r"(?<!\w)'(?=[^\s'])(?:[^'\n]|(?<=\w)'(?=\w)){1,120}(?<=[^\s'])'(?!\w)"
    r"|‘(?:[^‘’\n]|(?<=\w)’(?=\w)){1,120}’(?!\w)"
)
_QUOTED_LINE: Final = re.compile(r"^[ \t]{0,8}>.*$", re.MULTILINE)
# Lines as memories/plaintext/apply.py and recall/pack.py write them, alone or within a line.
_HEADER: Final = re.compile(
    r"^[ \t>]{0,8}# (?:What the user wants at all times|Memories, oldest first)[^\n]*", re.MULTILINE
)
_ITEM: Final = re.compile(
    r"\[\d{1,6}\\?\] (?:\d{4}-\d\d-\d\d|undated)\b[^\n]*(?:\n(?: {4}|\t)[^\n]*)*"
)
_END: Final = re.compile(r"[.!?…]+[\"”’')\]]*(?:\s+|\Z)|\n+|[。！？]+|\s[-–—]{1,2}\s(?=[Ii]\b)")
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|st|prof|vs|e\.g|i\.e|etc|no|approx|inc|jr|sr)|\b[a-z])\.\s*$",
    re.IGNORECASE,
)
_CODE_LINE: Final = re.compile(
    r"^[ \t]*(?:(?:def|class|import|from|return|public|private|const|let|var|function|#include"
    r"|SELECT"
    r"|if|for|while|elif|else)\b[^\n]*[;:{(]|[^\n]*[;{}]|</?\w[^\n]*>|[$#>]{1,3} \w[^\n]*)[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters `start` to `end` of a turn, without white space at the ends.

    Attributes:
        start: First character in the turn.
        end: The character after the last.
        text: Those characters, what is not said by the speaker filled.
        asks: Whether it ends as a question.
        lower: The text in lower case, for quick looks only: its places may differ.
    """

    start: int
    end: int
    text: str
    asks: bool = False
    lower: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", self.text.lower())

    def has(self, words: Iterable[str]) -> bool:
        """Whether one of the words, in lower case, stands in the text."""
        lower = self.lower
        for word in words:  # noqa: SIM110  any() with a generator takes twice as long here
            if word in lower:
                return True
        return False

    def part(self, start: int, end: int | None = None) -> Sentence:
        """Some of its characters, no longer a question."""
        text = self.text[start:end]
        return Sentence(self.start + start, self.start + start + len(text), text)


def fill_passed_on(text: str) -> str:
    """The text with everything filled that its speaker only quotes, pastes or got from us."""
    if "[" in text or "#" in text:
        text = _fill(_HEADER, _fill(_ITEM, text))
    if "`" in text or "~~~" in text:
        text = _fill(_INLINE_CODE, _fill(_FENCE, text))
    if ">" in text:
        text = _fill(_QUOTED_LINE, text)
    if any(mark in text for mark in '"“„«「'):
        text = _fill(_DOUBLE, text)
    if "'" in text or "‘" in text:
        text = _fill(_SINGLE, text)
    if "\n" in text and any(mark in text for mark in ";{}<("):
        text = _fill(_CODE_LINE, text)
    return text


def _fill(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: FILL * len(match.group()), text)


def sentences_of(filled: str) -> list[Sentence]:
    """The sentences of a filled text, in order; none is longer than 600 characters."""
    found: list[Sentence] = []
    start = 0
    for match in _END.finditer(filled):
        end = match.end()
        if match.group()[0] == "." and _ABBREVIATION.search(filled, max(start, end - 12), end):
            continue
        _add(found, filled, start, end)
        start = end
    _add(found, filled, start, len(filled))
    return found


def _add(found: list[Sentence], filled: str, start: int, end: int) -> None:
    while start < end:
        cut = end
        if end - start > _LONGEST:
            cut = filled.rfind(" ", start + 1, start + _LONGEST)
            cut = start + _LONGEST if cut < 0 else cut
        piece = filled[start:cut]
        bare = piece.strip()
        if len(bare) >= _SHORTEST and bare.strip(FILL):
            first = start + piece.index(bare[0])
            asks = bare.rstrip("\"”’') ]").endswith(("?", "？"))
            found.append(Sentence(first, first + len(bare), bare, asks))
        start = cut
