"""A folder of notes becomes documents with dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers import ImportItem, Skipped, read

if TYPE_CHECKING:
    from pathlib import Path


def items(path: Path) -> dict[str, ImportItem]:
    return {item.where: item for item in read(path) if isinstance(item, ImportItem)}


def test_notes_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "trips").mkdir()
    (tmp_path / ".obsidian").mkdir()
    (tmp_path / ".obsidian" / "config.md").write_text("no")
    (tmp_path / ".hidden.md").write_text("no")
    (tmp_path / "photo.jpg").write_bytes(b"no")
    (tmp_path / "b.md").write_text("# Bread\n\nFlour and water.")
    (tmp_path / "trips" / "2024-03-20 Oslo.md").write_text("Saw the fjord.")
    (tmp_path / "a.TXT").write_text("plain")
    (tmp_path / "empty.md").write_text(" \n")
    found = list(read(tmp_path))
    assert [getattr(item, "where", None) for item in found] == [
        "a.TXT", "b.md", "empty.md", "trips/2024-03-20 Oslo.md",
    ]  # fmt: skip
    assert found[2] == Skipped("empty.md", "empty")
    bread, oslo = found[1], found[3]
    assert isinstance(bread, ImportItem)
    assert isinstance(oslo, ImportItem)
    assert (bread.type, bread.origin, bread.session, bread.at) == (
        "document", "document", "b.md", None,
    )  # fmt: skip
    assert bread.metadata == {"path": "b.md", "title": "Bread"}
    assert oslo.at == datetime(2024, 3, 20, tzinfo=UTC)
    assert oslo.metadata["title"] == "2024-03-20 Oslo"


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("date: 2024-05-01", "2024-05-01"),
        ('Date: "2024-05-01T10:30:00Z"', "2024-05-01T10:30"),
        ("title: x\ncreated: 1 May 2024", "2024-05-01"),
        ("created_at: 2024-05-01 10:30", "2024-05-01T10:30"),
        ("date: soon\nupdated: 2024-05-01", "2024-05-01"),
        ("title: no date", "2020-02-02"),
    ],
)
def test_dates_of_the_front_matter(tmp_path: Path, front: str, expected: str) -> None:
    (tmp_path / "2020-02-02.md").write_text(f"---\r\n{front}\r\n---\r\nbody")
    (item,) = items(tmp_path).values()
    assert item.at == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert item.content.startswith("---")


@pytest.mark.parametrize(
    "written", ["tags: [a, 'b c']", "tags: a, b c", "tags:\n  - a\n  - b c", "tags: '#a, #b c'"]
)
def test_title_and_tags(tmp_path: Path, written: str) -> None:
    (tmp_path / "n.md").write_text(f"---\ntitle: 'My note'\n{written}\n---\n# Other\n")
    (item,) = items(tmp_path).values()
    assert item.metadata == {"path": "n.md", "title": "My note", "tags": ["a", "b c"]}


@pytest.mark.parametrize(("stem", "day"), [("20240320", 20), ("x_2024_03_21_y", 21), ("123", None)])
def test_dates_of_file_names(tmp_path: Path, stem: str, day: int | None) -> None:
    (tmp_path / f"{stem}.md").write_text("body")
    (item,) = items(tmp_path).values()
    assert (item.at.day if item.at else None) == day


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "n.md").write_bytes("caf\u00e9".encode(encoding))
    (item,) = items(tmp_path).values()
    assert item.content == ("caf\ufffd" if encoding == "cp1252" else "caf\u00e9")


def test_one_file_is_one_note(tmp_path: Path) -> None:
    (tmp_path / "n.md").write_text("body")
    (tmp_path / "other.md").write_text("body")
    assert list(items(tmp_path / "n.md")) == ["n.md"]


def test_links_out_of_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "up").symlink_to(tmp_path)
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    (folder / "own.md").write_text("own")
    (folder / "same.md").symlink_to(folder / "own.md")
    found = {item.where: item for item in read(folder)}
    assert found["link.md"] == Skipped("link.md", "a link that leads out of the folder")
    assert isinstance(found["gone.md"], Skipped)
    assert isinstance(found["same.md"], ImportItem)
    assert len(found) == 4


def test_a_note_above_the_limit_is_skipped(tmp_path: Path) -> None:
    with (tmp_path / "big.md").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    (item,) = read(tmp_path)
    assert item == Skipped("big.md", "larger than 64 MiB")


def test_a_changed_note_has_another_key(tmp_path: Path) -> None:
    note = tmp_path / "n.md"
    note.write_text("one")
    before = items(tmp_path)["n.md"].idempotency_key
    assert items(tmp_path)["n.md"].idempotency_key == before
    note.write_text("two")
    assert items(tmp_path)["n.md"].idempotency_key != before


def test_progress_counts_bytes(tmp_path: Path) -> None:
    for name, size in (("a.md", 10), ("b.md", 30)):
        (tmp_path / name).write_text("x" * size)
    seen: list[tuple[int, int]] = []
    list(read(tmp_path, progress=lambda done, total: seen.append((done, total))))
    assert seen == [(10, 40), (40, 40)]


def test_a_folder_without_notes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(ImportRefusedError, match="neither notes"):
        list(read(tmp_path))
    with pytest.raises(ImportRefusedError, match="holds no note"):
        list(read(tmp_path, format="markdown"))
    with pytest.raises(ImportRefusedError, match="holds no note"):
        list(read(tmp_path / "none", format="markdown"))
