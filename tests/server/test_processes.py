"""A server of several processes: what one does the others know, and one that dies is replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx2
import pytest

import mneme
from mneme import BackendUnavailableError, InvalidInputError
from mneme.app.memory import MemoryOS
from mneme.server.child import Order
from mneme.server.listening import bind, hold
from mneme.server.mcp.one_by_one import OneByOne
from mneme.server.metrics import Requests
from mneme.server.processes import CAN_SHARE, MOST, processes_of
from mneme.server.sessions import Sessions
from mneme.server.tallies import Tallies
from mneme.settings import Settings
from mneme.testing.doors import running_door
from mneme.wiring import build

pytestmark = pytest.mark.skipif(not CAN_SHARE, reason="several processes need Linux")

COMMAND = [sys.executable, "-c", "from mneme.cli.main import main; main()", "serve"]
ALICE = "/v1/namespaces/alice"
WAITS_S = 60.0
SETTINGS = Settings(embedder="none", worker=False)


# --- with real processes


@pytest.fixture(autouse=True)
def _quick_and_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEME_EMBEDDER", "none")
    monkeypatch.setenv("MNEME_SERVE_REQUESTS_PER_S", "0")


class Line:
    """A kept connection, and the process at its other end."""

    def __init__(self, server: Server) -> None:
        self._http = HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._key = server.key
        try:
            self.ask("GET", "/v1/me")
            inode = self._inode(server.port)
        except (OSError, HTTPException):
            self.close()
            raise
        self.pid = next((pid for pid in server.children() if inode in sockets(pid)), None)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        self._http.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._http.getresponse()
        text = answer.read()
        is_json = "json" in (answer.getheader("content-type") or "")
        return answer.status, json.loads(text) if is_json else text.decode()

    def close(self) -> None:
        self._http.close()

    def _inode(self, port: int) -> str:
        """The socket at the other end, as the kernel numbers it."""
        ends = f":{port:04X} ", f":{self._http.sock.getsockname()[1]:04X} "
        for line in Path("/proc/net/tcp").read_text().splitlines():
            _, here, there, *rest = line.split()
            if f"{here} ".endswith(ends[0]) and f"{there} ".endswith(ends[1]):
                return rest[6]
        raise ConnectionResetError("the connection is gone")


def sockets(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError):  # one that was just closed, or a process that was killed
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            found |= set(re.findall(r"socket:\[(\d+)\]", str(fd.readlink())))
    return found


class Server:
    """`mneme serve` with two processes."""

    def __init__(self, process: subprocess.Popen[str], port: int, key: str) -> None:
        self.process, self.port, self.key = process, port, key

    def children(self) -> list[int]:
        pid = self.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in text.split()]

    @contextmanager
    def lines(self) -> Iterator[tuple[Line, Line]]:
        """A connection to each of the two processes."""
        found: dict[int, Line] = {}
        ends = time.monotonic() + WAITS_S
        while len(found) < 2 and time.monotonic() < ends:
            line = Line(self)
            if line.pid is None or found.setdefault(line.pid, line) is not line:
                line.close()
        first, second = found.values()
        with closing(first), closing(second):
            yield first, second


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    file = folder / "key"
    process = subprocess.Popen(
        [*COMMAND, "--store", str(folder / "store"), "--port", "0", "--processes", "2",
         "--key-file", str(file), "--json", "--no-access-log"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        port = int(json.loads(said)["url"].rpartition(":")[2])
        yield Server(process, port, file.read_text().strip())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def wait_until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAITS_S
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_what_one_process_does_the_other_knows_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.lines() as (first, second):
        for number in range(5):
            said = f"The boat number {number} is called Heron."
            status, added = first.ask("POST", f"{ALICE}/memories", {"content": said})
            assert status == 201
            status, found = second.ask("POST", f"{ALICE}/search", {"query": f"boat {number}"})
            assert said in json.dumps(found)
            [cube] = added["cubes"]
            assert second.ask("POST", f"{ALICE}/erase", {"target": cube["id"]})[0] == 200
            assert first.ask("GET", f"{ALICE}/memories/{cube['id']}")[0] == 404
        wait_until(lambda: requests_of(first) == requests_of(second) > 0)
        server.process.send_signal(signal.SIGTERM)
        _, errors = server.process.communicate(timeout=30)
        assert (server.process.returncode, errors.count("Traceback")) == (0, 0)
    with mneme.open(tmp_path / "store", settings=SETTINGS) as memory:
        assert memory.verify().ok


def requests_of(line: Line) -> int:
    """How many writes and searches the metrics know."""
    _, text = line.ask("GET", "/metrics")
    lines = re.findall(r'_requests_total\{method="POST",.*\} (\d+)', text)
    return sum(map(int, lines))


def test_a_process_that_is_killed_is_replaced_and_loses_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        adding = [Adding(server, name) for name in ("a", "b", "c", "d")]
        for each in adding:
            each.start()
        wait_until(lambda: all(len(each.done) > 3 for each in adding))
        before = set(server.children())
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(set(server.children()) - {killed}) == 2)
        known = [len(each.done) for each in adding]
        wait_until(lambda: all(len(e.done) > n for e, n in zip(adding, known, strict=True)))
        for each in adding:
            each.end()
        newest = (set(server.children()) - before).pop()
        with server.lines() as lines:
            assert newest in {line.pid for line in lines}  # it answers, too
        server.process.send_signal(signal.SIGTERM)
        _, errors = server.process.communicate(timeout=30)
        assert server.process.returncode == 0
        assert f"process {killed} of the server ended with status -9" in errors
    with mneme.open(tmp_path / "store", settings=SETTINGS) as memory:
        assert memory.verify().ok
        texts = {memory.namespace("alice").get(cube_id).text for e in adding for cube_id in e.done}
        assert texts == {text for each in adding for text in each.done.values()}


class Adding(threading.Thread):
    """Adds until it is told to end; after a broken connection it opens another."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(name=name)
        self._server, self._ends = server, threading.Event()
        self.done: dict[str, str] = {}
        self._number = 0

    def run(self) -> None:
        while not self._ends.is_set():
            with suppress(OSError, HTTPException), closing(Line(self._server)) as line:
                self._add(line)

    def _add(self, line: Line) -> None:
        while not self._ends.is_set():
            self._number += 1
            text = f"Ticket {self.name}{self._number} is valid."
            status, added = line.ask("POST", f"{ALICE}/memories", {"content": text})
            assert status == 201
            self.done[added["cubes"][0]["id"]] = text

    def end(self) -> None:
        self._ends.set()
        self.join(WAITS_S)


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        children = server.children()
        assert len(children) == 2
        server.process.kill()
        wait_until(lambda: not any(Path(f"/proc/{child}/cwd").exists() for child in children))


