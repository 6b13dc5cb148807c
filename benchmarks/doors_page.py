"""Write docs/benchmarks-server.md out of benchmarks/results/doors_*.json.

    python benchmarks/doors_page.py
    python benchmarks/doors_page.py --check      # status 1 if the page is not what the results say

A result that is not there is told as such. A figure says how busy the machine was with other work.
"""

# ruff: noqa: E501 (sentences and tables of a page)
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import doors_goals
from measuring import REPO, load

PAGE = REPO / "docs" / "benchmarks-server.md"
Result = dict[str, Any]

HEAD = """\
# What a server costs and bears

Written by `python benchmarks/doors_page.py` out of `benchmarks/results/doors_*.json`; each part names the
command that made its figures. Turns and questions are made up ([chat_turns.py](../benchmarks/chat_turns.py)).
Server and client share one machine. How to run a server is in [operations.md](operations.md).
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text, missing = page()
    if options.check:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.name}", *(f"(missing: {name})" for name in missing))
    return 0


def page() -> tuple[str, list[str]]:
    """The page, and the names of results that are missing."""
    goals = table(["check", "reach", "measured", "reached"], doors_goals.rows())
    parts, missing = [f"{HEAD}\n{goals}"], []
    for name, (title, command, tell) in PARTS.items():
        result = load(f"{name}.json")
        missing += [] if result else [name]
        told = tell(result) if result else "Not measured yet.\n"
        parts.append(f"## {title}\n\n`{command}`\n\n{told}{machine(result)}")
    return "\n".join(parts) + CLOSE, missing


def machine(result: Result) -> str:
    facts = result.get("machine")
    if not facts:
        return ""
    busy = facts["load_1min_at_start"]
    note = f" Load of the machine at the start: {busy:g}." + (
        " **Others worked on it at the time: the times are too long.**"
        if busy > facts["cores"]
        else ""
    )
    return (
        f"\n{facts['cores']} cores of {facts['cpu']}, Python {facts['python']}, "
        f"{facts['measured_on']}.{note}\n"
    )


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


def ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def overhead(result: Result) -> str:
    rows = [
        [name, ms(result[key]["p50"]), ms(result[key]["p95"]), ms(result[key]["p99"])]
        for name, key in (
            ("library", "library_ms"),
            ("over HTTP", "http_ms"),
            ("difference, question by question", "overhead_ms"),
        )
    ]
    return (
        f"{result['questions']} searches in a namespace of {result['turns']:,} turns, asked both ways in turn; "
        f"the answers were the same. Goal: difference p50 <= {result['goal_ms']:g} ms.\n\n"
        + table(["way", "p50", "p95", "p99"], rows)
        + f"\nCPU for a search: {ms(result['cpu_ms']['library'])} in the library, "
        f"{ms(result['cpu_ms']['server'])} in the server, all that it does for it included.\n"
    )


def under_load(result: Result) -> str:
    names = {"hundred": "100 namespaces of 1,000 turns", "one": "one of 100,000 turns"}
    found = {name: result[name] for name in names if name in result}
    rows = [
        ["minutes", *(f"{one['seconds'] / 60:.1f}" for one in found.values())],
        ["requests a second", *(f"{one['requests_per_s']:.0f}" for one in found.values())],
        *([p, *(ms(one[f"{p}_ms"]) for one in found.values())] for p in ("p50", "p95", "p99")),
        ["p99 of searches", *(ms(one["search"]["p99_ms"]) for one in found.values())],
        ["p99 of adds", *(ms(one["add"]["p99_ms"]) for one in found.values())],
        ["errors", *(sum(one["errors"].values()) for one in found.values())],
        [
            "memory after a fifth, at the end",
            *(
                f"{one['memory_mb']['after_a_fifth']:.0f}, {one['memory_mb']['last']:.0f} MB"
                for one in found.values()
            ),
        ],
        ["memory a minute", *(f"{one['memory_mb_per_minute']:+.1f} MB" for one in found.values())],
        ["cores of the server", *(f"{one['server_cpu_share']:.2f}" for one in found.values())],
        ["cores of the client", *(f"{one['client_cpu_share']:.2f}" for one in found.values())],
        [
            "jobs that waited at the end",
            *(one["jobs_left"].get("waiting", 0) for one in found.values()),
        ],
    ]
    return (
        f"{result['connections']} connections, {result['searches_share']:.0%} searches and the rest adds, each "
        "connection with its next request as soon as the last is answered. Goals: >= 200 requests a second, "
        "p99 <= 400 ms and no error on a hundred namespaces; >= 30 requests a second on one; memory flat.\n\n"
        + table(["", *(names[name] for name in found)], rows)
    )


def schemathesis(result: Result) -> str:
    cases = result["test_cases"]
    return (
        f"schemathesis {result['schemathesis']}, {result['minutes']:g} minutes, "
        f"{result['operations']['tested']} of {result['operations']['total']} operations, "
        f"{cases['generated']:,} cases: **{counted(result['failures'], 'failure')}**. The store was "
        f"{'sound' if result['store_verified'] else 'not verified'} afterwards.\n"
    )


def kills(result: Result) -> str:
    return (
        f"{result['what'][:1].upper()}{result['what'][1:]}: {result['kills']} kills, {result['acknowledged']:,} writes acknowledged, "
        f"**{len(result['wrong'])} found wrong or missing afterwards**.\n"
    )


def leaks(result: Result) -> str:
    rows = [
        [
            row["principals"],
            f"{row['tokens']:,}",
            f"{row['requests']:,}",
            row["foreign_tokens"],
            f"{row['twins']:,}",
            row["unlike"],
        ]
        for row in result["rows"]
    ]
    head = ["principals", "planted tokens", "requests", "foreign tokens seen"]
    return table([*head, "foreign ids asked for", "answered otherwise than missing ones"], rows)


def proxy(result: Result) -> str:
    rows = []
    for form, title in (("stream", "streamed"), ("whole", "whole")):
        whole = result[form]["whole_ms"]
        ways = [way for way in ("direct", "off", "read", "write", "on") if way in whole]
        rows += [[title, way, ms(whole[way]["p50"]), ms(whole[way]["p95"])] for way in ways]
    same = result["stream"].get("same_bytes_without_memory", "not counted")
    return (
        "Time to the last byte of a chat, straight to the upstream (`direct`) and through the proxy: memory "
        f"off, only read, only written, on. Same bytes as without the proxy, with memory off: {same}.\n\n"
        + table(["answer", "memory", "p50", "p95"], rows)
    )


PARTS: dict[str, tuple[str, str, Callable[[Result], str]]] = {
    "doors_overhead": (
        "What HTTP adds to a search",
        "python benchmarks/doors_overhead.py",
        overhead,
    ),
    "doors_load": ("Load", "python benchmarks/doors_load.py --minutes 5", under_load),
    "doors_schemathesis": (
        "Generated requests",
        "python benchmarks/doors_schemathesis.py --minutes 30",
        schemathesis,
    ),
    "doors_kills": ("kill -9 under load", "python benchmarks/doors_kills.py", kills),
    "doors_leaks": ("Principals who pry", "python benchmarks/doors_leaks.py", leaks),
    "doors_proxy": ("The proxy", "python benchmarks/doors_proxy.py", proxy),
}

CLOSE = """
## What was found while measuring

