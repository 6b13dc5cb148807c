"""Text to terms: what is compared when a question meets a text by its words.

In: text in any script. Out: a code (uint32) for each term in reading order, and flags that say
which kinds of words the text holds. Latin words are lower-cased, accents folded, and stemmed
(Porter's second algorithm); scripts without spaces give single characters and pairs; numbers lose
their thousands' separators; an emoji is a term. A code is the CRC-32 of the term, so that it is the
same in every process and version of Python.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from array import array
from typing import Final
from zlib import crc32

import Stemmer

from mneme.memories.plaintext.language.words import FLAGS, STOPWORDS

# Scripts written without spaces: Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han, Yi.
_UNSPACED: Final = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua000-\ua4cf\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Vowel signs and other marks that belong to a word though Python does not count them as letters.
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f"
    "\u0670\u06d6-\u06ed"
)
_INDIC: Final = "\u0900-\u0963\u0966-\u0dff"
_NUMBER: Final = r"\d+(?:[.,]\d+)*(?![^\W_])"
_ASCII_TOKEN: Final = re.compile(rf"{_NUMBER}|[a-z0-9]+(?:'[a-z]+)?")
_ANY_TOKEN: Final = re.compile(
    rf"{_NUMBER}"
    rf"|[{_UNSPACED}]+"
    rf"|(?:[^\W_{_UNSPACED}]|[{_MARKS}{_INDIC}\u200c\u200d])+(?:'[a-z]+)?"
    r"|[^\w\s\x00-\xbf\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\uff00-\uff65]"
)
_ALL_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_LETTERS_OR_DIGITS: Final = re.compile(r"\d+|[^\W\d_]+")
_UNSPACED_START: Final = re.compile(rf"[{_UNSPACED}]")
_FOLDED: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f"
    "\u0670\u200c\u200d]"
)
_QUOTES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})
_SUFFIXES: Final = frozenset({"s", "t", "d", "ll", "m", "re", "ve"})
_CACHED_WORDS: Final = 200_000

_stem = Stemmer.Stemmer("english", 0).stemWord
_seen: dict[str, tuple[tuple[int, ...], int]] = {}


def code_of(term: str) -> int:
    """The code of one term that is already folded and stemmed."""
    return crc32(term.encode("utf-8", "surrogatepass"))


def tokens_of(text: str) -> list[str]:
    """The words, numbers, runs without spaces and emoji of a text, in order, lower-cased.

    A text that has none of these gives what stands between its spaces.
    """
    if text.isascii():
        return _ASCII_TOKEN.findall(text.lower()) or text.split()
    folded = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    return _ANY_TOKEN.findall(folded) or folded.split()


def codes_of(text: str) -> list[int]:
    """The codes of a text's terms, in reading order."""
    return [code for token in tokens_of(text) for code in look_up(token)[0]]


def scan(text: str) -> tuple[list[int], int]:
    """The codes of a text's terms, and the flags of its words (`words.FLAGS`) put together."""
    codes: list[int] = []
    flags = 0
    seen = _seen
    for token in tokens_of(text):
        entry = seen.get(token) or look_up(token)
        codes += entry[0]
        flags |= entry[1]
    return codes, flags


def pack(codes: list[int]) -> bytes:
    """Codes as little-endian uint32."""
    packed = array("I", codes)
    if sys.byteorder == "big":  # pragma: no cover
        packed.byteswap()
    return packed.tobytes()


def is_stopword(token: str) -> bool:
    """Whether a token says too little to search for by itself."""
    return token in STOPWORDS


def look_up(token: str) -> tuple[tuple[int, ...], int]:
    """The codes and flags of one token, kept for the next time."""
    entry = _seen.get(token)
    if entry is None:
        entry = tuple(code_of(term) for term in _terms_of(token)), FLAGS.get(token, 0)
        if len(_seen) >= _CACHED_WORDS:
            _seen.clear()
        _seen[token] = entry
    return entry


def _terms_of(token: str) -> list[str]:
    if _ALL_NUMBER.fullmatch(token):
        return [_number(token)]
    if _UNSPACED_START.match(token):
        pairs = [token[i : i + 2] for i in range(len(token) - 1)]
        return [*token, *pairs]
    parts = _LETTERS_OR_DIGITS.findall(token)
    if len(parts) > 1 and any(part.isdigit() for part in parts):  # "16gb": also as "16", "gb"
        return [token, *(_number(part) if part.isdigit() else stem(part) for part in parts)]
    head, _, tail = token.partition("'")
    if tail and tail not in _SUFFIXES:
        return [stem(head), stem(tail)]
    return [stem(head)]


def _number(token: str) -> str:
    whole, dot, part = token.replace(",", "").partition(".")
    if not whole.isascii() and whole.isdecimal():
        whole = "".join(str(unicodedata.decimal(digit)) for digit in whole)
    return (whole.lstrip("0") or "0") + (dot + part if part.strip("0") else "")


def stem(word: str) -> str:
    """A word without accents and endings."""
    if not word.isascii():
        word = _FOLDED.sub("", unicodedata.normalize("NFD", word)) or word
        word = unicodedata.normalize("NFC", word)
    return str(_stem(word))
