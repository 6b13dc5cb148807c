"""Shorter forms of a text, made without a language model.

In: a text and a number of tokens. Out: its beginning, and the names and numbers of what was left
out, so that a reader sees what there is to ask memory for. Pure functions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.core.protocols import TokenCounter

CUT: Final = " […]"
_CHARS_PER_TOKEN: Final = 16  # no prose has fewer tokens than this
_NAMED_SHARE: Final = 3  # names and numbers may take a third of what there is
_MOST_NAMED: Final = 24
_READ_CHARS: Final = 20_000
_SENTENCE: Final = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n+")
_NAMED: Final = re.compile(
    r"\d+(?:[.,:/-]\d+)*(?:\s?%)?"
    r"|(?<![.!?…]\s)(?<!^)(?<!\n)\b[A-Z][\w'’-]*(?:\s[A-Z][\w'’-]*){0,3}"
)


def brief(text: str, most_tokens: int, counter: TokenCounter) -> str:
    """A text in one line of at most so many tokens; "" if not even a word fits.

    Whole where it fits; else its first sentences, cut within a word's reach, and after them the
    names and numbers that the rest holds.
    """
    flat = " ".join(text[: _READ_CHARS + most_tokens * _CHARS_PER_TOKEN].split())
    return shorten(flat, most_tokens, most_tokens - most_tokens // _NAMED_SHARE, counter)


def shorten(text: str, most_tokens: int, head_tokens: int, counter: TokenCounter) -> str:
    """A text in at most so many tokens, of which its beginning may take `head_tokens`."""
    if fits(text, most_tokens, counter):
        return text
    head = head_of(text, head_tokens, counter)
    if not head:
        return head_of(text, most_tokens, counter)
    left = most_tokens - counter.count(f"{head} ()")
    names: list[str] = []
    for name in named(text[: _READ_CHARS + len(head)], head):
        price = counter.count(f"{name}, ")
        if price <= left:
            names.append(name)
            left -= price
    longer = f"{head} ({', '.join(names)})"
    return longer if names and counter.count(longer) <= most_tokens else head


def fits(text: str, most_tokens: int, counter: TokenCounter) -> bool:
    """Whether a text has at most so many tokens; a very long one is not even counted."""
    return len(text) <= most_tokens * _CHARS_PER_TOKEN and counter.count(text) <= most_tokens


def head_of(text: str, most_tokens: int, counter: TokenCounter) -> str:
    """The beginning of a text with a mark that it was cut; "" if not even a word fits."""
    if fits(text, most_tokens, counter):
        return text
    low, high = 0, min(len(text), most_tokens * _CHARS_PER_TOKEN)
    while low < high:
        middle = (low + high + 1) // 2
        if counter.count(text[:middle] + CUT) <= most_tokens:
            low = middle
        else:
            high = middle - 1
    return _at_edge(text, low)


def _at_edge(text: str, end: int) -> str:
    """The text up to a place, cut back to a sentence or at least a word; marked as cut."""
    sentence = max((m.start() for m in _SENTENCE.finditer(text, 0, end)), default=0)
    space = max(text.rfind(" ", 0, end + 1), text.rfind("\n", 0, end + 1))
    if sentence > end // 2:
        end = sentence
    elif space > 0:
        end = space
    kept = text[:end].rstrip()
    return kept + CUT if kept else ""


def named(text: str, shown: str) -> Iterator[str]:
    """Names and numbers of a text that what is shown of it lacks, each once."""
    seen = set()
    for match in _NAMED.finditer(text):
        name = " ".join(match[0].split())
        if name not in seen and name not in shown:
            seen.add(name)
            yield name
            if len(seen) == _MOST_NAMED:
                return
