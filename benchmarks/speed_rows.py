"""The rows of the speed table, each measured in a process of its own, floors beside it.

Run by speed.py:

    python speed_rows.py ROW WORK_FOLDER REPEAT

Each row prints one line of JSON: wall and CPU figures of Mneme, and of the same work by hand
(floors.py) over the same turns, in the same process. Which goes first changes with each repeat.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import measuring
import mneme
from chat_turns import Turn, make_questions, make_turns
from floors import HandStore, WordsPerNamespace, raw_insert
from mneme.backends.embedders.static import StaticEmbedder

K = 10
QUESTIONS = 200
SINGLES = 300
SPACES = 100
NOW = "2026-07-01T00:00:00Z"


def item(turn: Turn) -> dict[str, Any]:
    return {"content": turn.message(), "session": turn.session}


def by_hand(store: HandStore, embedder: StaticEmbedder, ns: str, turns: list[Turn]) -> None:
    """Embed and insert, all in one durable transaction."""
    texts = [t.indexed_text() for t in turns]
    parts = [embedder.embed(texts[i : i + 512]) for i in range(0, len(texts), 512)]
    store.add(ns, [str(i) for i in range(len(texts))], texts, np.concatenate(parts))


def in_turn(repeat: int, jobs: list[Callable[[], None]]) -> None:
    """Run the jobs, the last first in every second repeat."""
    for job in jobs if repeat % 2 == 0 else reversed(jobs):
        job()


def bulk(count: int, work: Path, repeat: int) -> dict[str, Any]:
    """add_many of all turns into one namespace, vectors included; then reading them by rules."""
    turns = make_turns(count)
    out: dict[str, Any] = {}

    def ours() -> None:
        path = fresh(work / f"mneme-{count}")
        measuring.reset_peak()
        before = measuring.rss_mb()
        with mneme.open(str(path)) as memory:
            space = memory.namespace("bench/one")
            items = [item(t) for t in turns]
            _, wall, cpu = measuring.timed(lambda: space.add_many(items))
            assert memory.stats().missing_vectors == 0
            _, read_s, _ = measuring.timed(memory.drain)
            assert memory.stats().unread == 0
        out["mneme"] = rate(count, wall, cpu) | {
            "read_per_s": count / read_s,
            "peak_growth_mb": measuring.peak_rss_mb() - before,
            "disk_mb": measuring.folder_mb(path),
        }

    def hand() -> None:
        path = fresh(work / f"hand-{count}")
        store, embedder = HandStore(path / "hand.db"), StaticEmbedder()
        _, wall, cpu = measuring.timed(lambda: by_hand(store, embedder, "bench/one", turns))
        store.close()
        out["hand"] = rate(count, wall, cpu) | {"disk_mb": measuring.folder_mb(path)}

    def raw() -> None:
        path = fresh(work / "raw")
        texts = [t.indexed_text() for t in turns]
        vectors = StaticEmbedder().embed(texts)
        _, wall, cpu = measuring.timed(lambda: raw_insert(path / "raw.db", texts, vectors))
        out["raw"] = rate(count, wall, cpu)

    in_turn(repeat, [ours, hand, raw])
    return out


def rate(count: int, wall: float, cpu: float) -> dict[str, float]:
    return {"per_s": count / wall, "cpu_us_each": cpu / count * 1e6}


def single(work: Path, repeat: int) -> dict[str, Any]:
    """One durable add after another, on a store of 2k turns; and bare fdatasync beside it."""
    turns = make_turns(2000 + SINGLES)
    old, new = turns[:2000], turns[2000:]
    embedder, out = StaticEmbedder(), {}

    def ours() -> None:
        with mneme.open(str(fresh(work / "mneme-single"))) as memory:
            space = memory.namespace("bench/one")
            space.add_many([item(t) for t in old])
            memory.drain()
            out["mneme"] = spread_ms(
                lambda t=t: space.add(t.message(), session=t.session) for t in new
            )

    def hand() -> None:
        store = HandStore(fresh(work / "hand-single") / "hand.db")
        by_hand(store, embedder, "bench/one", old)
        out["hand"] = spread_ms(lambda t=t: by_hand(store, embedder, "bench/one", [t]) for t in new)
        store.close()

    def sync() -> None:
        with (fresh(work / "sync") / "log").open("ab", buffering=0) as log:
            out["fdatasync"] = spread_ms(
                lambda: (log.write(b"x" * 4096), os.fdatasync(log)) for _ in new
            )

    in_turn(repeat, [ours, hand, sync])
    return out


def spread_ms(calls: Iterator[Callable[[], Any]]) -> dict[str, float]:
    wall, cpu = measuring.latencies_ms(calls)
    return {
        "p50_ms": measuring.percentile(wall, 50),
        "p95_ms": measuring.percentile(wall, 95),
        "max_ms": max(wall),
        "cpu_p50_ms": measuring.percentile(cpu, 50),
        "cpu_p95_ms": measuring.percentile(cpu, 95),
    }


def prepare(count: int, work: Path) -> None:
    """The stores that the search rows read, unless `bulk` has left them."""
    path = work / f"mneme-{count}"
    if path.exists() and (work / f"hand-{count}").exists():
        return
    bulk(count, work, 0)


def search(count: int, work: Path, repeat: int) -> dict[str, Any]:
    """Hybrid search of one namespace; the first one (index read from disk) is told apart."""
    prepare(count, work)
    questions = make_questions(make_turns(count), QUESTIONS, seed=11 + repeat)
    embedder, out = StaticEmbedder(), {}

    def ours() -> None:
        with mneme.open(str(work / f"mneme-{count}")) as memory:
            space = memory.namespace("bench/one")
            _, first_s, _ = measuring.timed(lambda: space.search(questions[0], limit=K, now=NOW))
            for q in questions[1:6]:
                space.search(q, limit=K, now=NOW)
            calls = (lambda q=q: space.search(q, limit=K, now=NOW) for q in questions)
            out["mneme"] = spread_ms(calls) | {"first_ms": first_s * 1e3}
            for mode in ("lexical", "dense"):
                out[f"mneme_{mode}"] = search_all(space, questions, mode)

    def hand() -> None:
        store = HandStore(work / f"hand-{count}" / "hand.db")
        out.update(hand_searches(store, embedder, questions, itertools.repeat("bench/one")))
        out["words"] = spread_ms(lambda q=q: store.words_one_namespace(q, K) for q in questions)
        store.close()

    in_turn(repeat, [ours, hand])
    return out


def search_all(space: mneme.Namespace, questions: list[str], mode: str) -> dict[str, float]:
    return spread_ms(lambda q=q: space.search(q, limit=K, now=NOW, mode=mode) for q in questions)


def hand_searches(
    store: HandStore, embedder: StaticEmbedder, questions: list[str], spaces: Iterator[str]
) -> dict[str, Any]:
    """The floors of a search: the scan alone, and scan + FTS5 + rows, embedder included."""
    pairs = list(zip(spaces, questions, strict=False))
    vectors = embedder.embed(questions)
    for ns, _ in pairs:
        store.matrix(ns)
    return {
        "scan": spread_ms(
            lambda p=p, v=v: store.dense(p[0], v, K) for p, v in zip(pairs, vectors, strict=True)
        ),
        "hand": spread_ms(
            lambda p=p: store.hybrid(p[0], p[1], embedder.embed([p[1]])[0], K) for p in pairs
        ),
    }


def spaces(work: Path, repeat: int) -> dict[str, Any]:
    """100 namespaces of 1k: each asked in turn, cold (first time) and warm."""
    turns = make_turns(SPACES * 1000)
    parts = {f"bench/n{i}": turns[i * 1000 : (i + 1) * 1000] for i in range(SPACES)}
    build_spaces(work, parts)
    names = list(parts)
    asked = [make_questions(parts[ns], 3, seed=11 + repeat) for ns in names]
    embedder, out = StaticEmbedder(), {}

    def ours() -> None:
        with mneme.open(str(work / "mneme-spaces")) as memory:
            held = [memory.namespace(ns) for ns in names]
            rounds = zip(*asked, strict=True)
            for label, questions in zip(
                ("mneme_cold", "mneme", "mneme_again"), rounds, strict=True
            ):
                pairs = zip(held, questions, strict=True)
                out[label] = spread_ms(
                    lambda p=p: p[0].search(p[1], limit=K, now=NOW) for p in pairs
                )

    def hand() -> None:
        store = HandStore(work / "hand-spaces" / "hand.db")
        questions = [q[1] for q in asked]
        out.update(hand_searches(store, embedder, questions, iter(names)))
        store.close()
        apart = WordsPerNamespace(fresh(work / "apart") / "words.db")
        for ns, some in parts.items():
            apart.add(ns, [t.indexed_text() for t in some])
        pairs = zip(names, questions, strict=True)
        out["words_apart"] = spread_ms(lambda p=p: apart.search(*p, K) for p in pairs)
        apart.close()

    in_turn(repeat, [ours, hand])
    return out


def build_spaces(work: Path, parts: dict[str, list[Turn]]) -> None:
    if (work / "spaces.done").exists():
        return
    embedder = StaticEmbedder()
    store = HandStore(fresh(work / "hand-spaces") / "hand.db")
    with mneme.open(str(fresh(work / "mneme-spaces"))) as memory:
        for ns, turns in parts.items():
            memory.namespace(ns).add_many([item(t) for t in turns])
            by_hand(store, embedder, ns, turns)
        memory.drain()
    store.close()
    (work / "spaces.done").touch()


def locomo(work: Path, repeat: int) -> dict[str, Any]:
    """Real talk: all turns of the LoCoMo file in their conversations, and its questions."""
    import peers

    if not peers.DATA.exists():
        return {"skipped": "no LoCoMo data beside the repository"}
    items = peers.load_turns(peers.DATA, 10**6)
    asked = peers.load_questions(peers.DATA, items, QUESTIONS)
    by_user: dict[str, list[dict[str, Any]]] = {}
    for one in items:
        message = {"role": "user", "name": one["speaker"], "content": one["said"], "at": one["at"]}
        entry = {"content": message, "session": one["session"]}
        by_user.setdefault(one["user"], []).append(entry)
    with mneme.open(str(fresh(work / "mneme-locomo"))) as memory:
        _, wall, cpu = measuring.timed(
            lambda: [memory.namespace(user).add_many(many) for user, many in by_user.items()]
        )
        memory.drain()
        held = {user: memory.namespace(user) for user in by_user}
        for user, space in held.items():
            space.search(f"warm up {user}", limit=K)
        calls = (lambda q=q: held[q["user"]].search(q["text"], limit=K) for q in asked)
        searched = spread_ms(calls)
    bulk_figures = rate(len(items), wall, cpu)
    return {"mneme": searched | bulk_figures, "turns": len(items), "questions": len(asked)}


def fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


ROWS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "bulk_10k": lambda w, r: bulk(10_000, w, r),
    "bulk_100k": lambda w, r: bulk(100_000, w, r),
    "single_add": single,
    "search_2k": lambda w, r: search(2_000, w, r),
    "search_10k": lambda w, r: search(10_000, w, r),
    "search_100k": lambda w, r: search(100_000, w, r),
    "search_100_spaces": spaces,
    "locomo": locomo,
}


def main() -> None:
    row, work, repeat = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    started, load = time.time(), measuring.load_average()
    out = ROWS[row](work, repeat)
    out |= {"load_before": load, "took_s": time.time() - started}
    print("RESULT " + json.dumps(out), flush=True)


if __name__ == "__main__":
    main()
