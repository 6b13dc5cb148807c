"""Tell the format of an export by its content, and by its name where that says more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers import jsonl, locomo, markdown
from mneme.ingest.importers.items import Skipped
from mneme.ingest.importers.records import Record, parse, records
from mneme.ingest.importers.sources import opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mneme.ingest.importers.sources import Source

_CONVERSATIONS = "conversations.json"
_JSON = re.compile(r".+\.(?:jsonl|ndjson|json)")
_TRIED = 20  # records looked at before giving up


def _is_locomo(value: dict[str, Any]) -> bool:
    talk = value.get("conversation", value)
    return isinstance(talk, dict) and any(map(locomo.SESSION.fullmatch, talk))


def _is_mem0(value: dict[str, Any]) -> bool:
    results = value.get("results")
    if isinstance(results, list):
        return not results or (isinstance(results[0], dict) and "memory" in results[0])
    return isinstance(value.get("memory"), str)


def _is_message(value: dict[str, Any]) -> bool:
    names = {*jsonl.CONTENT, "messages", "conversations", "turns"}
    return any(isinstance(value.get(name), str | list | dict) for name in names)


_TESTS: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("chatgpt", lambda value: isinstance(value.get("mapping"), dict)),
    ("claude", lambda value: isinstance(value.get("chat_messages"), list)),
    ("longmemeval", lambda value: "haystack_sessions" in value),
    ("locomo", _is_locomo),
    ("mem0", _is_mem0),
    ("jsonl", _is_message),
)
FORMATS: tuple[str, ...] = (*(name for name, _ in _TESTS), "markdown")


def detect(path: Path) -> str:
    """The name of the format of a file or folder.

    Raises:
        ImportRefusedError: It is none of the known formats, or cannot be read.
    """
    if path.is_dir():
        inside = path / _CONVERSATIONS
        return detect(inside) if inside.is_file() else _folder(path)
    if path.suffix.lower() in markdown.SUFFIXES:
        return "markdown"
    with opened(path, _JSON) as sources:
        for source in sources:
            found = _by_content(source, is_lines=path.name.lower().endswith((".jsonl", ".ndjson")))
            if found:
                return found
    raise ImportRefusedError(
        f"{path.name} is in no known format; say which with format=, one of {', '.join(FORMATS)}"
    )


def file_of(path: Path, name: str) -> Path:
    """The file that holds the export, where a folder was named."""
    inside = path / _CONVERSATIONS
    return inside if path.is_dir() and name != "markdown" and inside.is_file() else path


def _folder(path: Path) -> str:
    if next(markdown.notes_in(path), None) is None:
        raise ImportRefusedError(
            f"the folder {path.name!r} holds neither notes in Markdown nor {_CONVERSATIONS}"
        )
    return "markdown"


def _by_content(source: Source, *, is_lines: bool) -> str | None:
    head = source.peek().lstrip(b" \t\r\n\x1e")
    if is_lines:
        first = parse("line 1", source.readline(2**24).strip())
        return _named(first.value) or "jsonl" if isinstance(first, Record) else "jsonl"
    if head[:1] not in {b"[", b"{", b'"'}:
        return None
    if re.match(rb"(?:\[\s*\]|\{\s*\"results\"\s*:\s*\[\s*\])", head):
        return "mem0" if head[:1] == b"{" else "jsonl"
    return _by_records(source)


def _by_records(source: Source) -> str | None:
    for number, record in enumerate(records(source)):
        found = None if isinstance(record, Skipped) else _named(record.value)
        if found or number >= _TRIED:
            return found
    return None


def _named(value: object) -> str | None:
    if isinstance(value, dict):
        return next((name for name, fits in _TESTS if fits(value)), None)
    return "jsonl" if isinstance(value, str) else None
