"""A folder of notes in Markdown (or plain text), or one such file: each is a document.

The date is that of the front matter, or else of the file's name. Hidden folders, and links that
lead out of the folder, are left alone.
"""

from __future__ import annotations

import codecs
import os
import re
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers.items import (
    ImportItem,
    Progress,
    Skipped,
    checked,
    clean,
    clean_name,
    digest,
)
from mneme.ingest.importers.moments import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NOTE_BYTES = 64 * 2**20
SUFFIXES = frozenset({".md", ".markdown", ".mdx", ".txt"})

_FRONT_MATTER = re.compile(
    r"\ufeff?---[ \t]*\r?\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)", re.DOTALL
)
_ENTRY = re.compile(r"^([A-Za-z][\w -]{0,40}):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_LIST_ITEM = re.compile(r"^[ \t]*-[ \t]+(.*?)[ \t\r]*$", re.MULTILINE)
_DATES = ("date", "created", "created_at", "created at", "datetime", "updated", "modified")
_TITLE = re.compile(r"^#[ \t]+(.{1,200})$", re.MULTILINE)
_NAME_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d)(?!\d)")


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The notes of a folder, in the order of their paths.

    Raises:
        ImportRefusedError: It is not there, or holds no note.
    """
    notes = list(notes_in(path))
    if not notes:
        raise ImportRefusedError(f"{str(path)!r} holds no note ({', '.join(sorted(SUFFIXES))})")
    root = path if path.is_dir() else path.parent
    total, done = sum(_size(note) for note in notes), 0
    for note in notes:
        name = clean(note.relative_to(root).as_posix())[0]
        yield _note(note, name, root, timezone)
        done += _size(note)
        if progress:
            progress(min(done, total), total)


def notes_in(path: Path) -> Iterator[Path]:
    """The notes of a folder in the order of their paths; a file is its own note."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(folder, name)


def _size(note: Path) -> int:
    try:
        return note.stat().st_size
    except OSError:
        return 0


def _note(note: Path, name: str, root: Path, timezone: tzinfo) -> ImportItem | Skipped:
    if not note.resolve().is_relative_to(root.resolve()):
        return Skipped(name, "a link that leads out of the folder")
    if _size(note) > MAX_NOTE_BYTES:
        return Skipped(name, f"larger than {MAX_NOTE_BYTES // 2**20} MiB")
    try:
        text = _decoded(note.read_bytes())
    except OSError as error:
        return Skipped(name, f"cannot be read ({error.strerror})")
    front = _front_matter(text)
    title = _TITLE.search(text[:5000])
    return checked(
        ImportItem(
            content=text,
            where=name,
            idempotency_key=f"markdown:{name}:{digest(text)}",
            session=name,
            at=_date(front, note.stem, timezone),
            type="document",
            origin="document",
            metadata={
                "path": name,
                "title": front.get("title") or (title[1].strip() if title else note.stem),
                "tags": _tags(front.get("tags", "")),
            },
        )
    )


def _decoded(raw: bytes) -> str:
    """The text; bytes of no known encoding become U+FFFD."""
    for bom, encoding in (
        (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):  # fmt: skip
        if raw.startswith(bom):
            return raw[len(bom) :].decode(encoding, "replace")
    return raw.decode("utf-8", "replace")


def _front_matter(text: str) -> dict[str, str]:
    """The entries of the front matter, as written; a list is joined by commas."""
    block = _FRONT_MATTER.match(text)
    if not block:
        return {}
    entries = list(_ENTRY.finditer(block[1]))
    ends = [entry.start() for entry in entries[1:]] + [len(block[1])]
    found = {}
    for entry, end in zip(entries, ends, strict=True):
        listed = _LIST_ITEM.findall(block[1][entry.end() : end])
        found[entry[1].lower()] = (entry[2] or ", ".join(listed)).strip("\"'")
    return found


def _date(front: dict[str, str], stem: str, timezone: tzinfo) -> datetime | None:
    for key in _DATES:
        moment = moment_of(front.get(key), timezone)
        if moment:
            return moment
    named = _NAME_DATE.search(stem)
    return moment_of(re.sub(r"[_.]", "-", named[1]), timezone) if named else None


def _tags(written: str) -> list[str] | None:
    names = [clean_name(tag.strip(" \"'#")) for tag in written.strip("[]").split(",")]
    return [name for name in names if name] or None
