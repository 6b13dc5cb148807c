"""What a server adds to a search: the same questions through the library and over HTTP, in turn.

    python benchmarks/doors_overhead.py                        # 1,000 turns, 1,000 questions
    python benchmarks/doors_overhead.py --turns 1000 --questions 300 --store FOLDER

In: made-up turns (chat_turns.py). One process serves the store; this one opens the same store as a
library and asks each question both ways, on one kept connection, in an order that changes with each
question. Background work is off in both, so that nothing but the search is timed. The answers are
compared: the same ids in the same order.
Out: benchmarks/results/doors_overhead.json: milliseconds of both, and of the difference question by
question (p50, p95, p99); and the CPU milliseconds that a question costs the library and the server,
which a busy machine blurs less.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chat_turns import make_questions, make_turns
from doors_server import Server, cpu_s, running
from measuring import Others, machine_facts, percentile, save

GOAL_MS = 3.0
WARM = 50  # questions that come first and do not count
OFF = {"MNEME_WORKER": "false", "MNEME_SLEEP": "false", "MNEME_INFER": "false"}
SPACE = "bench/alice"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=1_000)
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--out", default="doors_overhead.json")
    parser.add_argument("--server", default="", help="options of doors_server.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        turns = make_turns(options.turns)
        questions = make_questions(turns, options.questions + WARM)
        fill(store, turns)
        with running(store, *options.server.split(), env=OFF) as server:
            found = compare(store, server, questions)
    found |= {"turns": options.turns, "machine": machine_facts(), "goal_ms": GOAL_MS}
    path = save(options.out, found)
    print(
        json.dumps(
            {k: found[k] for k in ("library_ms", "http_ms", "overhead_ms", "cpu_ms")}, indent=1
        )
    )
    print("wrote", path)
    return 0


def fill(store: Path, turns: list[Any]) -> None:
    import mneme
    from mneme.settings import Settings

    with mneme.open(store, settings=Settings(worker=False, infer=False, sleep=False)) as memory:
        memory.namespace(SPACE).add_many([t.message() | {"session": t.session} for t in turns])
        memory.drain()


def compare(store: Path, server: Server, questions: list[str]) -> dict[str, Any]:
    """Both ways for each question; the first ones warm both up and do not count."""
    import mneme
    from mneme.settings import Settings

    door = Connection(server)
    library: list[float] = []
    over_http: list[float] = []
    cpu = {"library": 0.0, "server": 0.0}
    others = Others()
    with mneme.open(store, settings=Settings(worker=False, infer=False, sleep=False)) as memory:
        space = memory.namespace(SPACE)
        gc.disable()
        for number, question in enumerate(questions):
            ways = [lambda q=question: ids_of(space.search(q)), lambda q=question: door.search(q)]
            took = [0.0, 0.0]
            answers: list[list[str]] = [[], []]
            for way in (0, 1) if number % 2 else (1, 0):
                before = time.process_time()
                started = time.perf_counter()
                answers[way] = ways[way]()
                took[way] = (time.perf_counter() - started) * 1e3
                if way == 0 and number >= WARM:
                    cpu["library"] += time.process_time() - before
            if number == WARM:
                cpu["server"] -= cpu_s(server.pid)
            if answers[0] != answers[1]:
                raise SystemExit(f"{question!r}: the library and the server answer differently")
            if number >= WARM:
                library.append(took[0])
                over_http.append(took[1])
        gc.enable()
        cpu["server"] += cpu_s(server.pid)
    more = [b - a for a, b in zip(library, over_http, strict=True)]
    return {
        "questions": len(more),
        "library_ms": ends(library),
        "http_ms": ends(over_http),
        "overhead_ms": ends(more),
        "ratio_of_p50": percentile(over_http, 50) / percentile(library, 50),
        "cpu_ms": {name: seconds * 1e3 / len(more) for name, seconds in cpu.items()},
        "others_share": others.share(),
    }


def ends(values: list[float]) -> dict[str, float]:
    return {f"p{p}": percentile(values, p) for p in (50, 95, 99)}


def ids_of(hits: Any) -> list[str]:
    return [hit.cube.id for hit in hits]


class Connection:
    """One that is kept; the standard library's client, so that the client costs little."""

    def __init__(self, server: Server) -> None:
        self._kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._headers = {
            "Authorization": f"Bearer {server.key}",
            "Content-Type": "application/json",
        }

    def search(self, question: str) -> list[str]:
        path = f"/v1/namespaces/{SPACE.replace('/', '~')}/search"
        self._kept.request("POST", path, json.dumps({"query": question}), self._headers)
        answer = self._kept.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {body[:500]!r}")
        return [hit["cube"]["id"] for hit in json.loads(body)["hits"]]


if __name__ == "__main__":
    sys.exit(main())
