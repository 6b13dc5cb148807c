"""Recompute seconds under GDSF and under LRU, on Zipf traces of documents of mixed lengths.

    python benchmarks/kv_eviction.py           # about two CPU minutes, no model

A trace asks for documents of 64 to 4,096 tokens again and again, with a Zipf popularity that knows
nothing of their length. A document is a chain of blocks of 64 tokens (256 on disk, to save time
here). What is found of it from its head is used; the rest is computed and kept. A token costs more
the later it stands (attention), so that the cost of a document grows faster than its length; each
block is charged with its share of the seconds of its document, as the store does it.

"memory": the shelf of host memory, which evicts as things come. "disk": rows of a store, ordered
when there is no room. The budget is a share of the bytes of all documents. Time passes evenly.
"steady": popularity stays; "drift": it changes, which no figure asks for, to see what that costs.
`worst_ratio` is that of the steady traces.

Writes benchmarks/results/kv_eviction.json.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from measuring import machine_facts, save
from mneme.core.rows import BlockRow
from mneme.memories.activation.eviction import eviction_of, order
from mneme.memories.activation.shelf import Shelf

BYTES_PER_TOKEN = 4096
TOKEN_S, PAIR_S = 2.5e-4, 1e-7  # seconds for a token, and for each token before it
DAY_S = 86_400


class Trace(NamedTuple):
    """Documents as chains of rows, and which of them is asked for when."""

    documents: list[list[BlockRow]]
    costs: list[list[float]]  # seconds that each block really takes
    asked: list[int]

    @property
    def total_bytes(self) -> int:
        return sum(row.size for rows in self.documents for row in rows)


class Place(NamedTuple):
    """What is measured where."""

    name: str
    play: Callable[[Trace, int, str], tuple[float, int]]
    block: int  # tokens
    documents: int
    requests: int
    skews: tuple[float, ...]
    budgets: tuple[float, ...]


def make_trace(place: Place, kind: str, skew: float, seed: int) -> Trace:
    """kind: "steady", or "drift": every 500 requests a fifth of the documents swap popularity."""
    documents, requests = place.documents, place.requests
    dice = random.Random(f"{kind} {skew} {seed}")
    made, costs = [], []
    for number in range(documents):
        rows, block_costs = _document(number, round(64 * 64 ** dice.random()), place.block)
        made.append(rows)
        costs.append(block_costs)
    weights = [1 / (rank + 1) ** skew for rank in range(documents)]
    ranks = list(range(documents))
    dice.shuffle(ranks)
    asked: list[int] = []
    while len(asked) < requests:
        if kind == "drift" and asked:
            for _ in range(documents // 5):
                one, other = dice.randrange(documents), dice.randrange(documents)
                ranks[one], ranks[other] = ranks[other], ranks[one]
        count = min(500, requests - len(asked))
        asked += dice.choices(range(documents), [weights[rank] for rank in ranks], k=count)
    return Trace(made, costs, asked)


def _document(number: int, tokens: int, block: int) -> tuple[list[BlockRow], list[float]]:
    rows: list[BlockRow] = []
    costs: list[float] = []
    parent = hashlib.sha256(f"root {number}".encode()).digest()
    for start in range(0, tokens, block):
        own = min(block, tokens - start)
        key = hashlib.sha256(parent + str(own).encode()).digest()
        costs.append(own * TOKEN_S + PAIR_S * own * (start + own / 2))
        rows.append(
            BlockRow(0, "e", key, parent, "raw", bytes(4 * own), start,
                     own * BYTES_PER_TOKEN, b"", 0.0)
        )  # fmt: skip
        parent = key
    whole = sum(costs)
    return [row._replace(cost_s=whole * len(row.tokens) / 4 / tokens) for row in rows], costs


def in_memory(trace: Trace, budget: int, policy: str) -> tuple[float, int]:
    """Recompute seconds, and the most bytes that were ever held."""
    shelf: Shelf[bool] = Shelf(budget, eviction_of(policy))
    seconds, most = 0.0, 0
    for number in trace.asked:
        rows = trace.documents[number]
        hits = next((n for n, row in enumerate(rows) if not shelf.get(row.name)), len(rows))
        seconds += sum(trace.costs[number][hits:])
        fits, room = 0, budget  # of a chain beyond the budget, its head is kept
        while fits < len(rows) and rows[fits].size <= room:
            room -= rows[fits].size
            fits += 1
        for row in reversed(rows[:hits]):
            shelf.touch(row.name)
        for row in reversed(rows[hits:fits]):
            shelf.add(row, row.size, lambda: True)
            most = max(most, shelf.bytes)
    return seconds, most


def on_disk(trace: Trace, budget: int, policy: str) -> tuple[float, int]:
    """The same for rows that are ordered whenever there is no room."""
    here: dict[str, BlockRow] = {}
    held = most = 0
    seconds = 0.0
    for now, number in enumerate(trace.asked, start=1):
        rows = trace.documents[number]
        hits = next((n for n, row in enumerate(rows) if row.name not in here), len(rows))
        seconds += sum(trace.costs[number][hits:])
        for row in rows[:hits]:
            known = here[row.name]
            here[row.name] = known._replace(uses=known.uses + 1, used_at=now * DAY_S)
        new = [row for row in rows[hits:] if row.name not in here]
        over = held + sum(row.size for row in new) - budget
        if sum(row.size for row in new) > budget:
            continue  # never fits: it is not stored
        if over > 0:
            for row in order(list(here.values()), now * DAY_S, eviction=policy):
                if over <= 0:
                    break
                del here[row.name]
                over -= row.size
                held -= row.size
        for row in new:
            here[row.name] = row._replace(used_at=now * DAY_S)
            held += row.size
        most = max(most, held)
    return seconds, most


def measured(
    place: Callable[[Trace, int, str], tuple[float, int]], trace: Trace, share: float
) -> dict[str, Any]:
    budget = int(share * trace.total_bytes)
    without = sum(sum(trace.costs[number]) for number in trace.asked)
    gdsf, most_gdsf = place(trace, budget, "gdsf")
    lru, most_lru = place(trace, budget, "lru")
    return {
        "gdsf_s": gdsf,
        "lru_s": lru,
        "without_s": without,
        "ratio": gdsf / lru,
        "within_budget": max(most_gdsf, most_lru) <= budget,
    }


def all_runs(seeds: range, *, quick: bool) -> Iterator[dict[str, Any]]:
    skews, shares = (0.6, 0.8, 1.0, 1.2), (0.05, 0.1, 0.2, 0.4, 0.7)
    places = (
        Place("memory", in_memory, 64, 300, 1000 if quick else 3000, skews, shares),
        Place("disk", on_disk, 256, 80, 500 if quick else 1500, skews[::2], shares[::2]),
    )
    for place in places:
        for kind in ("steady", "drift"):
            for skew in place.skews:
                for seed in seeds:
                    trace = make_trace(place, kind, skew, seed)
                    for share in place.budgets:
                        run = measured(place.play, trace, share)
                        yield {
                            "place": place.name, "trace": kind, "skew": skew, "budget": share,
                            "seed": seed, **run,
                        }  # fmt: skip


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each place, trace, skew and budget, over the seeds."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(tuple(run[k] for k in ("place", "trace", "skew", "budget")), []).append(
            run
        )
    return [
        {
            "place": place, "trace": kind, "skew": skew, "budget": share, "seeds": len(group),
            "gdsf_s": statistics.mean(run["gdsf_s"] for run in group),
            "lru_s": statistics.mean(run["lru_s"] for run in group),
            "without_s": statistics.mean(run["without_s"] for run in group),
            "worst_ratio": max(run["ratio"] for run in group),
            "within_budget": all(run["within_budget"] for run in group),
        }
        for (place, kind, skew, share), group in groups.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=10, help="the first seed")
    parser.add_argument("--quick", action="store_true", help="short traces, nothing saved")
    said = parser.parse_args()
    begun = time.process_time()
    runs = []
    for run in all_runs(range(said.first, said.first + said.seeds), quick=said.quick):
        runs.append(run)
        print(f"\r{len(runs)} traces", end="", flush=True)
    rows = table(runs)
    print(f"\n{'place':7} {'trace':7} {'skew':>4} {'budget':>6} {'GDSF s':>8} {'LRU s':>8} "
          f"{'without':>8} {'worst':>6}")  # fmt: skip
    for row in rows:
        print(f"{row['place']:7} {row['trace']:7} {row['skew']:4} {row['budget']:6.0%} "
              f"{row['gdsf_s']:8.0f} {row['lru_s']:8.0f} {row['without_s']:8.0f} "
              f"{row['worst_ratio']:6.3f}")  # fmt: skip
    held = all(run["within_budget"] for run in runs)
    sums = {
        f"{place} {kind}": summary([r for r in runs if (r["place"], r["trace"]) == (place, kind)])
        for place in ("memory", "disk") for kind in ("steady", "drift")
    }  # fmt: skip
    for name, each in sums.items():
        print(name, {key: round(value, 3) for key, value in each.items()})
    print(f"budget {'never' if held else 'SOMETIMES'} exceeded; "
          f"{time.process_time() - begun:.0f} CPU seconds")  # fmt: skip
    if not said.quick:
        save("kv_eviction.json", {
            "machine": machine_facts(), "runs": len(runs), "within_budget": held, "sums": sums,
            "worst_ratio": max(r["ratio"] for r in runs if r["trace"] == "steady"), "rows": rows,
        })  # fmt: skip


def summary(runs: list[dict[str, Any]]) -> dict[str, float]:
    ratios = [run["ratio"] for run in runs]
    return {
        "runs": len(runs),
        "mean_ratio": statistics.mean(ratios),
        "worst_ratio": max(ratios),
        "lost": sum(ratio > 1 for ratio in ratios),
    }


if __name__ == "__main__":
    main()
