"""Sentences of a text, and what must not change when one is passed on: numbers, names, negation.

Pure functions on English text; other languages have their sentences and numbers found.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from mneme.memories.plaintext.language.terms import is_stopword, look_up, tokens_of

_END: Final = re.compile(r"[.!?…][\"')\]]*\s+|[。！？]|\n+")
_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_NAME: Final = re.compile(
    r"\b(?!I\b)[A-Z][\w’'-]*[^\W\d_](?:\s+(?:(?:of|de|van|von|the)\s+)?[A-Z][\w’'-]*\w)*"
)
_LETTER: Final = re.compile(r"[^\W\d_]")
_NOT: Final = frozenset(
    ["not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot",
     "nowhere", "hardly"]
)  # fmt: skip
_COUNTS: Final = {  # "one" is mostly no number
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_NO_NAMES: Final = frozenset(
    ["i", "i'm", "i've", "i'll", "i'd", "ok", "okay", "yes", "no", "hi", "hello", "hey", "thanks",
     "thank", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
     "january", "february", "march", "april", "may", "june", "july", "august", "september",
     "october", "november", "december", "today", "yesterday", "tomorrow", "tonight"]
)  # fmt: skip


class Sentence(NamedTuple):
    """Characters `start` to `end` of a text."""

    start: int
    end: int
    text: str


class Gist(NamedTuple):
    """What a sentence says, as far as it can be compared.

    terms: Codes of its content words.
    numbers: Its numbers, number words included, as digits.
    names: Its names, in lower case.
    denies: Whether it denies something: an odd number of negations.
    """

    terms: frozenset[int]
    numbers: frozenset[str]
    names: frozenset[str]
    denies: bool


def sentences_of(text: str) -> list[Sentence]:
    """The sentences and lines of a text, without blanks around them; code blocks are left out."""
    code = [match.span() for match in _CODE.finditer(text)]
    edges = [0, *(m.end() for m in _END.finditer(text)), len(text)]
    found = []
    for start, end in pairwise(edges):
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if start < end and not any(a < end and start < b for a, b in code):
            found.append(Sentence(start, end, text[start:end]))
    return found


@lru_cache(maxsize=65536)
def gist_of(sentence: str) -> Gist:
    """What a sentence says, as far as it can be compared."""
    tokens = tokens_of(sentence)
    numbers = [_COUNTS.get(token, token) for token in tokens]
    denials = sum(token in _NOT or token.endswith("n't") for token in tokens)
    return Gist(
        frozenset(content_of(sentence)),
        frozenset(n for n in numbers if n[:1].isdigit()),
        frozenset(names_of(sentence)),
        denials % 2 == 1,
    )


def content_of(text: str) -> list[int]:
    """The codes of the words that say something, in reading order."""
    words = (token for token in tokens_of(text) if not is_stopword(token) and token not in _NOT)
    return [code for word in words for code in look_up(word)[0]]


def names_of(text: str, *, first: bool = True) -> list[str]:
    """Names in a text, in lower case, in order: words with a capital, and runs of them.

    Args:
        text: One sentence, or several.
        first: Whether a single word that opens a sentence may be a name, as it may be any word.
    """
    found = []
    opens = {sentence.start for sentence in sentences_of(text)}
    for match in _NAME.finditer(text):
        words = match[0].removesuffix("'s").removesuffix("’s").casefold().split()
        while words and (is_stopword(words[0]) or words[0] in _NO_NAMES):
            del words[0]
        opening = len(words) == 1 == len(match[0].split()) and match.start() in opens
        if words and (first or not opening):
            found.append(" ".join(words))
    return found


def is_telling(sentence: str) -> bool:
    """Whether a sentence tells something: no question, and not too short to say much."""
    return (
        not sentence.endswith("?")
        and bool(_LETTER.search(sentence))
        and len(gist_of(sentence).terms) >= 2
    )
