"""Open an export: a plain file, a gzipped one, or a zip, as UTF-8 bytes with progress.

In: a path. Out: one `Source` for each file of interest. Nothing is unpacked to disk, and a zip
that claims to hold far too much is refused.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Protocol

from mneme.core.errors import ImportRefusedError

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mneme.ingest.importers.items import Progress

MAX_UNZIPPED_BYTES = 16 * 2**30
MAX_RATIO = 200  # of unzipped to zipped bytes, for what is larger than SMALL_BYTES
SMALL_BYTES = 64 * 2**20

_BUFFER = 2**18
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError)


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


class Source:
    """Bytes of one file in UTF-8.

    Attributes:
        name: For reports.
        problem: What went wrong while reading; the bytes end there.
    """

    def __init__(self, name: str, stream: Readable, advance: Callable[[int], None]) -> None:
        self.name, self.problem = name, ""
        counted: io.BufferedReader = io.BufferedReader(_Counted(self, stream, advance), _BUFFER)
        head = counted.peek(4)[:4]
        bom, encoding = next(((b, e) for b, e in _BOMS if head.startswith(b)), (b"", _guess(head)))
        counted.read(len(bom))
        if encoding != "utf-8":
            counted = io.BufferedReader(_Recoded(counted, encoding), _BUFFER)
        self._stream = counted

    def read(self, size: int) -> bytes:
        """The next bytes, fewer only at the end."""
        return self._stream.read(size)

    def readline(self, size: int) -> bytes:
        """The next line, or its first `size` bytes."""
        return self._stream.readline(size)

    def peek(self) -> bytes:
        """Some of the next bytes, which stay; none only at the end."""
        return self._stream.peek(1)


class _Counted(io.RawIOBase):
    """Tells how far it is, and ends where the file is damaged."""

    def __init__(self, source: Source, stream: Readable, advance: Callable[[int], None]) -> None:
        self._source, self._stream, self._advance = source, stream, advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGE as error:
            self._source.problem = f"the file is damaged ({error})"
            data = b""
        buffer[: len(data)] = data
        self._advance(len(data))
        return len(data)


class _Recoded(io.RawIOBase):
    """UTF-8 from another encoding; what cannot be decoded becomes U+FFFD."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._pending:
            raw = self._stream.read(_BUFFER)
            text = self._decoder.decode(raw, final=not raw)
            self._pending = text.encode("utf-8", "replace")
            if not raw:
                break
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count


def _guess(head: bytes) -> str:
    """UTF-16 without a mark shows in the zero bytes of its first characters."""
    if len(head) >= 2 and head[0] and not head[1]:
        return "utf-16-le"
    if len(head) >= 2 and not head[0] and head[1]:
        return "utf-16-be"
    return "utf-8"


@contextmanager
def opened(
    path: Path, wanted: re.Pattern[str], progress: Progress | None = None
) -> Iterator[Iterator[Source]]:
    """The files of interest of an export, to be read one after the other.

    Args:
        path: A file, a gzipped file, or a zip.
        wanted: Matches the names (without folders) that count inside a zip.
        progress: Called with the bytes done and the bytes in all.

    Raises:
        ImportRefusedError: It cannot be opened, or is a zip without such a file.
    """
    with ExitStack() as stack:
        try:
            yield _sources(path, wanted, progress or (lambda _done, _total: None), stack)
        except FileNotFoundError as error:
            raise ImportRefusedError(f"there is no file {str(path)!r}") from error
        except _DAMAGE as error:
            raise ImportRefusedError(f"{path.name} cannot be read: {error}") from error


def _sources(
    path: Path, wanted: re.Pattern[str], progress: Progress, stack: ExitStack
) -> Iterator[Source]:
    file = stack.enter_context(path.open("rb"))
    total = path.stat().st_size
    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"PK":
        yield from _members(path.name, file, wanted, progress, stack)
        return
    is_packed = magic[:2] == b"\x1f\x8b"
    stream = stack.enter_context(gzip.GzipFile(fileobj=file)) if is_packed else file
    yield Source(path.name, stream, lambda _: progress(min(file.tell(), total), total))


def _members(
    name: str, file: IO[bytes], wanted: re.Pattern[str], progress: Progress, stack: ExitStack
) -> Iterator[Source]:
    archive = stack.enter_context(zipfile.ZipFile(file))
    found = [i for i in archive.infolist() if wanted.fullmatch(i.filename.rpartition("/")[2])]
    if not found:
        raise ImportRefusedError(
            f"{name} holds no file of a known name, such as conversations.json"
        )
    total, done = sum(i.file_size for i in found), 0
    if any(info.flag_bits & 1 for info in found):
        raise ImportRefusedError(f"{name} is encrypted; unpack it and import what is inside")
    packed = sum(i.compress_size for i in found)
    if total > MAX_UNZIPPED_BYTES or total > max(SMALL_BYTES, MAX_RATIO * packed):
        raise ImportRefusedError(
            f"{name} would unpack to {total:,} bytes from {packed:,}; "
            "unpack it yourself if that is right, and import what is inside"
        )

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(min(done, total), total)

    for info in sorted(found, key=lambda i: i.filename):
        with archive.open(info) as stream:
            yield Source(f"{name}/{info.filename.rpartition('/')[2]}", stream, advance)
