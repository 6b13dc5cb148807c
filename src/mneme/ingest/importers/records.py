"""Cut a JSON file of any size into its records, each parsed on its own.

In: bytes of a JSON array, of an object that holds one, or of JSON Lines. Out: values, one at a
time, or `Skipped`. A record that is damaged, too large or too deeply nested costs only itself;
at most one record is in memory. Pure but for reading.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers.items import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.ingest.importers.sources import Source

MAX_RECORD_BYTES = 64 * 2**20
MAX_DEPTH = 200

_CHUNK, _LARGEST_STEP = 2**18, 2**24
_PLAIN = rb'[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A run without brackets, but for those of objects and arrays that hold no others. Possessive, so
# that it neither backtracks nor piles up.
_RUN = re.compile(rb"(?:" + _PLAIN + rb"|[{\[](?:" + _PLAIN + rb")*+[}\]])*+", re.DOTALL)
_QUOTE, _OPENING = ord('"'), frozenset(b"{[")
_SCALAR = re.compile(rb'(?:[^",{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SPACE = re.compile(rb"[\s,\x1e]*+")
_LISTED = re.compile(rb'\{\s*"(?:results|memories|conversations|data|items)"\s*:\s*\[')


class Record(NamedTuple):
    """A value of the file, and its place: "record 3"."""

    where: str
    value: Any


class Damaged(NamedTuple):
    """The rest of the file cannot be read; `why` tells what was met."""

    where: str
    why: str


def records(
    source: Source, *, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Record | Skipped]:
    """The values of an array, of the array inside an object, or of JSON Lines.

    Args:
        source: The bytes.
        max_record_bytes: A record above it is passed over in bounded memory.

    Raises:
        ImportRefusedError: Nothing of it could be read.
    """
    any_read = False
    for item in _Cutter(source, max_record_bytes).values():
        if isinstance(item, Damaged):
            if not any_read:
                message = f"{source.name} is not readable as JSON: {item.why}, at {item.where}"
                raise ImportRefusedError(message)
            yield Skipped(item.where, f"the rest of the file was not read: {item.why}")
            return
        any_read = True
        yield item


def parse(where: str, raw: bytes) -> Record | Skipped:
    """One record from its bytes; bytes that are not UTF-8 become U+FFFD."""
    try:
        text = raw.decode("utf-8", "replace")
        return Record(where, json.loads(text, parse_constant=lambda _: None, strict=False))
    except RecursionError:
        return Skipped(where, "nested too deeply")
    except ValueError as error:
        reason = str(error).partition(":")[0]
        return Skipped(where, f"damaged JSON ({reason})")


class _Cutter:
    """Holds the bytes that are read and not yet cut."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source, self._limit = source, limit
        self._buffer = bytearray()
        self._at = 0  # in the buffer
        self._dropped = 0  # bytes before the buffer
        self._step = _CHUNK

    def values(self) -> Iterator[Record | Skipped | Damaged]:
        """The records, numbered from 1."""
        in_array = self._open()
        number = 0
        while self._skip_space():
            if self._peek() == b"]" and in_array:
                return
            number += 1
            where = f"record {number}"
            if self._peek() in b"]}":
                yield self._damaged("a bracket that nothing opens")
                return
            item = self._cut(where)
            yield item
            if isinstance(item, Damaged):
                return
        if in_array or not number:
            yield self._damaged("it breaks off" if number or in_array else "it is empty")

    def _open(self) -> bool:
        """Enter the array that holds the records; False for JSON Lines."""
        self._more()
        self._skip_space()
        if self._peek() == b"[":
            self._at += 1
            return True
        listed = _LISTED.match(self._buffer, self._at)
        if listed:
            self._at = listed.end()
            return True
        return False

    def _cut(self, where: str) -> Record | Skipped | Damaged:
        """The record that begins here."""
        self._drop(self._at)
        if self._peek() not in b"{[":
            return self._scalar(where)
        size, deepest = self._matching()
        if size < 0:
            return self._damaged("it breaks off inside a record")
        if size > self._limit:
            return Skipped(where, f"larger than {self._limit // 2**20} MiB")
        if deepest > MAX_DEPTH:
            return Skipped(where, "nested too deeply")
        return parse(where, bytes(self._buffer[: self._at]))

    def _scalar(self, where: str) -> Record | Skipped | Damaged:
        """A value that is no object: up to the next comma or bracket."""
        while True:
            end = _SCALAR.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if len(self._buffer) > self._limit:
                return self._damaged("a value without end")
            mark = bytes(self._buffer[end : end + 1])
            if mark in {b"", b'"'} and self._more():
                continue
            if mark == b'"':
                return self._damaged("it breaks off inside a text")
            self._at = max(end, self._at + 1)
            return parse(where, bytes(self._buffer[: self._at]))

    def _matching(self) -> tuple[int, int]:
        """Go behind the bracket that closes this one: bytes passed (-1 at the end), and depth."""
        buffer, begin = self._buffer, self._dropped
        depth = deepest = 1
        self._at += 1
        while True:
            self._at = _RUN.match(buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(buffer) and buffer[self._at] != _QUOTE:
                depth += 1 if buffer[self._at] in _OPENING else -1
                deepest = max(deepest, depth)
                self._at += 1
                if depth == 0:
                    return self._dropped + self._at - begin, deepest
            elif not self._read_on(begin):
                return -1, deepest

    def _read_on(self, begin: int) -> bool:
        """Get more of a record, and keep nothing of it once it is too large; False at the end."""
        if self._dropped + self._at - begin > self._limit:
            self._drop(self._at)
        if len(self._buffer) - self._at > self._limit:
            return self._pass_string()
        return self._more()

    def _pass_string(self) -> bool:
        """Drop a text that is too long to keep; False where the file ends in it."""
        self._at += 1
        while True:
            end = _STRING.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            self._drop(end)
            if self._buffer[:1] == b'"':
                self._at = 1
                return True
            if not self._more():
                return False

    def _skip_space(self) -> bool:
        """Go to the next value; False at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer):
                return True
            if not self._more():
                return False

    def _drop(self, count: int) -> None:
        """Forget bytes that are done with."""
        del self._buffer[:count]
        self._dropped += count
        self._at = 0

    def _peek(self) -> bytes:
        return bytes(self._buffer[self._at : self._at + 1])

    def _more(self) -> bool:
        """Read on, in larger steps while one text goes on; False at the end."""
        is_long = len(self._buffer) - self._at >= self._step
        self._step = min(2 * self._step, _LARGEST_STEP) if is_long else _CHUNK
        data = self._source.read(self._step)
        self._buffer += data
        return bool(data)

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"byte {self._dropped + self._at:,}", self._source.problem or why)
