"""What it costs to look a key up, as the server does for each request.

    python benchmarks/doors_keys.py

Microseconds of CPU time of one look-up in a store with 1, 100 and 1,000 keys: of a good key, of one
of an unknown id, of one with a wrong secret, and of a browser's session. Writes
benchmarks/results/doors_keys.json.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable

from measuring import machine_facts, save
from mneme.app.memory import MemoryOS
from mneme.server.sessions import Sessions
from mneme.settings import Settings
from mneme.wiring import build

ROUNDS, CALLS = 15, 1000


def median_us(call: Callable[[], object]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.thread_time() - began) / CALLS * 1e6)
    return round(statistics.median(rounds), 1)


def measured(memory: MemoryOS, text: str) -> dict[str, float]:
    sessions = Sessions(memory)
    session = sessions.start(text) or ""
    wrong = text[:-8] + "AAAAAAAA"
    return {
        "good_us": median_us(lambda: memory.principal(text)),
        "unknown_us": median_us(lambda: memory.principal("mneme_000000000000_" + "a" * 43)),
        "wrong_secret_us": median_us(lambda: memory.principal(wrong)),
        "session_us": median_us(lambda: sessions.principal(session)),
    }


def main() -> int:
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        build(folder, settings=Settings(worker=False, embedder="none")) as memory,
    ):
        text, _ = memory.make_key("first", namespaces=["*"])
        for keys in (1, 100, 1000):
            for number in range(len(memory.list_keys()), keys):
                memory.make_key(f"key {number}", namespaces=[f"acme/{number}"])
            rows.append({"keys": keys, **measured(memory, text)})
    result = {"command": "python benchmarks/doors_keys.py", "machine": machine_facts()}
    print("wrote", save("doors_keys.json", result | {"rows": rows}), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
