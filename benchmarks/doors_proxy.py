"""What the proxy adds to a chat: the same requests to an upstream directly and through it, in turn.

    python benchmarks/doors_proxy.py                       # 1,000 turns, 150 chats of each way
    python benchmarks/doors_proxy.py --turns 1000 --chats 50

In: made-up turns (chat_turns.py) in a store; an upstream of ours (mneme.testing.upstream), a
process of its own, that says a word each `--word-ms` of a stream. This process
asks it directly, and through the proxy without memory, reading, writing, and both, on kept
connections, in an order that changes with each question. Without memory the bytes are compared,
too.
Out: benchmarks/results/doors_proxy.json: milliseconds to the first piece of a stream, to its end,
and of an answer that is no stream (p50, p95); what the proxy adds, question by question; the
ratio to the direct way in the same run; and what recall alone costs the library, at the same time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from chat_turns import make_questions, make_turns
from doors_server import running
from measuring import machine_facts, percentile, save

SPACE = "bench/alice"
WAYS = ("direct", "off", "read", "write", "on")
WARM = 10
OFF = {"MNEME_SLEEP": "false"}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=1_000)
    parser.add_argument("--chats", type=int, default=150)
    parser.add_argument("--word-ms", type=float, default=2.0, help="of the upstream, for each word")
    parser.add_argument("--upstream", action="store_true", help="be the upstream")
    parser.add_argument("--out", default="doors_proxy.json")
    options = parser.parse_args()
    if options.upstream:
        return serve_upstream(options.word_ms)
    with tempfile.TemporaryDirectory() as folder, upstream(options.word_ms) as url:
        store = Path(folder) / "store"
        turns = make_turns(options.turns)
        questions = make_questions(turns, options.chats + WARM)
        fill(store, turns)
        env = OFF | {"MNEME_UPSTREAM_URL": url}
        with running(store, env=env) as server:
            measured = {
                "stream": compare(url, server, questions, store, stream=True),
                "whole": compare(url, server, questions, store, stream=False),
            }
    found = measured | {
        "turns": options.turns,
        "word_ms": options.word_ms,
        "machine": machine_facts(),
    }
    print(json.dumps(measured, indent=1))
    print("wrote", save(options.out, found))
    return 0


def serve_upstream(word_ms: float) -> int:
    from mneme.testing.upstream import running_upstream

    with running_upstream(word_s=word_ms / 1e3) as server:
        print(server.url, flush=True)
        sys.stdin.read()
    return 0


@contextmanager
def upstream(word_ms: float) -> Iterator[str]:
    command = [sys.executable, __file__, "--upstream", "--word-ms", str(word_ms)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(20)


def fill(store: Path, turns: list[Any]) -> None:
    import mneme
    from mneme.settings import Settings

    with mneme.open(store, settings=Settings(worker=False, sleep=False)) as memory:
        memory.namespace(SPACE).add_many([t.message() | {"session": t.session} for t in turns])
        memory.drain()


def compare(
    url: str, server: Any, questions: list[str], store: Path, *, stream: bool
) -> dict[str, Any]:
    """Each question by each way, and its recall by the library in this process.

    The first questions warm up and do not count.
    """
    import mneme
    from mneme.settings import Settings

    with mneme.open(store, settings=Settings(worker=False, sleep=False)) as memory:
        return in_turn(url, server, questions, memory.namespace(SPACE), stream=stream)


def in_turn(
    url: str, server: Any, questions: list[str], space: Any, *, stream: bool
) -> dict[str, Any]:
    base = f"http://127.0.0.1:{server.port}/v1"
    first: dict[str, list[float]] = {way: [] for way in WAYS}
    last: dict[str, list[float]] = {way: [] for way in WAYS}
    library: list[float] = []
    same = recalled = 0
    with httpx2.Client(timeout=60) as client:
        for number, question in enumerate(questions):
            asked = {
                "model": "echo",
                "stream": stream,
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": question},
                ],
            }
            body = json.dumps(asked).encode()
            bodies = {}
            for way in (*WAYS[number % 5 :], *WAYS[: number % 5]):
                headers = {} if way == "direct" else headers_of(server.key, way, number, stream)
                at = url if way == "direct" else base
                begin, end, bodies[way], said = chat(
                    client, f"{at}/chat/completions", body, headers
                )
                if number >= WARM:
                    first[way].append(begin)
                    last[way].append(end)
                    recalled += way == "read" and said.get("x-mneme-recalled", "0").isdigit()
            begun = time.perf_counter()
            space.recall(question)
            if number >= WARM:
                library.append((time.perf_counter() - begun) * 1e3)
            same += bodies["direct"] == bodies["off"]
    found = {"same_bytes_without_memory": f"{same} of {len(questions)}", "recalled": recalled}
    found["library_recall_ms"] = {
        "p50": round(percentile(library, 50), 2),
        "p95": round(percentile(library, 95), 2),
    }
    if stream:
        found["first_piece_ms"] = table(first)
    return found | {"whole_ms": table(last)}


def headers_of(key: str, way: str, number: int, stream: bool) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "X-Mneme-Namespace": SPACE,
        "X-Mneme-Session": f"{way}-{number}-{stream}",
        "X-Mneme-Memory": way,
    }


def chat(
    client: httpx2.Client, url: str, body: bytes, headers: dict[str, str]
) -> tuple[float, float, bytes, dict[str, str]]:
    """Milliseconds to the first bytes and to the last, the bytes, and the headers."""
    headers = headers | {"Content-Type": "application/json"}
    begun = time.perf_counter()
    with client.stream("POST", url, content=body, headers=headers) as answer:
        chunks = answer.iter_raw()
        parts = [next(chunks)]
        first = time.perf_counter() - begun
        parts += chunks
        whole = time.perf_counter() - begun
    if answer.status_code != 200:
        raise SystemExit(f"{answer.status_code}: {b''.join(parts)[:500]!r}")
    return first * 1e3, whole * 1e3, b"".join(parts), dict(answer.headers)


def table(times: dict[str, list[float]]) -> dict[str, Any]:
    direct = times["direct"]
    rows: dict[str, Any] = {}
    for way, values in times.items():
        added = [one - other for one, other in zip(values, direct, strict=True)]
        rows[way] = {
            "p50": round(percentile(values, 50), 2),
            "p95": round(percentile(values, 95), 2),
            "chats": len(values),
        }
        if way != "direct":
            rows[way] |= {
                "added_p50": round(percentile(added, 50), 2),
                "added_p95": round(percentile(added, 95), 2),
                "ratio_p50": round(percentile(values, 50) / percentile(direct, 50), 2),
            }
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
