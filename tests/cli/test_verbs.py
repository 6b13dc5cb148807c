"""Each verb does what its call does, and says so in lines and in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mneme.cli.main import app

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

Stored = Callable[[], list[str]]
UNKNOWN = "0199d2a4-3c1f-7abc-8def-0123456789ab"


class TestWriting:
    def test_add_says_what_was_kept(self, shell: Shell) -> None:
        out = shell.out("add", "I moved to Oslo.", "--at", "2026-03-20", "--speaker", "Alice")
        assert "2026-03-20T00:00:00Z  Alice  turn" in out
        assert "I moved to Oslo." in out

    def test_add_passes_every_option_on(self, shell: Shell) -> None:
        (cube,) = shell.json(
            "add", "Use metric units.", "--session", "s1", "--role", "assistant",
            "--speaker", "Bo", "--at", "2026-03-20T09:00:00Z", "--type", "instruction",
            "--metadata", "place=Oslo", "--origin", "assistant", "--label", "private",
            "--label", "work", "--priority", "0.5", "--hold", "--expires-at", "2126-01-01",
            "--idempotency-key", "k1", "--infer", "none", "-n", "acme/bo",
        )  # fmt: skip
        wanted = {
            "text": "Use metric units.", "session": "s1", "role": "assistant", "speaker": "Bo",
            "event_at": "2026-03-20T09:00:00Z", "type": "instruction", "priority": 0.5,
            "metadata": {"place": "Oslo"}, "labels": ["private", "work"], "hold": True,
            "expires_at": "2126-01-01T00:00:00Z", "namespace": "acme/bo", "version": 1,
        }  # fmt: skip
        assert {name: cube[name] for name in wanted} == wanted
        assert cube["provenance"]["origin"] == "assistant"

    def test_a_dash_reads_stdin(self, shell: Shell, stored: Stored) -> None:
        shell.run("add", "-", stdin="From a pipe.\nTwo lines.")
        assert stored() == ["From a pipe.\nTwo lines."]

    def test_a_batch_reads_json_lines(self, shell: Shell, stored: Stored) -> None:
        lines = '"One."\n\n{"content": "Two.", "speaker": "Bo"}\n{"content": ""}\n'
        report = shell.json("add", "-", "--batch", "--speaker", "Alice", stdin=lines)
        assert (report["added"], report["repeated"], len(report["refused"])) == (2, 0, 1)
        found = {cube["text"]: cube["speaker"] for cube in shell.json("list")["items"]}
        assert found == {"One.": "Alice", "Two.": "Bo"}

    def test_a_batch_from_a_file_names_what_was_refused(self, shell: Shell, tmp_path: Path) -> None:
        path = tmp_path / "lines.jsonl"
        path.write_text('"One."\n{"content": "", "role": "user"}\n')
        result = shell.run("add", str(path), "--batch")
        assert "added 1, repeated 0, refused 1" in result.stdout
        assert "item 1:" in result.stderr

    def test_a_batch_that_is_no_json_is_wrong_usage(self, shell: Shell, stored: Stored) -> None:
        assert "line 2" in shell.run("add", "-", "--batch", stdin='"a"\n{', status=2).stderr
        shell.run("add", "none.jsonl", "--batch", status=2)
        assert stored() == []

    def test_update_writes_a_version(self, shell: Shell) -> None:
        cube_id = shell.add("Tea is green.")
        cube = shell.json("update", cube_id, "--text", "Tea is black.", "--expected-version", "1")
        assert (cube["text"], cube["version"]) == ("Tea is black.", 2)
        assert "version 3" in shell.out("update", cube_id, "--text", "-", "--hold", stdin="Tea!")
        assert shell.json("get", cube_id)["hold"] is True
        error = shell.refused(1, "update", cube_id, "--text", "x", "--expected-version", "1")
        assert error["error"] == "VersionConflictError"

    def test_feedback_is_noted(self, shell: Shell) -> None:
        cube_id = shell.add("Tea is green.")
        assert shell.json("feedback", cube_id, "--used") == {"ids": [cube_id], "used": True}
        assert "noted for 1" in shell.out("feedback", cube_id, "--not-used", "--query", "tea?")


class TestReading:
    @pytest.fixture
    def cube_id(self, shell: Shell) -> str:
        shell.add("The weather is grey today.", "--at", "2026-03-01", "--session", "s0")
        words = ("--at", "2026-03-20", "--session", "s1", "--speaker", "Alice")
        return shell.add("I moved to Oslo in March.", *words)

    def test_search_gives_hits(self, shell: Shell, cube_id: str) -> None:
        hits = shell.json("search", "Where is Oslo?", "--limit", "1", "--now", "2026-06-01")
        assert [(hit["rank"], hit["cube"]["id"]) for hit in hits] == [(1, cube_id)]
        out = shell.out("search", "Where is Oslo?", "-k", "1", "--explain")
        assert "I moved to Oslo in March." in out
        assert len(out.splitlines()) == 3

    def test_search_narrows(self, shell: Shell, cube_id: str) -> None:
        words = ("--mode", "lexical", "--session", "s0", "--until", "2026-03-10", "-t", "turn")
        hits = shell.json("search", "Oslo weather", *words, "--filter", "role=user")
        assert cube_id not in [hit["cube"]["id"] for hit in hits]
        result = shell.run("search", "Oslo", "--filter", "speaker=Nobody")
        assert result.stdout == ""
        assert "nothing found" in result.stderr

    def test_recall_gives_a_context(self, shell: Shell, cube_id: str) -> None:
        context = shell.json("recall", "Where is Oslo?", "--budget-tokens", "200")
        assert "I moved to Oslo in March." in context["text"]
        assert context["tokens"] <= 200
        assert cube_id in [citation["cube_id"] for citation in context["citations"]]
        assert "I moved to Oslo" in shell.out("recall", "Where is Oslo?", "--session", "s1")
        assert "nothing found" in shell.run("recall", "Oslo?", "-b", "0").stderr

    def test_get_shows_the_header(self, shell: Shell, cube_id: str) -> None:
        assert shell.json("get", cube_id)["id"] == cube_id
        out = shell.out("get", cube_id)
        assert "I moved to Oslo in March." in out
        assert "session       s1" in out
        assert shell.json("get", cube_id, "--version", "1")["version"] == 1

    def test_list_goes_page_by_page(self, shell: Shell, cube_id: str) -> None:
        page = shell.json("list", "--limit", "1")
        rest = shell.json("list", "--limit", "5", "--cursor", page["next_cursor"])
        assert [cube["id"] for cube in rest["items"]] == [cube_id]
        assert rest["next_cursor"] is None
        assert "--cursor" in shell.run("list", "--limit", "1").stderr
        assert "grey" not in shell.out("list", "--filter", "session=s1")

    def test_history_sources_and_derived(self, shell: Shell, cube_id: str) -> None:
        shell.run("update", cube_id, "--text", "I moved to Bergen.")
        assert [cube["version"] for cube in shell.json("history", cube_id)] == [1, 2]
        assert "version 2" in shell.out("history", cube_id)
        text = "# Rules\n\nTrips are booked early.\n\n# Trains\n\nTrains come first."
        document = shell.add(text, "--type", "document")
        sections = shell.json("derived", document)
        assert len(sections) >= 2
        assert shell.json("sources", sections[0]["id"])[0]["id"] == document
        assert document in shell.out("sources", sections[0]["id"])
        assert sections[0]["id"] in shell.out("derived", document)

    def test_namespaces(self, shell: Shell, cube_id: str) -> None:
        shell.add("Hello.", "-n", "acme/bo")
        assert shell.json("namespaces") == ["acme/bo", "default"]
        assert shell.out("namespaces", "acme") == "acme/bo\n"


class TestGoverning:
    @pytest.fixture
    def cube_id(self, shell: Shell) -> str:
        return shell.add("Tea is green.")

    def test_rollback(self, shell: Shell, cube_id: str) -> None:
        shell.run("update", cube_id, "--text", "Tea is black.")
        assert shell.json("rollback", cube_id, "--to-version", "1")["text"] == "Tea is green."
        assert "Tea is black." in shell.out("rollback", cube_id, "-v", "2")

    def test_states(self, shell: Shell, cube_id: str, stored: Stored) -> None:
        assert shell.json("archive", cube_id)[0]["state"] == "archived"
        assert stored() == []
        assert "Tea is green." in shell.out("activate", cube_id)
        assert "frozen" in shell.out("freeze", cube_id)
        assert shell.refused(1, "update", cube_id, "--text", "x")["error"] == "FrozenCubeError"
        assert shell.refused(1, "archive", cube_id)["error"]
        assert shell.json("unfreeze", cube_id)[0]["state"] == "activated"

    def test_forget_and_restore(self, shell: Shell, cube_id: str, stored: Stored) -> None:
        assert [c["id"] for c in shell.json("forget", cube_id, "--dry-run")["would"]] == [cube_id]
        assert stored() == ["Tea is green."]
        assert shell.json("forget", cube_id) == {"forgotten": 1}
        assert shell.refused(1, "get", cube_id)["error"] == "CubeNotFoundError"
        assert "Tea is green." in shell.out("restore", cube_id)
        assert shell.out("forget", "--filter", "type=turn") == "forgotten: 1\n"
        assert stored() == []

    def test_erase_tries_first_and_gives_a_receipt(self, shell: Shell, stored: Stored) -> None:
        document = shell.add("# One\n\nFirst.\n\n# Two\n\nSecond.", "--type", "document")
        plan = shell.json("erase", document, "--dry-run")
        result = shell.run("erase", "--filter", "type=document", "--dry-run")
        assert f"would erase: {len(plan['would'])}" in result.stderr
        receipt = shell.json("erase", document, "--reason", "asked to")
        assert set(receipt["erased"]) == {cube["id"] for cube in plan["would"]}
        assert receipt["reason"] == "asked to"
        assert stored() == ["Tea is green."] or stored() == []

    def test_erase_in_lines(self, shell: Shell, cube_id: str) -> None:
        assert cube_id in shell.out("erase", cube_id, "--yes")

    @pytest.mark.parametrize("verb", ["forget", "erase"])
    def test_a_target_is_one_thing(self, shell: Shell, verb: str) -> None:
        assert "either ids or --filter" in shell.refused(2, verb)["message"]
        shell.refused(2, verb, UNKNOWN, "--filter", "type=turn")
        shell.refused(1, verb, UNKNOWN, "--dry-run")


class TestMoving:
    def test_export_and_import(self, shell: Shell, tmp_path: Path, stored: Stored) -> None:
        shell.add("Tea is green.", "-n", "alice")
        path = tmp_path / "alice.jsonl"
        assert str(path) in shell.out("export", str(path), "-n", "alice")
        report = shell.json("import", str(path))
        assert report
        assert stored() == ["Tea is green."]

    def test_import_of_another_program_s_export(self, shell: Shell, tmp_path: Path) -> None:
        path = tmp_path / "talk.jsonl"
        messages = [{"role": "user", "content": f"Message {n}."} for n in range(3)]
        path.write_text("\n".join(map(json.dumps, messages)))
        assert shell.out("import", str(path))
        assert len(shell.json("list")["items"]) == 3

    def test_what_is_not_there_cannot_be_imported(self, shell: Shell, tmp_path: Path) -> None:
        shell.refused(2, "import", str(tmp_path / "none.json"))
        odd = tmp_path / "odd.json"
        odd.write_bytes(b"\x00\x01\x02")
        assert shell.refused(1, "import", str(odd))["error"] == "ImportRefusedError"

    def test_snapshot(self, shell: Shell, tmp_path: Path) -> None:
        shell.add("Tea is green.")
        copy = tmp_path / "copy"
        assert str(copy) in shell.out("snapshot", str(copy))
        shell.store = str(copy)
        assert [cube["text"] for cube in shell.json("list")["items"]] == ["Tea is green."]
        assert shell.json("snapshot", str(copy.with_name("again"))) == {
            "path": str(copy.with_name("again"))
        }


class TestHealth:
    @pytest.fixture(autouse=True)
    def cube_id(self, shell: Shell) -> str:
        return shell.add("Tea is green.")

    def test_stats(self, shell: Shell) -> None:
        assert shell.json("stats")["types"] == {"turn": 1}
        assert "turn: 1" in shell.out("stats")

    def test_verify(self, shell: Shell) -> None:
        report = shell.json("verify")
        assert (report["ok"], report["problems"]) == (True, [])
        assert shell.out("verify") == "ok\n"

    def test_verify_of_a_chain_without_the_kept_head(self, shell: Shell) -> None:
        head = shell.out("audit", "--head").strip()
        assert shell.json("audit", "--head") == {"head": head}
        shell.add("Tea is black.")
        assert shell.json("verify", "--audit-head", head)["ok"]
        report = shell.json("verify", "--audit-head", "0" * len(head), status=3)
        assert not report["ok"]
        assert "problems: 1" in shell.run("verify", "--audit-head", "0" * 64, status=3).stdout

    def test_audit(self, shell: Shell) -> None:
        entries = shell.json("audit")
        assert [entry["verb"] for entry in entries][-1] == "add"
        assert "add" in shell.out("audit")
        assert shell.json("audit", "--since", "2126-01-01") == []

    def test_jobs_and_indexes(self, shell: Shell) -> None:
        assert shell.json("drain")["jobs_run"] >= 0
        assert "jobs run: " in shell.out("drain", "--timeout-s", "1")
        assert shell.json("rebuild") == {"rebuilt": True}
        assert shell.out("rebuild") == "rebuilt\n"
        assert shell.json("reindex") == {"reindexed": True}
        assert shell.out("reindex") == "reindexed\n"

    def test_doctor(self, shell: Shell) -> None:
        report = shell.json("doctor")
        assert report["ok"]
        assert report["store"]["writable"]
        assert {"python", "mneme", "sqlite", "numpy"} <= set(report["versions"])
        out = shell.out("doctor")
        assert "onnxruntime: " in out
        assert "the store is well" in out

    def test_doctor_of_a_store_without_its_embedder(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MNEME_EMBEDDER", "none")
        assert shell.json("doctor")["embedder"]["answers"] is None
        monkeypatch.setenv("MNEME_EMBEDDER", "ollama:none")
        monkeypatch.setenv("MNEME_EMBEDDER_URL", "http://127.0.0.1:9")
        report = shell.json("doctor", status=4)
        assert (report["ok"], report["embedder"]["answers"]) == (False, False)


class TestErrors:
    def test_an_error_is_one_line_without_a_traceback(self, shell: Shell) -> None:
        result = shell.run("get", UNKNOWN, status=1)
        assert result.stderr.startswith(f"mneme: no cube '{UNKNOWN}'")
        assert "Traceback" not in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize(
        "words",
        [
            ("add",),
            ("add", "x", "--bogus"),
            ("bogus",),
            ("add", "x", "--priority", "much"),
            ("add", "x", "--at", "last year"),
            ("add", " "),
            ("add", "x", "-n", "a b"),
            ("search", "x", "--filter", "owner=me"),
            ("search", "x", "--mode", "psychic"),
        ],
    )
    def test_wrong_usage_is_status_2(self, shell: Shell, words: tuple[str, ...]) -> None:
        assert shell.refused(2, *words)["message"]
        assert shell.run(*words, status=2).stdout == ""

    def test_a_damaged_store_is_status_3(self, shell: Shell, tmp_path: Path) -> None:
        shell.add("Tea is green.")
        for file in Path(shell.store).rglob("*"):
            if file.is_file():
                file.write_bytes(b"not a store" * 1000)
        assert shell.refused(3, "list")["error"] == "StoreCorruptError"

    def test_a_missing_part_is_status_4(self, shell: Shell) -> None:
        shell.store = "postgresql://nowhere/x"
        assert shell.refused(4, "list")["error"] == "MissingDependencyError"


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout.startswith("mneme ")
