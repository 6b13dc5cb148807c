"""BERT's tokenisation (uncased) in plain Python: a text in, rows of a vocabulary out.

The same ids as the `tokenizers` package gives with BertNormalizer, BertPreTokenizer and WordPiece
(the tests compare them), without the fifteen packages that it brings. Words repeat, so what a
stretch between spaces becomes is remembered, up to a bound.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_WORD_CHARS = 100  # BERT's own limit: a longer word is unknown
_CACHED_CHARS = 40

# str.split() takes these for spaces; BERT removes them, so that the words beside them join.
_REMOVED_SPACES = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_ASCII_PIECES = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Maps texts to rows of a vocabulary; words that it cannot spell are left out.

    Args:
        tokens: The vocabulary; a token's place is its row. "##" marks a piece inside a word.
        cache_entries: How many stretches are remembered at most.
    """

    def __init__(self, tokens: Iterable[str], *, cache_entries: int = 50_000) -> None:
        self._starts: dict[str, int] = {}
        self._insides: dict[str, int] = {}
        for row, token in enumerate(tokens):
            if token.startswith("##") and len(token) > 2:
                self._insides[token[2:]] = row
            else:
                self._starts[token] = row
        self._longest = max(map(len, chain(self._starts, self._insides)), default=1)
        self._cache: dict[str, tuple[int, ...]] = {}
        self._cache_entries = cache_entries

    @property
    def cached(self) -> int:
        """How many stretches are remembered now."""
        return len(self._cache)

    def rows(self, text: str) -> list[int]:
        """Rows of the text's tokens, in reading order."""
        if _REMOVED_SPACES.search(text):
            text = _REMOVED_SPACES.sub("", text)
        cache = self._cache
        found: list[int] = []
        for stretch in text.split():
            rows = cache.get(stretch)
            found += self._learn(stretch) if rows is None else rows
        return found

    def _learn(self, stretch: str) -> tuple[int, ...]:
        words = _ascii_words(stretch) if stretch.isascii() else _words(stretch)
        rows = tuple(chain.from_iterable(map(self._spell, words)))
        if len(stretch) <= _CACHED_CHARS:
            if len(self._cache) >= self._cache_entries:
                self._cache = {}
            self._cache[stretch] = rows
        return rows

    def _spell(self, word: str) -> tuple[int, ...]:
        """The longest known start, then the longest known pieces; () if any is missing."""
        whole = self._starts.get(word)
        if whole is not None:
            return (whole,)
        if len(word) > MAX_WORD_CHARS:
            return ()
        rows: list[int] = []
        known, start = self._starts, 0
        while start < len(word):
            end = min(len(word), start + self._longest)
            while end > start and word[start:end] not in known:
                end -= 1
            if end == start:
                return ()
            rows.append(known[word[start:end]])
            known, start = self._insides, end
        return tuple(rows)


def _ascii_words(stretch: str) -> list[str]:
    return _ASCII_PIECES.findall(stretch.lower() if stretch.isprintable() else _printable(stretch))


def _printable(stretch: str) -> str:
    return "".join(filter(str.isprintable, stretch)).lower()


def _words(stretch: str) -> list[str]:
    """Words and marks of a stretch with other letters than ASCII's."""
    spaced = "".join(map(_clean, stretch))
    bare = "".join(
        char.lower() for char in unicodedata.normalize("NFD", spaced) if _category(char) != "Mn"
    )
    return "".join(f" {char} " if _is_mark(char) else char for char in bare).split(" ")


def _clean(char: str) -> str:
    if char in "\x00�" or _category(char) in _REMOVED:
        return ""
    return f" {char} " if _is_cjk(ord(char)) else char


def _is_cjk(code: int) -> bool:
    return code >= 0x3400 and any(low <= code <= high for low, high in _CJK_RANGES)


def _is_mark(char: str) -> bool:
    return _category(char)[0] == "P" or (char.isascii() and not char.isalnum() and char > " ")


_category = unicodedata.category
_REMOVED = frozenset({"Cc", "Cf", "Co", "Cs"})
