"""`mneme serve`, `mneme keys` and `mneme doctor --server`, as a person runs them."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.cli.conftest import Shell
from typer.testing import CliRunner

from mneme.app.memory import MemoryOS
from mneme.cli.main import app
from mneme.cli.server_doctor import _tell_of_key
from mneme.testing.doors import Door, running_door

COMMAND = [sys.executable, "-c", "from mneme.cli.main import main; main()", "serve"]


@dataclass(frozen=True)
class Serving:
    process: subprocess.Popen[str]
    said: list[str]

    @property
    def url(self) -> str:
        return self.said[0].split()[-1]

    @property
    def key(self) -> str:
        match = re.search(r"mneme_\w{12}_[\w-]{43}", "".join(self.said))
        assert match is not None
        return match[0]

    def get(self, path: str, key: str | None = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx2.get(self.url + path, headers=headers, timeout=30)

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit status, and what stderr said."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


@pytest.fixture(autouse=True)
def _words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEME_EMBEDDER", "none")  # processes start faster so


@contextmanager
def serving(store: Path, *words: str) -> Iterator[Serving]:
    process = subprocess.Popen(
        [*COMMAND, "--store", str(store), "--port", "0", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said: list[str] = []
        assert process.stdout is not None
        while not said or "Ctrl-C" not in said[-1]:
            line = process.stdout.readline()
            assert line, process.communicate(timeout=10)
            said.append(line)
        yield Serving(process, said)
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_it_prints_address_and_key_once_and_ends_well(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving(store) as first:
        assert first.get("/v1/keys").json()["keys"][0]["name"] == "first"
        key = first.key
        status, errors = first.end()
        assert status == 0
        assert "Traceback" not in errors
        assert key.split("_", 2)[2] not in errors
        assert "GET /v1/keys 200" in errors
    with serving(store, "--no-access-log") as second:
        assert "mneme_" not in "".join(second.said)
        assert second.get("/v1/keys", key).status_code == 200
        status, errors = second.end(signal.SIGINT)
        assert (status, "GET" in errors) == (0, False)
    assert not (store / "mneme.db-wal").exists()  # it was closed, not dropped


def test_the_key_may_go_to_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with serving(tmp_path / "store", "--key-file", str(file)) as server:
        assert "mneme_" not in "".join(server.said)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert server.get("/v1/me", file.read_text().strip()).json()["name"] == "first"


def test_the_sample_is_there_and_its_key_is_shown_each_time(tmp_path: Path) -> None:
    keys, found = [], []
    for _ in range(2):
        with serving(tmp_path / "store", "--sample") as server:
            keys.append(server.key)
            found.append(server.get("/v1/namespaces/demo/memories?limit=1000").json()["items"])
            assert server.end()[0] == 0
    assert keys[0] == keys[1]
    assert len(found[0]) == len(found[1]) > 10


def test_other_computers_need_a_key_that_was_made_before(shell: Shell) -> None:
    refused = shell.refused(1, "serve", "--host", "0.0.0.0", "--port", "0")
    assert "mneme keys add" in refused["message"]
    assert shell.refused(2, "serve", "--host", "no such host")["error"] == "InvalidInputError"


def test_a_port_in_use_is_named(door: Door, shell: Shell) -> None:
    port = door.url.rpartition(":")[2]
    assert port in shell.refused(4, "serve", "--port", port)["message"]


@pytest.fixture
def door(memory: MemoryOS) -> Iterator[Door]:
    with running_door(memory) as door:
        yield door


def test_keys_are_looked_after(shell: Shell) -> None:
    words = ("keys", "add", "alice", "-n", "alice", "-n", "team/*", "--verb", "read", "--admin")
    made = shell.json(*words, "--requests-per-s", "5", "--expires-at", "2999-01-01")
    assert made["grants"] == [{"namespaces": ["alice", "team/*"], "verbs": ["read", "admin"]}]
    assert [key["id"] for key in shell.json("keys", "list")] == [made["id"]]
    assert made["key"].split("_", 2)[2] not in shell.out("keys", "list")
    rotated = shell.json("keys", "rotate", made["id"], "--overlap-s", "60")
    assert rotated["key"] != made["key"]
    assert "old until" in shell.out("keys", "list")
    assert shell.out("keys", "revoke", made["id"])
    assert shell.json("keys", "list") == []
    assert shell.refused(1, "keys", "revoke", made["id"])["error"] == "KeyUnknownError"
    assert "mneme_" in shell.out("keys", "add", "bob", "-n", "*")
    assert shell.refused(2, "keys", "add", "bob", "-n", "a b")["error"] == "InvalidInputError"


def doctor(*words: str, status: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["doctor", "--server", "--json", *words])
    assert result.exit_code == status, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def test_a_doctor_finds_a_server_well(door: Door) -> None:
    said = doctor("--url", door.url, "--key", door.key)
    assert said["ok"]
    assert (said["up"], said["key"], said["tls"]) == (True, "good", False)
    assert said["limits"]["body_bytes"] > 0
    assert abs(said["clock_skew_s"]) < 5
    shown = CliRunner().invoke(app, ["doctor", "--server", "--url", door.url, "--key", door.key])
    assert "the server is well" in shown.stdout


def test_a_doctor_says_what_is_wrong(door: Door, tmp_path: Path) -> None:
    wrong = doctor("--url", door.url, "--key", "mneme_nothing", status=1)
    assert wrong["key"] == "refused"
    assert "keys list" in wrong["advice"][0]
    assert doctor("--url", door.url, status=1)["key"] == "not given"
    gone = doctor("--url", "http://127.0.0.1:9", status=4)
    assert "mneme serve" in gone["advice"][0]
    host = door.url.replace("127.0.0.1", "127.0.0.2")  # it listens on one address alone
    assert not doctor("--url", host, status=4)["up"]
    no_tls = doctor("--url", door.url.replace("http", "https"), status=4)
    assert "TLS" in no_tls["advice"][0]
    refused = CliRunner().invoke(app, ["doctor", "--server", "--url", "localhost:8350"])
    assert refused.exit_code == 2


def test_a_doctor_warns_of_a_key_that_ends_soon() -> None:
    me = {"id": "0", "name": "a", "grants": [], "limits": {}, "expires_at": "2001-01-01T00:00:00Z"}
    found: dict[str, Any] = {"advice": []}
    _tell_of_key(me, found)
    assert "ends at" in found["advice"][0]
