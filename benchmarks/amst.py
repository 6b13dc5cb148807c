#!/usr/bin/env python3
"""What recall gives back of AMST-Bench's dialogues: what is wanted, and nothing that is not.

    python benchmarks/amst.py --data /path/to/amst [--out results.json] [--show 10] [--raw]

Each case is a namespace. Its turns go in with role, session and time through the public API, jobs
are drained, and each write, forget, update and retrieval probe is asked as `recall(prompt,
now=timestamp)`. `included`: share of `must_include` strings that stand in the text. `clean`: share
of probes whose text has no `must_not_include` string and nothing of a forbidden memory (its
content, and the object of its canonical form unless a required string holds that too). `--raw`
keeps turns verbatim only (infer="none"), to compare. All strings are compared without case.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import mneme

PROBES = ("write_probe", "forget_probe", "update_probe", "retrieval_probe")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "amst"


def turns_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "content": turn["content"],
            "role": turn["role"],
            "session": session["session_id"],
            "at": turn.get("timestamp") or session["timestamp"],
        }
        for session in case["sessions"]
        for turn in session["turns"]
    ]


def forbidden_of(case: dict[str, Any], query: dict[str, Any]) -> list[str]:
    """Words that must not be in the text: what the probe names, and its forbidden memories."""
    wanted = [text.casefold() for text in query["expected_behavior"]["must_include"]]
    found = list(query["expected_behavior"]["must_not_include"])
    ids = set(query["forbidden_memory_ids"])
    for unit in case["gold_memory_units"]:
        if unit["memory_id"] in ids:
            found.append(unit["content"])
            told = unit["canonical_form"]["object"]
            if told and not any(told.casefold() in text for text in wanted):
                found.append(told)
    return [text for text in dict.fromkeys(found) if text.strip()]


def judge(case: dict[str, Any], query: dict[str, Any], text: str) -> dict[str, Any]:
    low = text.casefold()
    wanted = query["expected_behavior"]["must_include"]
    return {
        "case": case["case_id"],
        "probe": query["probe_type"],
        "query": query["query_id"],
        "wanted": len(wanted),
        "missing": [word for word in wanted if word.casefold() not in low],
        "unwanted": [word for word in forbidden_of(case, query) if word.casefold() in low],
    }


def run_case(case: dict[str, Any], *, infer: str, budget: int | None) -> list[dict[str, Any]]:
    more = {} if budget is None else {"budget_tokens": budget}
    with tempfile.TemporaryDirectory() as folder, mneme.open(folder) as memory:
        namespace = memory.namespace(case["case_id"])
        for turn in turns_of(case):
            namespace.add(infer=infer, **turn)
        memory.drain()
        return [
            judge(
                case, query, namespace.recall(query["prompt"], now=query["timestamp"], **more).text
            )
            for query in case["queries"]
            if query["probe_type"] in PROBES
        ]


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    wanted = sum(row["wanted"] for row in rows)
    missing = sum(len(row["missing"]) for row in rows)
    return {
        "probes": len(rows),
        "strings": wanted,
        "included": round(1 - missing / max(1, wanted), 4),
        "clean": round(sum(not row["unwanted"] for row in rows) / max(1, len(rows)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=int, default=0, help="failures to print")
    parser.add_argument("--raw", action="store_true", help='verbatim turns only, infer="none"')
    parser.add_argument("--budget", type=int, help="tokens of a context; default: recall's own")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for path in sorted(options.data.glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            rows += run_case(case, infer="none" if options.raw else "auto", budget=options.budget)
    by_probe = defaultdict(list)
    for row in rows:
        by_probe[row["probe"]].append(row)
    result = {"all": summarise(rows), **{name: summarise(by_probe[name]) for name in PROBES}}
    for name, figures in result.items():
        print(f"{name:16}", *(f"{key} {value}" for key, value in figures.items()), sep="  ")
    for row in [row for row in rows if row["missing"] or row["unwanted"]][: options.show]:
        print(row["query"], "\n   missing", row["missing"], "\n   unwanted", row["unwanted"])
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
