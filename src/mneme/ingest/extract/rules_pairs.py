"""Read lists of "key: value": a turn that is nothing but pairs, or a JSON object of scalars.

Works in any script. Prose with a colon, times, URLs, code and lists inside other text are no pairs:
either every line of a turn is one, or none.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

_PAIR: Final = re.compile(
    r"\s*(?:[-*•]\s+|\d{1,3}[.)]\s+)?(?P<mark>\*\*)?(?P<key>[^\W\d_][^\n:=;"
    r"|<>{}()\[\]\"`~\\/?!.,→*]{0,60}?)(?(mark)(?:\*\*)?)"
    r"\s*(?:(?:->|→|=>)\s*|(?:=|：)\s*|:(?:\*\*)?\s+)(?P<value>[^\s=].*?)\s*"
)
_NO_KEY: Final = re.compile(
    r"\b(?:i|i['’]m|you|he|she|they|we|it|this|that|these|those|me|is|are|was|were|am|be|do|does"
    r"|did|have|has|had|said|says|ask\w*|told"
    r"|write|please|listen|look|ps|fyi|btw|tldr|hey|hi|hello|dear|question|answer|re|note|notes"
    r"|example|warning|edit|hint|tip"
    r"|user|assistant|system|human|ai|bot|q|a|here|there|what|why|how|when|where|who|which|if"
    r"|because|but|so|okay|ok|yes|no|well"
    r"|also|thanks|update|summary|translate|explain|prompt|input|output|task|create|make|give"
    r"|generate|rewrite|summarize"
    r"|http|https|ftp|file|step|option|remember\w*|forget\w*|keep|confirm\w*|correction|reminder"
    r"|feedback|lesson|outcome|reflection|procedure|policy"
    r"|observation|constraint|rule|request|anyway|honestly|thing|things|verdict|result|results"
    r"|moral|conclusion|text|sentence|paragraph"
    r"|follow|following|below|above|context|instruction|instructions|content|thought|thoughts"
    r"|idea|ideas|plot|story)\b",
    re.IGNORECASE,
)
_NO_VALUE: Final = re.compile(
    r"(?:(?:i|i['’](?:m|ve|d|ll)|you|he|she|they|we|it|it['’]s|there|let['’]s|please)\b"
    r"|(?:what|why|how|can|could|do|does|did|is|are|should|would)\s\S+\s|//)",
    re.IGNORECASE,
)
_CODE_MARKS: Final = (
    ";", "{", "}", "=", "(", "def ", "let ", "const ", "var ", "int ", "import ", "return ",
)  # fmt: skip
_TWO: Final = re.compile(
    r"(?<!\bSt)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\b[A-Z])[.!]\s+[A-Z]|[。！]\S"
)
_CODE: Final = re.compile(
    r"[;{}]\s*$|==|!=|\(\)|^\s*(?:def|let|const|var|int|float|import|return)\b|\w\(.*\)"
)
_MOST_WORDS: Final = 14
_CODE_CHARS: Final = 400  # a longer line of pairs is no code
_JSON_REACH: Final = 4096  # characters of other pairs between two scalars


class Pair(NamedTuple):
    """A key with its value, and the characters that say both."""

    start: int
    end: int
    key: str
    value: str
    text: str


def pairs_of(text: str, filled: str) -> list[Pair]:
    """The pairs that a turn consists of; none if it holds anything else."""
    if text.lstrip()[:1] == "{":
        return _of_json(text)
    colon = next((mark for mark in (":", "=", "->", "→", "：") if mark in filled[:120]), None)
    if colon is None:
        return []
    found: list[Pair] = []
    start = 0
    for line in filled.splitlines(keepends=True):
        if line.strip():
            pairs = _of_line(line, start, text)
            if not pairs:
                return []
            found += pairs
        start += len(line)
    return found


def _of_line(line: str, start: int, text: str) -> list[Pair]:
    """The pairs of a line, parted by semicolons or commas; none if a part is no pair."""
    if "?" in line or (
        any(mark in line for mark in _CODE_MARKS)
        and len(line) <= _CODE_CHARS
        and _CODE.search(line)
    ):
        return []
    for separator in (";", ","):
        if separator in line.rstrip(" ;,.\n"):
            pairs = _of_parts(line, start, text, separator)
            if len(pairs) > 1:
                return pairs
    return _of_parts(line, start, text, None)


def _of_parts(line: str, start: int, text: str, separator: str | None) -> list[Pair]:
    pairs = []
    place = start
    for part in line.split(separator) if separator else [line]:
        if part.strip(" \t\r\n."):
            pair = _pair(part, place, text)
            if pair is None:
                return []
            pairs.append(pair)
        place += len(part) + 1
    return pairs


def _pair(part: str, start: int, text: str) -> Pair | None:
    if len(part) > 400:
        return None
    match = _PAIR.fullmatch(part.rstrip(" \t\r\n"))
    if match is None:
        return None
    key, value = match["key"].strip(" *"), match["value"].rstrip(" .")
    words = key.split()
    if not value or len(words) > 5 or len(value.split()) > _MOST_WORDS or _is_prose(key, value):
        return None
    first = start + match.start("key")
    end = start + match.start("value") + len(value)
    return Pair(first, end, key, text[start + match.start("value") : end], text[first:end])


def _is_prose(key: str, value: str) -> bool:
    """Whether a colon stands in prose: who speaks, what is asked, a time, an address."""
    if _NO_KEY.search(key) or _NO_VALUE.match(value) or value.endswith(":") or _TWO.search(value):
        return True
    return ": " in value or "://" in value or (value.endswith("!") and len(value.split()) > 3)


def _of_json(text: str) -> list[Pair]:
    """The scalars of a JSON object that is the whole turn."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(read, dict):
        return []
    found = []
    place = 0
    for key, value in read.items():
        if isinstance(value, (str, int, float)) and str(value).strip() and key.strip():
            span = _json_span(text, key, value, place)
            if span is None:
                break
            place = span[1]
            said = json.dumps(value) if isinstance(value, bool) else str(value)
            found.append(Pair(*span, key, said, f"{key}: {said}"))
    return found


def _json_span(text: str, key: str, value: object, place: int) -> tuple[int, int] | None:
    """Where a pair stands in the text that it was parsed from; None if it is written otherwise."""
    for ascii_only in (False, True):
        name = json.dumps(key, ensure_ascii=ascii_only)
        said = json.dumps(value, ensure_ascii=ascii_only)
        start = text.find(name, place, place + _JSON_REACH + len(name))
        behind = start + len(name)
        end = text.find(said, behind, behind + 16 + len(said)) if start >= 0 else -1
        if end >= 0:
            return start, end + len(said)
    return None
