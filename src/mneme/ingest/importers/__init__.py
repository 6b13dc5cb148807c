"""Readers of other systems' exports, one file for each format.

Each `read(path)` streams items in the order of the export; what cannot be imported comes as
`Skipped` with its reason, and a file that is not what it should be is an `ImportRefusedError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers import chatgpt, claude, jsonl, locomo, longmemeval, markdown, mem0
from mneme.ingest.importers.detect import FORMATS, detect, file_of
from mneme.ingest.importers.items import ImportItem, Progress, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path

__all__ = ["ImportItem", "Progress", "Skipped", "detect", "formats", "read"]


class _Read(Protocol):
    def __call__(
        self, path: Path, *, timezone: tzinfo = ..., progress: Progress | None = ...
    ) -> Iterator[ImportItem | Skipped]: ...


_READERS: dict[str, _Read] = {
    "chatgpt": chatgpt.read,
    "claude": claude.read,
    "jsonl": jsonl.read,
    "locomo": locomo.read,
    "longmemeval": longmemeval.read,
    "markdown": markdown.read,
    "mem0": mem0.read,
}


def formats() -> tuple[str, ...]:
    """The names of the formats that can be read."""
    return tuple(sorted(FORMATS))


def read(
    path: Path,
    *,
    format: str = "auto",  # noqa: A002 - the name of the public contract
    timezone: tzinfo | None = None,
    progress: Progress | None = None,
) -> Iterator[ImportItem | Skipped]:
    """The items of an export.

    Args:
        path: A file or a folder.
        format: One of `formats()`, or "auto" to tell it by the content.
        timezone: The zone of times that name none; UTC if left out.
        progress: Called with the bytes done and the bytes in all.

    Raises:
        ImportRefusedError: At once, where the format is unknown or cannot be told; with the first
            item, where the file cannot be read.
    """
    name = detect(path) if format == "auto" else format
    if name not in _READERS:
        raise ImportRefusedError(f"no format {name!r}; there are {', '.join(formats())}")
    zone = {} if timezone is None else {"timezone": timezone}
    return _READERS[name](file_of(path, name), progress=progress, **zone)
