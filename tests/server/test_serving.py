"""How the server is run: first key, address, end, and keys that hold in every process at once."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from mneme import BackendUnavailableError, ForbiddenError, InvalidInputError, MissingDependencyError
from mneme.app.memory import MemoryOS
from mneme.server import serving
from mneme.server.app import create_app
from mneme.server.listening import Listening, bind, config_of, url_of
from mneme.server.service import Service
from mneme.server.serving import Started, first_key, is_loopback
from mneme.settings import Settings
from mneme.testing.doors import Door, running_door
from mneme.wiring import build

LIST = "/v1/namespaces/alice/memories"


def test_the_first_key_is_made_once_and_may_do_all(memory: MemoryOS) -> None:
    text = first_key(memory)
    assert text is not None
    who = memory.principal(text)
    assert who is not None
    assert who.is_root
    assert all(who.may(verb, "any/where") for verb in ("read", "erase", "admin"))
    assert first_key(memory) is None


def test_a_key_file_is_for_its_owner_alone_and_is_used_again(
    memory: MemoryOS, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    text = first_key(memory, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == text == first_key(memory, file)
    memory.revoke_key(memory.list_keys()[0].id)
    assert first_key(memory, file) not in {text, None}
    assert [path.name for path in tmp_path.glob("*key*")] == ["key"]


def test_a_key_that_cannot_be_written_is_not_left_behind(memory: MemoryOS, tmp_path: Path) -> None:
    with pytest.raises(ForbiddenError, match="cannot write"):
        first_key(memory, tmp_path / "none" / "key")
    assert memory.list_keys() == []
    with pytest.raises(ForbiddenError, match="cannot read"):
        first_key(memory, tmp_path)


def test_what_is_said_at_the_start_shows_no_key_in_a_log() -> None:
    assert "mneme_x" not in repr(Started(url="http://127.0.0.1:1", key="mneme_x"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("memory.example.org", False)],
)  # fmt: skip
def test_what_is_open_to_others(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_it_is_not_opened_to_others_without_a_key_of_its_owner(tmp_path: Path) -> None:
    settings = Settings(serve_host="0.0.0.0", serve_port=0, embedder="none", worker=False)
    with pytest.raises(ForbiddenError, match="keys add"):
        serving.serve(tmp_path / "store", settings=settings)
    wrong = Settings(serve_origins="*", embedder="none", worker=False)
    with pytest.raises(InvalidInputError, match="no origin"):
        serving.serve(tmp_path / "store", settings=wrong)
    with build(tmp_path / "store", settings=settings) as memory:
        assert memory.list_keys() == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serving, "PACKAGES", ("no_such_package",))
    with pytest.raises(MissingDependencyError, match=r"mneme\[server\]"):
        serving.serve(tmp_path / "store")


def test_addresses_that_cannot_be_used_are_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BackendUnavailableError, match=str(port)):
            bind("127.0.0.1", port)
    with pytest.raises(InvalidInputError):
        bind("no such host", 0)
    with pytest.raises(InvalidInputError):
        bind("192.0.2.1", 0)
    with bind("localhost", 0) as listening:
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert url_of(listening).startswith(("http://127.0.0.1:", "http://[::1]:"))


def test_what_has_begun_is_answered_before_the_end(memory: MemoryOS) -> None:
    text = first_key(memory)
    settings = Settings()
    server = Listening(config_of(create_app(Service(memory=memory, settings=settings)), settings))
    listening = bind("127.0.0.1", 0)
    url = url_of(listening)
    running = threading.Thread(target=server.run, args=([listening],), daemon=True)
    running.start()
    statuses: list[int] = []

    def add() -> None:
        answer = httpx2.post(
            url + LIST,
            json={"content": "Oslo"},
            headers={"Authorization": f"Bearer {text}"},
            timeout=30,
        )
        statuses.append(answer.status_code)

    adding = threading.Thread(target=add)
    with memory.vault.parts.store.write():  # the request waits for this
        adding.start()
        ends = time.monotonic() + 20
        while not server.server_state.tasks and time.monotonic() < ends:
            time.sleep(0.01)
        server.should_exit = True
        time.sleep(0.5)
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(url + "/healthz")
    adding.join()
    running.join(timeout=20)
    assert not running.is_alive()
    assert statuses == [201]


# --- two processes on one store

OTHER = """
import sys
from mneme.settings import Settings
from mneme.wiring import build
with build(sys.argv[1], settings=Settings(worker=False, embedder="none")) as memory:
    print("ready", flush=True)
    for line in sys.stdin:
        verb, *rest = line.split()
        if verb == "make":
            print(memory.make_key("eve", namespaces=["alice"])[0], flush=True)
        elif verb == "rotate":
            print(memory.rotate_key(rest[0], overlap_s=float(rest[1]))[0], flush=True)
        elif verb == "revoke":
            memory.revoke_key(rest[0])
            print("done", flush=True)
"""


class Other:
    """Another process that has the store open, and looks after its keys."""

    def __init__(self, store: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(store)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.said() == "ready"

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, *words: object) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.said()


@pytest.fixture
def other(memory: MemoryOS, tmp_path: Path) -> Iterator[Other]:
    other = Other(tmp_path / "store")
    yield other
    other.process.communicate(timeout=30)


def status(door: Door, key: str) -> int:
    return httpx2.get(door.url + LIST, headers={"Authorization": f"Bearer {key}"}).status_code


def test_changes_by_another_process_hold_at_the_next_request(
    memory: MemoryOS, other: Other
) -> None:
    with running_door(memory) as door, httpx2.Client(base_url=door.url) as browser:
        key = other.do("make")
        key_id = key.split("_")[1]
        assert status(door, key) == 200
        signed = browser.post("/login", data={"key": key})
        assert signed.status_code == 303
        assert browser.get(LIST).status_code == 200
        new = other.do("rotate", key_id, 3600)
        assert (status(door, key), status(door, new)) == (200, 200)
        newest = other.do("rotate", key_id, 0)
        assert (status(door, new), status(door, newest)) == (401, 200)
        assert browser.get(LIST).status_code == 401
        assert other.do("revoke", key_id) == "done"
        assert status(door, newest) == 401


def test_a_secret_without_overlap_ends_whatever_the_clocks_say(
    memory: MemoryOS, other: Other
) -> None:
    key = other.do("make")
    assert memory.principal(key) is not None  # this process lives months before the other
    other.do("rotate", key.split("_")[1], 0)
    assert memory.principal(key) is None
