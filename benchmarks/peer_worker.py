"""Measure one system in this process and print one line of JSON.

Run by peers.py, with the interpreter of the system's own environment:

    python peer_worker.py SYSTEM INPUT_FOLDER WORK_FOLDER VERB

`measure` times a store from empty and `again` opens what it left; `kill` adds one item and dies by
SIGKILL as soon as the call returned, and `reopen` says whether a new process still finds it; `idle`
opens and adds nothing and `fsync` adds 20 items, for a run under strace that counts the calls that
make a write durable.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
from pathlib import Path
from typing import Any

import measuring
from peer_systems import PEERS, System, Vectors

K = 10
BATCH = 256


def systems() -> dict[str, Any]:
    """The peers, and this project and its floors where they can be imported."""
    known = dict(PEERS)
    try:
        from own_systems import OWN
    except ImportError:
        return known
    return known | OWN


def read_input(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Vectors]:
    data = json.loads((folder / "input.json").read_text(encoding="utf-8"))
    return data["items"], data["queries"], Vectors(folder / "vectors.npz")


def measure(kind: Any, source: Path, work: Path) -> dict[str, Any]:
    items, queries, vectors = read_input(source)
    out: dict[str, Any] = {"items": len(items), "queries": len(queries)}
    out |= _single(kind, items, queries, vectors, work / "single")
    if kind.has_batch:
        out |= _batch(kind, items, vectors, work / "batch")
    return out


def _single(kind: Any, items: list, queries: list, vectors: Vectors, path: Path) -> dict[str, Any]:
    path.mkdir(parents=True)
    before = measuring.rss_mb()
    system: System = kind(path, vectors)
    _, open_s, _ = measuring.timed(system.open)
    wall, cpu = measuring.latencies_ms(lambda i=i: system.add(i) for i in items)
    out = {
        "open_s": open_s,
        "add_per_s": len(items) / (sum(wall) / 1e3),
        "add_p50_ms": measuring.percentile(wall, 50),
        "add_p95_ms": measuring.percentile(wall, 95),
        "add_cpu_ms": statistics.mean(cpu),
    }
    out |= _searches(system, queries)
    out["rss_growth_mb"] = measuring.rss_mb() - before
    system.close()
    out["disk_mb"] = measuring.folder_mb(path)
    return out


def _searches(system: System, queries: list[dict[str, Any]]) -> dict[str, Any]:
    found: list[list[str]] = []
    for q in queries[:5]:
        system.search(q["user"], q["text"], K)
    wall, cpu = measuring.latencies_ms(
        lambda q=q: found.append(system.search(q["user"], q["text"], K)) for q in queries
    )
    shares = [
        len(set(got) & set(q["gold"])) / len(q["gold"])
        for got, q in zip(found, queries, strict=True)
    ]
    return {
        "search_p50_ms": measuring.percentile(wall, 50),
        "search_p95_ms": measuring.percentile(wall, 95),
        "search_cpu_p50_ms": measuring.percentile(cpu, 50),
        "recall_at_10": statistics.mean(shares),
        "hit_at_10": statistics.mean(float(s > 0) for s in shares),
    }


def _batch(kind: Any, items: list, vectors: Vectors, path: Path) -> dict[str, Any]:
    path.mkdir(parents=True)
    system: System = kind(path, vectors)
    system.open()

    def work() -> None:
        for start in range(0, len(items), BATCH):
            system.add_batch(items[start : start + BATCH])

    _, wall, cpu = measuring.timed(work)
    system.close()
    return {"batch_per_s": len(items) / wall, "batch_cpu_ms": cpu / len(items) * 1e3}


def again(kind: Any, source: Path, work: Path) -> dict[str, Any]:
    """Open the store that `measure` left, in this fresh process, and search once."""
    _, queries, vectors = read_input(source)
    system: System = kind(work / "single", vectors)
    _, open_s, _ = measuring.timed(system.open)
    first = queries[0]
    _, search_s, _ = measuring.timed(lambda: system.search(first["user"], first["text"], K))
    system.close()
    return {"reopen_s": open_s, "first_search_s": search_s}


def kill(kind: Any, source: Path, work: Path) -> None:
    items, _, vectors = read_input(source)
    system: System = kind(work, vectors)
    system.open()
    system.add(items[0])
    os.kill(os.getpid(), signal.SIGKILL)


def reopen(kind: Any, source: Path, work: Path) -> dict[str, Any]:
    items, _, vectors = read_input(source)
    system: System = kind(work, vectors)
    system.open()
    found = system.search(items[0]["user"], items[0]["text"], K)
    system.close()
    return {"survives_kill": items[0]["id"] in found}


def write_some(kind: Any, source: Path, work: Path, count: int) -> dict[str, Any]:
    items, _, vectors = read_input(source)
    system: System = kind(work, vectors)
    system.open()
    for item in items[:count]:
        system.add(item)
    sys.stdout.flush()
    os._exit(0)  # without closing: what is counted is what adding did


def main() -> None:
    name, source, work, verb = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    kind = systems()[name]
    if verb == "kill":
        kill(kind, source, work)
    if verb in {"idle", "fsync"}:
        write_some(kind, source, work, 0 if verb == "idle" else 20)
    act = {"measure": measure, "again": again, "reopen": reopen}[verb]
    print("RESULT " + json.dumps(act(kind, source, work)), flush=True)


if __name__ == "__main__":
    main()