- Answers took 40 ms longer than they should when the listening socket had not set `TCP_NODELAY`: asyncio
  sets it on sockets that name their protocol, and those of `socket.create_server` do not. It is set now.
- Searches that run in many threads at once take the interpreter from each other. With 32 clients that only
  searched, on a machine with little else to do, by the number of threads (one run of 9 s each, before the routes were
  whole; 20 % of the requests were answered by 404):

| threads | requests a second | p99 | CPU of the server for a search |
| --- | --- | --- | --- |
| 1 | 115 | 392 ms | 10.8 ms |
| 2 | 115 | 409 ms | 12.6 ms |
| 4 | 85 | 562 ms | 17.8 ms |
| 8 | 79 | 664 ms | 19.3 ms |
| 40 (Starlette's own) | 58 | 1,328 ms | 27.4 ms |

  Hence two searches at a time, and the others in line (`server/turns.py`). A lock inside the index gave the
  same rate and twice the p99, because what is done after it still ran in all threads.
- A search is some hundred small steps of Python and numpy: one process is one core's worth of it, and gave 107 requests a second
  (p99 520 ms, one minute). Hence a process for each core (`mneme serve --processes`), each with its own indexes.
- Before answers were written by orjson, the trees of the ranking read a node at one fetch (the same numbers, bit by bit) and turns
  were taken around the work, HTTP added 3.4 to 4.2 ms to a search.
- SQLite has no queue of writers: beside a process that writes without a pause, adds of another waited up to 9 s. Writers now take
  turns by a lock on the store's folder (`backends/sqlite/turnstile.py`). A busy handler alone, in Python with short random waits,
  took the 99th percentile of adds from 9 to 50 ms to 92 to 141 ms (two runs each, beside other work), and was dropped.
- The five-minute runs above grew by 25 MB a minute. Two arenas of glibc for a process came after them (`server/arenas.py`), and
  the five minutes were not run again. In 1.2 minutes beside a test suite: with `MALLOC_ARENA_MAX=2` set from outside, 688.0 MB from
  the eighth second to the last with 570 adds on the namespace of 100,000; with the bound as it is now, 12 MB a minute on
  the hundred, with 2,229 adds that each of two processes indexes.
- What was tried and made no difference: uvloop in place of asyncio (CPU of the server for a search 1.42 to 1.45
  times that of the library with either, two runs each); freezing the collector's oldest generation (it runs
  about once in two hundred searches, for 0.1 ms).
"""


if __name__ == "__main__":
    sys.exit(main())
