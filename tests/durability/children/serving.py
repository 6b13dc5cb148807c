"""Kill `mneme serve` under load, again and again, and see whether what it acknowledged is there.

python serving.py FOLDER SEED KILLS [PROCESSES] prints JSON. Several clients add memories over HTTP,
each with an idempotency key; SIGKILL comes at a random moment, to the whole group: the processes
that answer, and the one that looks after them. What was not acknowledged is sent again to the
next server with its key. After each kill the store is opened, verified and compared.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

import mneme
from mneme.settings import Settings

CLIENTS = 6
LONGEST_LIFE_S = 1.5
ADD = "/v1/namespaces/alice/memories"
SERVE = [sys.executable, "-c", "from mneme.cli.main import main; main()", "serve"]


class Server(NamedTuple):
    process: subprocess.Popen[str]
    url: str


@contextmanager
def served(store: Path, key_file: Path, processes: int) -> Iterator[Server]:
    words = ["--store", str(store), "--port", "0", "--key-file", str(key_file), "--json"]
    process = subprocess.Popen(
        [*SERVE, *words, "--no-access-log", "--processes", str(processes)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(process.communicate()[1])
            said += line
        yield Server(process, json.loads(said)["url"])
    finally:
        kill_group(process)
        process.communicate()


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a server and all processes that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


class Client(threading.Thread):
    """Adds until the server is gone.

    Attributes:
        acknowledged: Texts, by the id that the server gave.
        begun: What was sent last, and not acknowledged: number and text.
    """

    def __init__(self, url: str, key: str, name: str, again: tuple[str, str] | None) -> None:
        super().__init__()
        self.acknowledged: dict[str, str] = {}
        self.begun = again
        self.strange: list[str] = []
        self._url, self._key, self._name = url, key, name

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx2.Client(base_url=self._url, headers=headers, timeout=30) as client:
            number = 0
            while True:
                if self.begun is None:
                    number += 1
                    said = f"{self._name}x{number}"
                    self.begun = (said, f"The number of my ticket is {said}.")
                once, text = self.begun
                try:
                    answer = client.post(
                        ADD, json={"content": text}, headers={"Idempotency-Key": once}
                    )
                except httpx2.TransportError:
                    return
                if answer.status_code != 201:
                    self.strange.append(f"{answer.status_code} {answer.text[:200]}")
                    return
                self.acknowledged |= {cube["id"]: text for cube in answer.json()["cubes"]}
                self.begun = None


def kill_once(
    store: Path, processes: int, kill: int, wait_s: float, again: list[tuple[str, str]]
) -> tuple[list[Client], float]:
    """The clients of a server that was killed, and the seconds that it took to answer."""
    key_file = store.parent / f"{store.name}.key"
    began = time.perf_counter()
    with served(store, key_file, processes) as server:
        started_s = time.perf_counter() - began
        key = key_file.read_text().strip()
        waiting = iter(again)
        clients = [
            Client(server.url, key, f"k{kill}c{number}", next(waiting, None))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        while server.process.poll() is None and not any(c.acknowledged for c in clients):
            time.sleep(0.005)
        time.sleep(wait_s)
        kill_group(server.process)
        for client in clients:
            client.join()
    return clients, started_s


def judge(store: Path, known: dict[str, str]) -> list[str]:
    """What is wrong with a store that should hold what is known, and nothing twice."""
    with mneme.open(store, settings=Settings(worker=False, embedder="none")) as memory:
        report = memory.verify()
        wrong = [] if report.ok else [f"corrupt: {report.problems}"]
        found = dict(turns(memory.namespace("alice")))
    wrong += [f"lost: {text}" for cube_id, text in known.items() if found.get(cube_id) != text]
    twice = [text for text, count in Counter(found.values()).items() if count > 1]
    return wrong + [f"twice: {text}" for text in twice]


def turns(alice: mneme.Namespace) -> Iterator[tuple[str, str]]:
    cursor: str | None = None
    while True:
        page = alice.list(types=["turn"], limit=1000, cursor=cursor)
        yield from ((cube.id, cube.text) for cube in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def main(folder: Path, seed: int, kills: int, processes: int = 2) -> dict[str, object]:
    chance, store = random.Random(seed), folder / "store"
    known: dict[str, str] = {}
    again: list[tuple[str, str]] = []
    wrong: list[str] = []
    cut, slowest_s = 0, 0.0
    for kill in range(kills):
        wait_s = chance.random() * LONGEST_LIFE_S
        clients, started_s = kill_once(store, processes, kill, wait_s, again)
        slowest_s = max(slowest_s, started_s)
        for client in clients:
            known |= client.acknowledged
            wrong += client.strange
        again = [client.begun for client in clients if client.begun is not None]
        cut += len(again)
        wrong += [f"{problem} (kill {kill})" for problem in judge(store, known)]
    return {
        "kills": kills, "processes": processes, "clients": CLIENTS,
        "acknowledged": len(known), "cut_short": cut,
        "slowest_start_s": round(slowest_s, 2), "lost": sum("lost" in each for each in wrong),
        "wrong": wrong,
    }  # fmt: skip


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(where), *map(int, numbers))))
