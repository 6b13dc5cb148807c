"""Simulated feedback on LoCoMo and BEAM: what does learning to retrieve gain or lose?

    nice -n 15 python benchmarks/bandit.py

For each conversation and seed, half of its questions are asked one after another; of the ten turns
shown, those that are evidence are marked as used, and the weights take a step
(`mneme.recall.learning`, as `Namespace.feedback` takes it). Then the other half is asked with the
weights fixed: r@10, against no learning. A share of the marks is wrong in the noisy rows.

Two bases. "packaged": the shipped model, which was fitted on these very questions, so that there is
little left to learn and any gain is out of the question's own half. "linear": the first score
alone. And one user with a need of his own, whom no fit has seen: he only uses evidence from the
later half of a conversation.

`DOUBT` and `PROOF` were chosen on LoCoMo, on five of the seeds; BEAM played no part in that.
"""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mneme.recall import learning, model
from mneme.recall.rank import CANDIDATES, Question, rank
from ranking_sets import Indexer, load_sets, moment, variant

RESULTS = Path(__file__).parent / "results" / "bandit.json"
SEEDS = 10
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Search:
    """One question: its candidates as the ranking left them."""

    margins: dict[str, np.ndarray]  # by base
    features: np.ndarray
    keys: np.ndarray
    evidence: frozenset[int]
    late: frozenset[int]  # the part of the evidence in the later half


def searches(name: str) -> list[list[Search]]:
    """By conversation, its questions."""
    indexer, slope = Indexer(), model.load()[0].scale[0]
    found = []
    for corpus in load_sets((name,)):
        turns = variant(corpus, "plain")
        index = indexer.index(turns)
        place = {turn["id"]: number + 1 for number, turn in enumerate(turns)}
        rows = []
        for case in corpus.cases:
            q = case.question
            question = Question(q["text"], indexer.vector(q["text"]), moment(q["now"]))
            ranked = [r for r in rank(index, question, limit=CANDIDATES) if "first" in r.signals]
            scores = np.clip([r.score for r in ranked], 1e-9, 1 - 1e-9)
            values = np.array([[r.signals.get(n, 0.0) for n in learning.LEARNED] for r in ranked])
            evidence = frozenset(place[turn] for turn in q["evidence"])
            if not evidence or not ranked:
                continue
            rows.append(
                Search(
                    {
                        "packaged": np.log(scores / (1 - scores)) / slope,
                        "linear": np.array([r.signals["first"] for r in ranked]),
                    },
                    learning.standardised(learning.LEARNED, values),
                    np.array([r.key for r in ranked]),
                    evidence,
                    frozenset(key for key in evidence if key > len(turns) / 2),
                )
            )
        found.append(rows)
    return found


def margins_of(search: Search, base: str, weights: learning.Weights) -> np.ndarray:
    vector = np.array([weights.values.get(name, 0.0) for name in learning.LEARNED])
    most = learning.MOST_MARGIN
    return search.margins[base] + np.clip(search.features @ vector, -most, most)


def top(search: Search, margins: np.ndarray) -> np.ndarray:
    return np.lexsort((search.keys, -margins))[:SHOWN]


def recall_at_10(search: Search, base: str, weights: learning.Weights, wanted: frozenset) -> float:
    keys = search.keys[top(search, margins_of(search, base, weights))]
    return len(wanted & set(keys.tolist())) / len(wanted)


def taught(
    asked: list[Search], base: str, need: str, noise: float, draw: random.Random
) -> learning.Weights:
    """The weights after feedback on some questions."""
    weights = learning.Weights()
    for search in asked:
        margins = margins_of(search, base, weights)
        best = top(search, margins)
        wanted = search.late if need == "late" else search.evidence
        used = [(int(k) in wanted) != (draw.random() < noise) for k in search.keys[best]]
        shown = learning.Shown((), search.features[best], margins[best], np.array(used))
        weights = learning.stepped(weights, shown)
    return weights


def row(conversations: list[list[Search]], base: str, need: str, noise: float) -> dict[str, object]:
    """r@10 on the other half, without and with learning, over seeds; in percent."""
    before, after, gains, by_conversation = [], [], [], []
    for seed in range(SEEDS):
        plain, learned = [], []
        for number, found in enumerate(conversations):
            draw = random.Random(f"{seed} {number}")
            usable = [s for s in found if (s.late if need == "late" else s.evidence)]
            draw.shuffle(usable)
            half = len(usable) // 2
            weights = taught(usable[:half], base, need, noise, draw)
            tested = [(s, s.late if need == "late" else s.evidence) for s in usable[half:]]
            zero = [recall_at_10(s, base, learning.Weights(), w) for s, w in tested]
            more = [recall_at_10(s, base, weights, w) for s, w in tested]
            by_conversation.append(100 * (statistics.mean(more) - statistics.mean(zero)))
            plain += zero
            learned += more
        before.append(100 * statistics.mean(plain))
        after.append(100 * statistics.mean(learned))
        gains.append(after[-1] - before[-1])
    return {
        "base": base, "need": need, "wrong_marks": noise,
        "r@10_without": round(statistics.mean(before), 2),
        "r@10_with": round(statistics.mean(after), 2),
        "gain": round(statistics.mean(gains), 2),
        "gain_sd_over_seeds": round(statistics.stdev(gains), 2),
        "gain_min": round(min(gains), 2), "gain_max": round(max(gains), 2),
        "share_of_halves_that_lost": round(statistics.mean(g < 0 for g in by_conversation), 2),
    }  # fmt: skip


def main() -> None:
    rows, questions = [], {}
    for name in ("locomo", "beam100k"):
        conversations = searches(name)
        questions[name] = [len(each) for each in conversations]
        for base in ("packaged", "linear"):
            for need, noise in (("evidence", 0.0), ("evidence", 0.1), ("late", 0.0)):
                rows.append({"set": name} | row(conversations, base, need, noise))
                print(rows[-1], flush=True)
    kept = {
        "questions_by_conversation": questions, "seeds": SEEDS, "step": learning.STEP,
        "most_weight": learning.MOST_WEIGHT, "most_margin": learning.MOST_MARGIN,
        "doubt": learning.DOUBT, "proof": learning.PROOF, "rows": rows,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
