"""Put a plaintext cube into a prompt: what is shown of it, and nothing that it could forge.

In: a cube and a span of its text. Out: the lines of one item of a context. Pure functions.

A memory is data. So no text of a memory may look like a line that we wrote: an item's later lines
are indented, those of untrusted items quoted; `[7]` inside a text is broken up, since only our
citations look like that; control characters and the `<|` of chat templates go.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.cube import MemCube

    Spans = Sequence[tuple[int, int]]

STANDING_TYPES = frozenset({"instruction", "preference"})

_NAME_CHARS = 60
_WORD_SEARCH_CHARS = 40
_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MARKER = re.compile(r"\[(\s*\d+\s*)\]")
_TEMPLATE = re.compile(r"<(?=\|)")
_SENTENCE_END = re.compile(r"""(?<=[.!?…])["')\]]*\s+|(?<=[。！？])|\n+""")
_GENERATED_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_standing(cube: MemCube) -> bool:
    """Whether the cube is a wish of the user that always holds; nothing untrusted ever is."""
    return cube.type in STANDING_TYPES and cube.trust != "untrusted"


def render(cube: MemCube, n: int, span: tuple[int, int], elided: Spans = ()) -> str:
    """One item of a context: its citation, date, speaker and session, then characters of its text.

    Args:
        cube: A plaintext cube.
        n: Number of the citation.
        span: Characters shown; "…" stands for those before and after.
        elided: Characters within that "…" stands for, too.
    """
    start, end = span
    before = "… " if start > 0 else ""
    after = " …" if end < len(cube.text) else ""
    lines = (before + _escape(without(cube.text, span, elided)) + after).split("\n")
    if cube.trust == "untrusted":
        quoted = "".join(f"\n    > {line}" for line in lines)
        return f"[{n}] {_headline(cube)}, untrusted data:{quoted}"
    return f"[{n}] {_headline(cube)}: " + "\n    ".join(lines)


def without(text: str, span: tuple[int, int], elided: Spans) -> str:
    """Characters of a text, with "…" for each run of those that are left out."""
    at, end = span
    pieces = []
    for first, last in sorted(elided):
        if last <= at or first >= end:
            continue
        pieces += [text[at : max(first, at)], "…"]
        at = min(last, end)
    return "".join([*pieces, text[at:end]])


def _headline(cube: MemCube) -> str:
    """Date, speaker, type and session, as far as they say anything."""
    date = f"{cube.event_at:%Y-%m-%d}" if cube.event_at else "undated"
    words = [date, _escape_name(cube.speaker or cube.role)]
    if cube.type != "turn":
        words.append(f"({_escape_name(cube.type)})")
    line = " ".join(words)
    if cube.valid_to:
        line += f", held until {cube.valid_to:%Y-%m-%d}"
    if not _GENERATED_ID.fullmatch(cube.session) and cube.session not in cube.text:
        line += f", session {_escape_name(cube.session)}"
    return line


def _escape(text: str) -> str:
    """The text with everything broken up that could pass for ours, and plain line ends."""
    text = _CONTROL.sub(" ", _LINE_END.sub("\n", text))
    return _TEMPLATE.sub("< ", _MARKER.sub(r"[\1\\]", text))


def _escape_name(name: str) -> str:
    """A name on one line, of bounded length."""
    name = " ".join(_escape(name).split()).replace(": ", " ")
    return name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "…"


def fit_span(
    text: str, passage: tuple[int, int] | None, reach: int, fits: Callable[[int, int], bool]
) -> tuple[int, int] | None:
    """The longest run of sentences around a passage that fits.

    Args:
        text: What to cut; not blank.
        passage: Characters that matter most; None: the head of the text.
        reach: Characters on both sides beyond which nothing would fit, so as not to read a book.
        fits: Whether characters `start` to `end` fit; what is within a span that fits, fits too.

    Returns:
        A span that begins and ends at the edge of a sentence, or of a word where one sentence is
        too long: then it begins with the passage; None if not even a word fits.
    """
    start, end = (min(place, len(text) - 1) for place in passage or (0, 0))
    edges = _sentence_edges(text, max(0, start - reach), min(len(text), max(start, end) + reach))
    first = max(i for i, edge in enumerate(edges) if edge <= start)
    last = next(i for i, edge in enumerate(edges) if edge >= end and i > first)
    if not fits(*trim(text, edges[first], edges[last])):
        return _fit_words(text, max(edges[first], start), edges[last], fits)
    return trim(text, *_grow(edges, first, last, lambda *span: fits(*trim(text, *span))))


def _grow(
    edges: list[int], first: int, last: int, fits: Callable[[int, int], bool]
) -> tuple[int, int]:
    """A span from edge `first` to edge `last`, taken as far as it fits.

    One sentence of what led to it is taken first, then what follows, then what came before.
    """
    if first and fits(edges[first - 1], edges[last]):
        first -= 1
    last = _furthest(last, len(edges), lambda i: fits(edges[first], edges[i]))
    first -= _furthest(0, first + 1, lambda i: fits(edges[first - i], edges[last]))
    return edges[first], edges[last]


def _sentence_edges(text: str, low: int, high: int) -> list[int]:
    """Where sentences begin and end between two places, both included."""
    inner = {match.end() for match in _SENTENCE_END.finditer(text, low, high)}
    return sorted({low, high} | inner)


def _furthest(known: int, stop: int, holds: Callable[[int], bool]) -> int:
    """The largest number below `stop` for which `holds`, which it does at `known`."""
    while known + 1 < stop:
        middle = (known + stop) // 2
        known, stop = (middle, stop) if holds(middle) else (known, middle)
    return known


def _fit_words(
    text: str, start: int, end: int, fits: Callable[[int, int], bool]
) -> tuple[int, int] | None:
    """The longest run of words from `start` that fits."""
    length = _furthest(0, end - start, lambda n: fits(*trim(text, start, start + n)))
    cut = start + length
    space = max(text.rfind(" ", start, cut + 1), text.rfind("\n", start, cut + 1))
    if cut - space <= _WORD_SEARCH_CHARS and space > start:
        cut = space
    while cut > start and _joins(text[cut - 1], text[cut]):
        cut -= 1
    start, cut = trim(text, start, cut)
    return (start, cut) if start < cut else None


def _joins(left: str, right: str) -> bool:
    """Whether two characters are drawn as one, so that no cut may part them."""
    if unicodedata.combining(right) or "\u200d" in {left, right}:
        return True
    return right in "\ufe0e\ufe0f" or "\U0001f3fb" <= right <= "\U0001f3ff"


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