# --- the parts


def test_how_many_processes_there_are() -> None:
    usable = len(os.sched_getaffinity(0))
    assert processes_of(Settings()) == min(usable, MOST)
    assert processes_of(Settings(serve_processes=7)) == 7
    assert processes_of(Settings(serve_processes=1)) == 1
    with_model = Settings(serve_model="/models/small")
    assert processes_of(with_model) == 1
    with pytest.raises(InvalidInputError, match="model"):
        processes_of(Settings(serve_model="/models/small", serve_processes=2))
    with pytest.raises(InvalidInputError, match="serve_processes"):
        Settings(serve_processes=-1)


def test_an_address_is_held_for_its_own_processes_alone() -> None:
    with hold("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        for _ in range(2):  # nobody listens yet; then two did
            with pytest.raises(BackendUnavailableError, match=str(port)):
                hold("127.0.0.1", port)
            with pytest.raises(BackendUnavailableError, match=str(port)):
                bind("127.0.0.1", port)
            with (
                bind("127.0.0.1", port, shared=True),
                bind("127.0.0.1", port, shared=True),
                pytest.raises(BackendUnavailableError, match=str(port)),
            ):
                hold("127.0.0.1", port)


def test_an_order_arrives_as_it_was_sent_and_shows_no_secret() -> None:
    settings = Settings(llm_key="a-secret", serve_hosts="memory.example.org")
    order = Order(
        target=None, settings=settings, host="::1", port=1, counts="/x/0.json", access_log=True
    )
    assert Order.of(order.line()) == order
    assert "a-secret" not in repr(order)


def test_browsers_that_signed_in_at_one_process_are_known_to_the_others(tmp_path: Path) -> None:
    with (
        build(tmp_path / "store", settings=SETTINGS) as one,
        build(tmp_path / "store", settings=SETTINGS) as two,
        running_door(one) as here,
        running_door(two) as there,
    ):
        with httpx2.Client() as browser:
            signed = browser.post(here.url + "/login", data={"key": here.key})
            cookie = {"Cookie": f"mneme_session={signed.cookies['mneme_session']}"}
        page = there.url + "/v1/me"
        assert httpx2.get(page, headers=cookie).json()["name"] == "root"
        out = httpx2.post(there.url + "/logout", headers=cookie | {"Origin": there.url})
        assert out.status_code == 303
        for door in (here, there):
            assert httpx2.get(door.url + "/v1/me", headers=cookie).status_code == 401


def test_sessions_live_on_after_a_restart_and_their_ids_are_not_kept(tmp_path: Path) -> None:
    with build(tmp_path / "store", settings=SETTINGS) as memory:
        text, _ = memory.make_key("bob", namespaces=["bob"])
        session = Sessions(memory).start(text)
        assert session is not None
    with build(tmp_path / "store", settings=SETTINGS) as memory:
        known = Sessions(memory).principal(session)
        assert known is not None
        assert known.name == "bob"
        assert Sessions(memory).principal(session + "x") is None
    data = b"".join(file.read_bytes() for file in (tmp_path / "store").iterdir() if file.is_file())
    assert session.encode() not in data
    assert text.split("_", 2)[2].encode() not in data


def test_signing_in_is_the_only_reason_to_write(memory: MemoryOS) -> None:
    text, _ = memory.make_key("bob", namespaces=["bob"])
    sessions = Sessions(memory, lasts_s=60)
    session = sessions.start(text)
    assert session is not None

    def kept() -> str | None:
        with memory.vault.parts.store.read() as tx:
            return tx.ledger.meta("browser_sessions_edition")

    before = kept()
    sessions.principal(session)
    sessions.principal("made-up")
    sessions.end("made-up")
    assert kept() == before
    sessions.end(session)
    assert kept() != before


def test_counts_are_the_sum_of_all_processes_and_never_fall(tmp_path: Path) -> None:
    first, second = Requests(), Requests()
    with Tallies(first, tmp_path / "0.json"):
        dying = Tallies(second, tmp_path / "1.json")
        with dying:
            first.enter("GET", "/x", 200, 0.002)
            second.enter("GET", "/x", 200, 0.02)
            second.enter("GET", "/y", 404, 0.2)
            dying.write()
            text = "\n".join(first.summed().lines())
            assert '_total{method="GET",route="/x",status="200"} 2' in text
            assert '_seconds_sum{route="/x"} 0.022000' in text
            assert '_seconds_bucket{route="/x",le="0.0025"} 1' in text
            assert '_total{method="GET",route="/y",status="404"} 1' in text
        third = Requests()
        with Tallies(third, tmp_path / "1.json"):  # in the place of the second
            third.enter("GET", "/y", 404, 0.2)
            assert '_total{method="GET",route="/y",status="404"} 2' in "\n".join(
                third.summed().lines()
            )


def test_what_reads_first_and_writes_then_waits_for_other_processes(tmp_path: Path) -> None:
    here, there = OneByOne(), OneByOne()  # locks of files are of those who opened them
    for each in (here, there):
        each.among(tmp_path / "graph.lock")
    seen: list[str] = []

    def other() -> None:
        with there:
            seen.append("there")

    thread = threading.Thread(target=other)
    with here:
        thread.start()
        time.sleep(0.1)
        seen.append("here")
    thread.join(WAITS_S)
    assert seen == ["here", "there"]
    (tmp_path / "graph.lock").unlink()
    tmp_path.rmdir()
    with here:  # without the folder it is for this process alone
        pass


def test_counts_need_no_folder_to_end_well(tmp_path: Path) -> None:
    folder = tmp_path / "counts"
    folder.mkdir()
    requests = Requests()
    with Tallies(requests, folder / "0.json"):
        folder.rmdir()
        requests.enter("GET", "/x", 200, 0.1)
        assert '/x",status="200"} 1' in "\n".join(requests.summed().lines())
