"""Recall on AMST-Bench, which the ranking was not fitted on; for benchmarks/recall_page.py.

    python benchmarks/recall_unseen.py

For each question with memories that must be used: the share of the turns that these were taken
from among the first ten. Needs what `fit_ranking.py` needs; writes `results/recall_unseen.json`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mneme.recall.rank import Mode, Question, rank
from ranking_sets import SHARED, Indexer, Turn, load_sets, moment

RESULTS = Path(__file__).parent / "results" / "recall_unseen.json"
MODES: tuple[Mode, ...] = ("hybrid", "lexical", "dense")
PLACES = 10


def cases() -> Iterator[dict[str, Any]]:
    """Every case of every domain."""
    for path in sorted((SHARED / "data" / "amst").glob("*.json")):
        yield from json.loads(path.read_text("utf-8"))["cases"]


def turns_of(case: dict[str, Any]) -> list[Turn]:
    """The turns of a case, as the sets of `ranking_sets` have them."""
    return [
        {
            "id": turn["turn_id"], "text": turn["content"], "speaker": turn["role"],
            "timestamp": stamp(turn.get("timestamp") or session["timestamp"]),
            "session": session["session_id"],
        }
        for session in case["sessions"]
        for turn in session["turns"]
    ]  # fmt: skip


def stamp(text: str) -> str:
    """A time stamp without its zone, which is UTC."""
    return text[:19]


def evidence(case: dict[str, Any], question: dict[str, Any], place: dict[str, int]) -> set[int]:
    """Places of the turns that a question's memories were taken from."""
    units = {unit["memory_id"]: unit for unit in case["gold_memory_units"]}
    wanted = [units[m] for m in question.get("gold_memory_ids") or [] if m in units]
    return {place[turn] for unit in wanted for turn in unit["source_turn_ids"] if turn in place}


def main() -> None:
    load_sets(())  # makes retrieval_bench importable
    from retrieval_bench import BM25

    indexer, found = Indexer(), defaultdict(list)
    for case in cases():
        turns = turns_of(case)
        place = {turn["id"]: number for number, turn in enumerate(turns)}
        index, plain = indexer.index(turns), BM25([turn["text"] for turn in turns])
        for question in case["queries"]:
            right = evidence(case, question, place)
            if not right:
                continue
            text, now = question["prompt"], moment(stamp(question["timestamp"]))
            asked = Question(text, indexer.vector(text), now)
            for mode in MODES:
                ranked = rank(index, asked, mode=mode, limit=PLACES)
                found[mode].append(len({each.key - 1 for each in ranked} & right) / len(right))
            order = np.argsort(-plain.scores(text), kind="stable")[:PLACES]
            found["bm25"].append(len(set(order.tolist()) & right) / len(right))
    figures = {name: 100 * float(np.mean(values)) for name, values in found.items()}
    figures["questions"] = len(found["bm25"])
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(figures)


if __name__ == "__main__":
    main()
