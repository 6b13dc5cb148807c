"""What a rule for one form of time expression is, and the sentence that it reads.

A rule is a pattern over lowered text and a function from its match to `Days` (None: no time after
all). The cue of tense decides between the last and the next Tuesday.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from mneme.memories.plaintext.language.times_calendar import Days

NO_WORD = "[^0-9a-z_ß-ɏ]"  # neither a Latin letter nor a digit
NOT_AFTER_WORD, NOT_BEFORE_WORD = "(?<![0-9a-z_ß-ɏ])", "(?![0-9a-z_ß-ɏ])"
_SENTENCE_WINDOW = 160  # characters on either side that may hold the cue of tense
_FUTURE = re.compile(
    r"\b(?:will|won['’]t|shall|gonna|going\s+to|plan(?:s|ning)?\s+(?:to|on|for)|upcoming|tomorrow|"
    r"coming\s+up|looking\s+forward|hop(?:e|ing)\s+to|about\s+to|(?:want|need|have|has)\s+to|"
    r"remind|reminder|due|deadline)\b|['’]ll\b"
)
_PAST = re.compile(
    r"\b(?:was|were|wasn['’]t|weren['’]t|had|did|didn['’]t|went|got|came|saw|met|took|made|"
    r"bought|told|said|gave|found|left|ran|ate|felt|thought|began|won|lost|spent|brought|"
    r"been|became|heard|held|kept|knew|led|paid|sold|sent|taught|wrote|read|broke|built|fell|"
    r"flew|drove|grew|slept|spoke|stood|wore|last|ago|(?!need|feed|speed|indeed|bed|red)\w{2,}ed)\b"
)


_CLAUSE = re.compile(r"[,;:]|\b(?:and|but|then|so)\b")


def _cue(words: str) -> str:
    if _FUTURE.search(words):
        return "future"
    return "past" if _PAST.search(words) else ""


class Scene(NamedTuple):
    """A text, its lowered form of the same length, and the day on which it was said."""

    text: str
    lower: str
    reference: date | None

    def tense(self, start: int, end: int) -> str:
        """Past, future or (no cue) nothing, of the clause around a span, else of its sentence."""
        left, right = max(0, start - _SENTENCE_WINDOW), end + _SENTENCE_WINDOW
        before = re.split(r"[.!?\n]\s", self.lower[left:start])[-1]
        after = re.split(r"[.!?\n](?:\s|$)", self.lower[end:right], maxsplit=1)[0]
        clause = f"{_CLAUSE.split(before)[-1]} {_CLAUSE.split(after, maxsplit=1)[0]}"
        return _cue(clause) or _cue(f"{before} {after}")

    def word_before(self, start: int) -> str:
        """The word just before a position, or nothing."""
        words = self.lower[max(0, start - 24) : start].split()
        return words[-1].strip("(\"'“‘-") if words else ""

    def is_capital(self, start: int) -> bool:
        """Whether the text has a capital letter there."""
        return self.text[start : start + 1].isupper()


class Rule(NamedTuple):
    """A form of time expression."""

    pattern: re.Pattern[str]
    days: Callable[[re.Match[str], Scene], Days | None]


def rule(pattern: str, days: Callable[[re.Match[str], Scene], Days | None]) -> Rule:
    """A rule whose match must not begin or end inside a Latin word or a number."""
    return Rule(re.compile(f"{NOT_AFTER_WORD}(?:{pattern}){NOT_BEFORE_WORD}"), days)
