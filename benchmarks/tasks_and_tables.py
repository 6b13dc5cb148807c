"""What a task's prompt saves, and how long the door to tables takes.

Usage: python benchmarks/tasks_and_tables.py [--out benchmarks/results/tasks_and_tables.json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import mneme
from mneme.core.tokens import EstimatedCounter
from mneme.settings import Settings

STEPS = (10, 100, 1000)
ROWS = (1_000, 10_000, 100_000)
OUT = Path(__file__).parent / "results" / "tasks_and_tables.json"


def tasks(alice: mneme.Namespace, count: int) -> dict[str, float]:
    """A task of sub-goals with nine parts each; half of the steps are done."""
    task = alice.task("Move the office to the new building")
    for number in range(1, count + 1):
        goal = (number - 1) // 10 * 10 + 1
        part = number != goal
        task.add_step(
            f"Part {number} of the move" if part else f"Sub-goal {number} of the move",
            parent=goal if part else None,
            inputs={"room": f"room {number}", "people": number % 7},
        )
    numbers = [n for n in range(1, count // 2 + 1) if n % 10 != 1]
    for number in numbers:
        task.finish(number, outputs={"note": f"moved {number} boxes to floor {number % 9}"})
    task.start(numbers[-1] + 1 if (numbers[-1] + 1) % 10 != 1 else numbers[-1] + 2)
    counter = EstimatedCounter()
    began = time.perf_counter()
    text = task.prompt(budget_tokens=1_000_000)
    took = time.perf_counter() - began
    return {
        "steps": count,
        "tree_tokens": counter.count(task.tree()),
        "prompt_tokens": counter.count(text),
        "prompt_tokens_at_800": counter.count(task.prompt(budget_tokens=800)),
        "prompt_ms": round(1000 * took, 1),
    }


def tables(alice: mneme.Namespace, count: int) -> dict[str, float]:
    name = f"expenses_{count}"
    table = alice.table(name, columns={"day": "date", "what": "text", "amount": "real"})
    for start in range(0, count, 10_000):
        table.insert(
            [
                {"day": f"2026-{n % 12 + 1:02d}-01", "what": f"item {n % 97}", "amount": n / 7}
                for n in range(start, min(count, start + 10_000))
            ]
        )
    sql = f"SELECT what, sum(amount) FROM {name} WHERE day >= ? GROUP BY what LIMIT 10"
    began = time.perf_counter()
    alice.query(sql, params=["2026-03-01"])
    first = time.perf_counter() - began
    times = []
    for _ in range(15):
        began = time.perf_counter()
        alice.query(sql, params=["2026-03-01"])
        times.append(time.perf_counter() - began)
    return {
        "rows": count,
        "first_query_ms": round(1000 * first, 1),
        "query_ms_median": round(1000 * statistics.median(times), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as folder,
        mneme.open(folder, settings=Settings(worker=False, embedder="none")) as memory,
    ):
        found = {
            "load_before": round(load, 1),
            "cores": os.cpu_count(),
            "tasks": [tasks(memory.namespace(f"tasks{n}"), n) for n in STEPS],
            "tables": [tables(memory.namespace(f"tables{n}"), n) for n in ROWS],
        }
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
