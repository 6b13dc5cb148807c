"""Exports open whatever they are packed in, and bombs do not."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers.sources import SMALL_BYTES, opened

if TYPE_CHECKING:
    from pathlib import Path

WANTED = re.compile(r"conversations(?:-\d+)?\.json")


def contents(path: Path) -> dict[str, bytes]:
    with opened(path, WANTED) as sources:
        return {source.name: source.read(2**30) for source in sources}


TEXT = '[{"a": "é 記憶 😀"}]'


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_every_unicode_encoding_arrives_as_utf8(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(TEXT.encode(encoding))
    assert contents(path) == {"file.json": TEXT.encode()}


def test_a_long_utf16_file_arrives_whole(tmp_path: Path) -> None:
    path, text = tmp_path / "file.json", "é😀a" * 200_000
    path.write_bytes(text.encode("utf-16"))
    assert contents(path)["file.json"].decode() == text


def test_gzip_and_zip(tmp_path: Path) -> None:
    packed = tmp_path / "file.json.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    assert contents(packed) == {"file.json.gz": TEXT.encode()}
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/conversations-001.json", "[2]")
        file.writestr("a/conversations-000.json", "[1]")
        file.writestr("a/user.json", "{}")
        file.writestr("../../conversations.json", "[0]")
    assert contents(archive) == {
        "export.zip/conversations.json": b"[0]",
        "export.zip/conversations-000.json": b"[1]",
        "export.zip/conversations-001.json": b"[2]",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export.zip", "file.json.gz"]


def test_progress_rises_to_the_total(tmp_path: Path) -> None:
    data = json.dumps(["x" * 100] * 20_000).encode()
    plain, packed, archive = (tmp_path / name for name in ("a.json", "a.json.gz", "a.zip"))
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("conversations.json", data)
    for path in (plain, packed, archive):
        seen: list[tuple[int, int]] = []
        with opened(path, WANTED, lambda *at, seen=seen: seen.append(at)) as sources:
            for source in sources:
                while source.read(10_000):
                    pass
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1] > 0
        assert len(seen) > 1


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="there is no file"):
        contents(tmp_path / "none.json")
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        contents(tmp_path)


def test_a_zip_without_conversations_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("photo.jpg", "x")
    with pytest.raises(ImportRefusedError, match=r"conversations\.json"):
        contents(path)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        contents(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("conversations.json", "w") as member,
    ):
        for _ in range(SMALL_BYTES // 2**20 + 1):
            member.write(b"[" * 2**20)
    assert path.stat().st_size < 2**20
    with pytest.raises(ImportRefusedError, match="would unpack to"):
        contents(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("conversations.json", "[]")
    raw = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.index(magic) + offset
        raw[at : at + 2] = struct.pack("<H", 1)
    path.write_bytes(raw)
    with pytest.raises(ImportRefusedError, match="encrypted"):
        contents(path)


def test_damage_inside_a_zip_or_gzip_ends_the_bytes_and_says_so(tmp_path: Path) -> None:
    data = json.dumps([f"message number {n}" for n in range(50_000)]).encode()
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("conversations.json", data)
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 40] = b"\xff" * 40
    archive.write_bytes(raw)
    packed = tmp_path / "file.json.gz"
    packed.write_bytes(gzip.compress(data)[:-5_000])
    for path in (archive, packed):
        with opened(path, WANTED) as sources:
            for source in sources:
                read = b"".join(iter(lambda s=source: s.read(1000), b""))  # type: ignore[misc]
                assert len(read) < len(data)
                assert "the file is damaged" in source.problem
