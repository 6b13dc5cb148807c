"""A namespace as a file, out and in."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2

from mneme import Namespace
from mneme.app.memory import MemoryOS


def test_an_export_is_a_file_that_an_import_takes(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace, tmp_path: Path
) -> None:
    [cube] = alice.add("I moved to Oslo in March.", session="s1")
    alice.update(cube.id, text="I moved to Bergen in April.")
    file = http.post("/v1/namespaces/alice/export")
    assert file.status_code == 200
    assert file.headers["content-disposition"] == 'attachment; filename="alice.mneme.jsonl"'
    assert file.headers["x-mneme-cubes"] == "1"
    assert int(file.headers["content-length"]) == len(file.content)
    there = "/v1/namespaces/bob~notes/import"
    first, second = (http.post(there, content=file.content).json() for _ in range(2))
    assert (first["format"], first["added"], second["added"]) == ("mneme", 1, 0)
    bob = memory.namespace("bob/notes")
    [moved] = bob.list().items
    assert [each.text for each in bob.history(moved.id)] == [
        each.text for each in alice.history(cube.id)
    ]
    (tmp_path / "file").write_bytes(file.content)
    assert memory.namespace("carol").import_(tmp_path / "file").added == 1


def test_an_export_is_noted_as_a_copy_that_an_erasure_cannot_reach(
    http: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("I moved to Oslo in March.")
    http.post("/v1/namespaces/alice/export")
    assert len(alice.erase(cube.id).not_reached) == 1


def test_a_file_of_another_system_is_read_by_its_format_or_its_name(
    http: httpx2.Client, memory: MemoryOS
) -> None:
    line = json.dumps({"role": "user", "content": "I like tea.", "session": "s1"})
    there = "/v1/namespaces/alice/import"
    report = http.post(there, params={"format": "jsonl"}, content=line).json()
    assert (report["format"], report["added"]) == ("jsonl", 1)
    page = http.post(there, params={"filename": "tea.md"}, content="# Tea\n\nI like it green.\n")
    assert (page.json()["format"], page.json()["added"]) == ("markdown", 1)


def test_what_is_no_file_of_a_known_format_is_refused(
    http: httpx2.Client, alice: Namespace
) -> None:
    there = "/v1/namespaces/alice/import"
    for content in (b"", b"\x00\x01", b"{}"):
        answer = http.post(there, content=content)
        assert (answer.status_code, answer.json()["error"]) == (422, "ImportRefusedError")
    for bad in ("../up", "a/b", "a\\b", ""):
        assert http.post(there, params={"filename": bad}, content=b"x").status_code == 422
    assert http.post(there, params={"format": "xml"}, content=b"x").status_code == 422
    assert alice.list().items == ()


def test_a_file_that_was_cut_imports_nothing(http: httpx2.Client, alice: Namespace) -> None:
    alice.add("I moved to Oslo in March.")
    file = http.post("/v1/namespaces/alice/export").content
    answer = http.post("/v1/namespaces/bob/import", content=file[:-20])
    assert (answer.status_code, answer.json()["error"]) == (422, "ImportRefusedError")
    assert http.get("/v1/namespaces/bob/memories").json()["items"] == []
