"""A backup that is taken while a server works, and what comes back with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

MNEME = [sys.executable, "-m", "mneme"]
_WAITS_S = 60


def mneme(*arguments: str | Path) -> str:
    done = subprocess.run(
        [*MNEME, *arguments], capture_output=True, text=True, check=False, timeout=_WAITS_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def served(store: Path, key: Path) -> Iterator[httpx2.Client]:
    """`mneme serve` over a store, with a client that holds the key of the file."""
    places = ["--store", str(store), "--key-file", str(key)]
    command = [*MNEME, "serve", "--port", "0", "--json", *places]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        try:
            said = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")
            headers = {"Authorization": f"Bearer {key.read_text().strip()}"}
            with httpx2.Client(base_url=said["url"], headers=headers, timeout=30) as http:
                yield http
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
    assert server.returncode == 0


class Writer(threading.Thread):
    """Adds until it is told to end; remembers what was acknowledged."""

    def __init__(self, http: httpx2.Client) -> None:
        super().__init__()
        self._http, self._ends = http, threading.Event()
        self.done: list[str] = []
        self.wrote_some = threading.Event()

    def run(self) -> None:
        while not self._ends.is_set():
            body = {"content": f"Note number {len(self.done)}.", "infer": "none"}
            answer = self._http.post("/v1/namespaces/alice/memories", json=body)
            assert answer.status_code == 201
            self.done.append(answer.json()["cubes"][0]["id"])
            if len(self.done) == 20:
                self.wrote_some.set()

    def end(self) -> None:
        self._ends.set()
        self.join(_WAITS_S)


def test_a_snapshot_of_a_server_that_writes_is_whole_and_holds_the_keys(tmp_path: Path) -> None:
    store, backup, key = tmp_path / "store", tmp_path / "backup", tmp_path / "first.key"
    with served(store, key) as http:
        writer = Writer(http)
        writer.start()
        assert writer.wrote_some.wait(_WAITS_S)
        before = list(writer.done)
        head = mneme("audit", "--head", "--store", store).strip()
        mneme("snapshot", backup, "--store", store)
        writer.end()
    assert len(writer.done) > len(before)
    mneme("verify", "--store", backup, "--audit-head", head)
    with served(backup, key) as http:  # the same key opens the copy
        for cube_id in before:
            assert http.get(f"/v1/namespaces/alice/memories/{cube_id}").status_code == 200


def test_what_is_erased_later_is_in_the_backup_still_and_the_receipt_says_where(
    tmp_path: Path,
) -> None:
    store, backup, key = tmp_path / "store", tmp_path / "backup", tmp_path / "first.key"
    with served(store, key) as http:
        added = http.post("/v1/namespaces/alice/memories", json={"content": "A secret."})
        cube_id = added.json()["cubes"][0]["id"]
        mneme("snapshot", backup, "--store", store)
        erased = http.post("/v1/namespaces/alice/erase", json={"target": cube_id})
        assert erased.status_code == 200
        assert str(backup) in erased.text
    with served(backup, key) as http:
        kept = http.get(f"/v1/namespaces/alice/memories/{cube_id}")
        assert kept.json()["text"] == "A secret."


def test_a_damaged_backup_is_told(tmp_path: Path) -> None:
    store, backup = tmp_path / "store", tmp_path / "backup"
    mneme("add", "Tea at four.", "--store", store)
    mneme("snapshot", backup, "--store", store)
    [database] = backup.glob("*.db")
    data = bytearray(database.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    database.write_bytes(data)
    done = subprocess.run(
        [*MNEME, "verify", "--store", backup], capture_output=True, check=False, timeout=_WAITS_S
    )
    assert done.returncode == 3


@pytest.mark.parametrize("target", ["postgresql://localhost/mneme"])
def test_a_database_that_is_not_there_yet_is_refused_with_a_word(
    target: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*MNEME, "serve", "--port", "0", "--store", target],
        capture_output=True,
        text=True,
        check=False,
        timeout=_WAITS_S,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "postgres" in done.stderr.lower()
