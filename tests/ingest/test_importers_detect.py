"""The format of a file is told by what is in it."""

from __future__ import annotations

import gzip
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers import detect, formats, read

if TYPE_CHECKING:
    from pathlib import Path

CASES: list[tuple[str, Any]] = [
    ("chatgpt", [{"title": "t", "mapping": {}}]),
    ("claude", [{"uuid": "c", "chat_messages": []}]),
    ("claude", {"conversations": [{"uuid": "c", "chat_messages": []}]}),
    ("longmemeval", [{"question_id": "q", "haystack_sessions": []}]),
    ("longmemeval", {"question_id": "q", "haystack_sessions": []}),
    ("locomo", [{"sample_id": "s", "conversation": {"session_1": []}}]),
    ("locomo", {"speaker_a": "A", "session_1": []}),
    ("mem0", {"results": [{"id": "1", "memory": "x"}]}),
    ("mem0", {"results": []}),
    ("mem0", {"count": 0, "results": []}),
    ("mem0", [{"id": "1", "memory": "x", "text": "y"}]),
    ("jsonl", [{"role": "user", "content": "x"}]),
    ("jsonl", {"messages": [{"role": "user", "content": "x"}]}),
    ("jsonl", [5, None, {"text": "x"}]),
    ("jsonl", ["text"]),
    ("jsonl", []),
]


@pytest.mark.parametrize(("name", "value"), CASES)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_files(tmp_path: Path, name: str, value: object, indent: int | None) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(value, indent=indent))
    assert detect(path) == name
    path.write_bytes(("\ufeff" + json.dumps(value)).encode())
    assert detect(path) == name
    path.write_bytes(json.dumps(value).encode("utf-16"))
    assert detect(path) == name
    packed = tmp_path / "export.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(value).encode()))
    assert detect(packed) == name
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("folder/conversations.json", json.dumps(value))
    assert detect(archive) == name


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("chat.jsonl", '{"role": "user", "content": "x"}\n', "jsonl"),
        ("chat.ndjson", '"text"\n', "jsonl"),
        ("chat.jsonl", "{broken\n", "jsonl"),
        ("chat.jsonl", "", "jsonl"),
        ("mem.jsonl", '{"id": "1", "memory": "x"}\n', "mem0"),
        ("noext", '{"role": "user", "content": "x"}\n{"role": "user", "content": "y"}', "jsonl"),
        ("note.md", "# hello", "markdown"),
        ("note.txt", "[1, 2", "markdown"),
    ],
)
def test_other_files(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    assert detect(tmp_path / name) == expected


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "n.md").write_text("x")
    assert detect(tmp_path) == "markdown"
    (tmp_path / "conversations.json").write_text('[{"mapping": {}}]')
    assert detect(tmp_path) == "chatgpt"


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\x89PNG\r\n", b"[1, 2, 3]", b'{"a": 1}', b"[[[[", b"%PDF-1.7", b"\x00\x01",
     b"<html>", b'[{"a": 1}' + b',{"a": 1}' * 500 + b"]"],
)  # fmt: skip
def test_anything_else_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    with pytest.raises(ImportRefusedError):
        detect(path)


def test_the_refusal_names_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"a": 1}')
    with pytest.raises(ImportRefusedError, match=r"chatgpt.*claude.*jsonl.*markdown"):
        read(path)
    with pytest.raises(ImportRefusedError, match="no format 'x'"):
        read(path, format="x")
    with pytest.raises(ImportRefusedError, match="there is no file"):
        read(tmp_path / "none.json")


def test_every_format_has_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("[]")
    assert formats() == (
        "chatgpt", "claude", "jsonl", "locomo", "longmemeval", "markdown", "mem0",
    )  # fmt: skip
    for name in formats():
        assert list(read(path, format=name)) == [] or name == "markdown"
