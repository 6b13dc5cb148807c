"""Split a document into sections, with the exact span of each.

In: Markdown, plain text or anything else as text. Out: spans in order, without overlaps, that hold
every character that is not white space, and the headings above each. One pass over the lines:
linear in the length of the text. Code between fences stays whole, unless it is very long.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION_WORDS = 300
_LONGEST_CODE = 65_536  # characters of fenced code that stay together
_CHARACTERS_PER_WORD = 8  # where words are long, or written without spaces
_FRONT_MATTER_LINES = 200
_LONGEST_TITLE = 200

_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t\r]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t\r]*$")
_FENCE = re.compile(r"[ \t]{0,12}(?:[-*+>][ \t]+)?(`{3,}(?=[^`]*$)|~{3,})")
_LIST_ITEM = re.compile(r"\s*(?:[-*+>|]|\d{1,9}[.)])(?:\s|$)")
_WORD = re.compile(r"\S+\s*")
_SENTENCE_END = re.compile(r"[.!?…](?=\s)|[。！？]")


class Section(NamedTuple):
    """Characters `start` to `end` (exclusive) of a document, and the headings above them."""

    start: int
    end: int
    heading_path: tuple[str, ...]


class _Block(NamedTuple):
    """A heading (level 1 to 6), or a paragraph, list or piece of code (level 0)."""

    start: int
    end: int
    level: int = 0
    title: str = ""
    is_code: bool = False


def sections(text: str, *, max_words: int = SECTION_WORDS) -> list[Section]:
    """The sections of a document: one or more for each heading, of about `max_words` at most.

    A heading belongs to the section that it opens. Headings that follow each other downwards open
    one section. The spans neither begin nor end with white space.
    """
    made: list[Section] = []
    path: list[tuple[int, str]] = []
    run: list[_Block] = []
    size = 0

    def close() -> None:
        if run:
            made.append(Section(run[0].start, run[-1].end, tuple(title for _, title in path)))
            run.clear()

    for block in _blocks(text):
        if block.level:
            only_headings = all(b.level for b in run)
            if not (run and only_headings and block.level > run[-1].level):
                close()
                size = 0
            while path and path[-1][0] >= block.level:
                path.pop()
            path.append((block.level, block.title))
            run.append(block)
            continue
        for piece in _pieces(text, block, max_words):
            words = _size(text, piece.start, piece.end)
            if size and size + words > max_words:
                close()
                size = 0
            run.append(piece)
            size += words
    close()
    return made


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each line, without its newline."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield start, end
        start = end + 1
    if start < len(text):
        yield start, len(text)


def _blocks(text: str) -> Iterator[_Block]:
    """The blocks of a text, trimmed of white space."""
    scanner = _Scanner(text)
    for start, end in _lines(text):
        yield from scanner.feed(start, end)
    yield from scanner.finish()


class _Scanner:
    """Reads line by line; holds at most the block that is open."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = -1  # of the open block
        self._lines_open = 0
        self._fence = ""
        self._front_end = _front_matter_end(text)

    def feed(self, start: int, end: int) -> Iterator[_Block]:
        """Take one line; yield the blocks that it completes."""
        if end <= self._front_end:
            self._extend(start, end)
            if end == self._front_end:
                yield from self.finish()
            return
        line = self._text[start:end]
        if self._fence:
            self._extend(start, end)
            if line.strip()[: len(self._fence)] == self._fence and not line.strip(" \t\r>`~"):
                yield from self.finish(is_code=True)
            return
        if not line or line.isspace():
            yield from self.finish()
            return
        yield from self._content(line, start, end)

    def _content(self, line: str, start: int, end: int) -> Iterator[_Block]:
        heading = _HEADING.match(line)
        if heading:
            yield from self.finish()
            yield self._trimmed(start, end, len(heading[1]), _title(line[heading.end() :]))
            return
        underline = _UNDERLINE.match(line)
        if underline and self._may_be_title():
            title = self._text[self._start : self._end].strip()
            yield self._trimmed(self._start, end, 1 if underline[1][0] == "=" else 2, title)
            self._start = -1
            return
        fence = _FENCE.match(line)
        if fence:
            yield from self.finish()
            self._fence = fence[1]
        self._extend(start, end)

    def finish(self, *, is_code: bool = False) -> Iterator[_Block]:
        """Close the open block."""
        if self._start >= 0:
            block = self._trimmed(self._start, self._end, is_code=is_code or bool(self._fence))
            if block.start < block.end:
                yield block
        self._start, self._fence = -1, ""

    def _extend(self, start: int, end: int) -> None:
        if self._start < 0:
            self._start, self._lines_open = start, 0
        self._lines_open += 1
        self._end = end

    def _may_be_title(self) -> bool:
        if self._start < 0 or self._lines_open != 1 or self._end - self._start > _LONGEST_TITLE:
            return False
        return not _LIST_ITEM.match(self._text[self._start : self._end])

    def _trimmed(
        self, start: int, end: int, level: int = 0, title: str = "", *, is_code: bool = False
    ) -> _Block:
        piece = self._text[start:end]
        left = len(piece) - len(piece.lstrip())
        return _Block(start + left, start + len(piece.rstrip()), level, title, is_code)


def _title(line: str) -> str:
    """The words of a heading, without the marks that may close it."""
    title = line.strip()
    bare = title.rstrip("#")
    closes = bare != title and (not bare or bare[-1].isspace())
    return (bare.rstrip() if closes else title)[:_LONGEST_TITLE]


def _front_matter_end(text: str) -> int:
    """Where the closing line of front matter ends; -1 without front matter."""
    for number, (start, end) in enumerate(_lines(text)):
        line = text[start:end].rstrip()
        if number == 0 and line.lstrip("\ufeff") != "---":
            return -1
        if number and line in {"---", "..."}:
            return end
        if number > _FRONT_MATTER_LINES:
            return -1
    return -1


def _size(text: str, start: int, end: int) -> int:
    """Words, or what the length amounts to where there are few spaces."""
    return max(len(text[start:end].split()), (end - start) // _CHARACTERS_PER_WORD)


def _pieces(text: str, block: _Block, max_words: int) -> Iterator[_Block]:
    """The block, cut where it is longer than a section."""
    if block.is_code and block.end - block.start <= _LONGEST_CODE:
        yield block
        return
    start, most = block.start, max_words * _CHARACTERS_PER_WORD
    if block.is_code:
        most = _LONGEST_CODE
    while start < block.end:
        end = _window_end(text, start, block, max_words, most)
        if end < block.end:
            end = _cut(text, start, end)
        piece = text[start:end]
        left = len(piece) - len(piece.lstrip())
        if left < len(piece):
            yield _Block(start + left, start + len(piece.rstrip()), is_code=block.is_code)
        start = end


def _window_end(text: str, start: int, block: _Block, max_words: int, most: int) -> int:
    """The furthest that a piece may reach."""
    limit = min(start + most, block.end)
    if block.is_code:
        return limit
    end = start
    for count, word in enumerate(_WORD.finditer(text, start, limit), 1):
        end = word.end()
        if count == max_words:
            return end
    return limit


def _cut(text: str, start: int, end: int) -> int:
    """The best place to cut in the second half of a window: a line, a sentence, a word."""
    middle = start + (end - start) // 2
    newline = text.rfind("\n", middle, end)
    if newline > start:
        return newline + 1
    sentence = 0
    for match in _SENTENCE_END.finditer(text, middle, end):
        sentence = match.end()
    if sentence:
        return sentence
    for place in range(end - 1, middle, -1):
        if text[place].isspace():
            return place + 1
    return end
