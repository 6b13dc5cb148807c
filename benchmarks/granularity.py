"""Do episodes, sessions, summaries, links and the forgetting curve help to find turns?

    nice -n 15 python benchmarks/granularity.py [locomo lme_hay_m beam100k lme_hay_s]

Each variant adds one bounded term to the margin of the packaged ranking's best 100 (the logit of a
hit's score), and its r@10 is set beside that of the ranking as it is, in the same run. The weight
of a term is chosen on the other half of the questions (two folds), so a gain is no artefact of the
choice; `best` shows what the best weight would have given on the same questions. The packaged
ranking was fitted on these sets, so its own figure is higher here than on what it never saw. Data:
see `../shared/bench/retrieval_bench.py`. Writes results/granularity.json.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np

import mneme
from mneme.backends.embedders.static import StaticEmbedder
from mneme.memories.plaintext.episodes import Said, episodes
from mneme.memories.plaintext.sentences import content_of, is_telling, names_of, sentences_of
from mneme.memories.plaintext.summary import Weighed, choose
from mneme.schedule.policies.forgetting import retention

REPO = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MNEME_SHARED", REPO.parent / "shared"))
RESULT = REPO / "benchmarks" / "results" / "granularity.json"
SETS = ("locomo", "lme_hay_m", "beam100k", "lme_hay_s")
WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
CANDIDATES = 100
NEVER = "2000-01-01"
FLOOR = 1e-4


class Views:
    """One corpus at every granularity: vectors of turns, episodes, summaries, sessions; a graph."""

    def __init__(self, items, embedder):
        self.items = items
        self.number = {item["id"]: i for i, item in enumerate(items)}
        self.turns = embedder.embed([item["text"] for item in items])
        self.said_at = np.array([seconds(item["timestamp"]) for item in items])
        by_session = defaultdict(list)
        for i, item in enumerate(items):
            by_session[item["session"]].append(i)
        self.session_of = np.zeros(len(items), int)
        self.episode_of = np.zeros(len(items), int)
        sessions, runs, summaries = [], [], []
        for number, members in enumerate(by_session.values()):
            self.session_of[members] = number
            sessions.append(members)
            for a, b in self._cut(members):
                self.episode_of[members[a:b]] = len(runs)
                runs.append(members[a:b])
                summaries.append(self._summary(members[a:b]))
        self.sessions = self._mean(sessions)
        self.episodes = self._mean(runs)
        self.summaries = embedder.embed(summaries)
        self.summary_words = [len(s.split()) for s in summaries]
        self._link()

    def _cut(self, members):
        said = [
            Said(self.turns[i], content_of(self.items[i]["text"][:2000]), None) for i in members
        ]
        return episodes(said)

    def _summary(self, members):
        found = [
            s.text
            for i in members
            for s in sentences_of(self.items[i]["text"][:4000])
            if is_telling(s.text)
        ][:200]
        return " ".join(found[i] for i in choose([Weighed(s) for s in found], 3))

    def _mean(self, groups):
        rows = np.stack([self.turns[g].mean(0) for g in groups])
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def _link(self):
        """Turns and the names in them, as two-way lists."""
        inner = {n for item in self.items for n in names_of(item["text"][:4000], first=False)}
        self.names_in = [
            [n for n in dict.fromkeys(names_of(item["text"][:4000])) if n in inner]
            for item in self.items
        ]
        self.turns_with = defaultdict(list)
        for i, names in enumerate(self.names_in):
            for name in names:
                self.turns_with[name].append(i)

    def walk(self, seeds, asked, rounds=12, restart=0.5, widest=64):
        """Personalised PageRank over turns and names, at most two hops from the seeds.

        seeds: {turn: weight}; asked: names in the question. HippoRAG (arXiv:2405.14831).
        """
        near = set(seeds)
        for name in asked:
            near.update(self.turns_with.get(name, [])[:widest])
        for turn in list(seeds):
            for name in self.names_in[turn]:
                if len(self.turns_with[name]) <= widest:
                    near.update(self.turns_with[name])
        place = {t: k for k, t in enumerate(sorted(near))}
        names = sorted({n for t in near for n in self.names_in[t]})
        name_place = {n: len(place) + k for k, n in enumerate(names)}
        start = np.zeros(len(place) + len(names))
        for turn, weight in seeds.items():
            start[place[turn]] = weight
        for name in asked:
            if name in name_place:
                start[name_place[name]] = 1.0
        if not start.sum():
            return {}
        start /= start.sum()
        edges = [(place[t], name_place[n]) for t in place for n in self.names_in[t]]
        if not edges:
            return {}
        a, b = np.array(edges).T
        source, target = np.concatenate([a, b]), np.concatenate([b, a])
        degree = np.bincount(source, minlength=len(start))
        flow = start.copy()
        for _ in range(rounds):
            sent = (flow / np.maximum(degree, 1))[source]
            flow = restart * start + (1 - restart) * np.bincount(target, sent, len(start))
        return {t: flow[k] for t, k in place.items()}


def seconds(timestamp):
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else np.nan


def accepted(scores):
    """Of a mixture of two normals, the posterior of the higher one (MemGAS's accept set)."""
    low, high = np.percentile(scores, 50), np.percentile(scores, 98)
    spread, share = max(scores.std(), 1e-6), 0.1
    for _ in range(15):
        p = share * np.exp(-0.5 * ((scores - high) / spread) ** 2)
        q = (1 - share) * np.exp(-0.5 * ((scores - low) / spread) ** 2)
        r = p / np.maximum(p + q, 1e-12)
        share = min(max(r.mean(), 1e-4), 0.5)
        high = (r * scores).sum() / max(r.sum(), 1e-9)
        low = ((1 - r) * scores).sum() / max((1 - r).sum(), 1e-9)
        spread = max(
            np.sqrt((r * (scores - high) ** 2 + (1 - r) * (scores - low) ** 2).mean()), 1e-3
        )
    return r


def sharpness(scores, temperature=0.05):
    """1 less the entropy of a granularity's scores: it knows which of its parts is meant."""
    p = np.exp((scores - scores.max()) / temperature)
    p /= p.sum()
    return 1 + float((p * np.log(p + 1e-12)).sum()) / max(np.log(len(p)), 1e-9)


def z(values):
    return (values - values.mean()) / max(values.std(), 1e-9)


def terms(views, question, now, vector, places, margins):
    """For each variant its term for the candidates, about -1 to 1."""
    summaries = views.summaries @ vector
    found = {
        "sessions": z(views.sessions @ vector)[views.session_of[places]] / 3,
        "episodes": z(views.episodes @ vector)[views.episode_of[places]] / 3,
        "episode summaries": z(summaries)[views.episode_of[places]] / 3,
        "clusters": accepted(summaries)[views.episode_of[places]],
    }
    kinds = {
        "turns": (views.turns @ vector)[:5000], "episodes": views.episodes @ vector,
        "summaries": summaries, "sessions": views.sessions @ vector,
    }  # fmt: skip
    sharp = {kind: sharpness(scores) for kind, scores in kinds.items() if len(scores) > 1}
    total = sum(sharp.values()) or 1.0
    routed = sharp.get("turns", 0) / total * z(views.turns[places] @ vector)
    routed += (
        sharp.get("episodes", 0) / total * z(views.episodes @ vector)[views.episode_of[places]]
    )
    routed += sharp.get("summaries", 0) / total * z(summaries)[views.episode_of[places]]
    routed += (
        sharp.get("sessions", 0) / total * z(views.sessions @ vector)[views.session_of[places]]
    )
    found["entropy router"] = routed / 3
    ages = seconds(now) - views.said_at[places]  # nobody used these memories: only time differs
    found["forgetting curve"] = np.array(
        [0.0 if np.isnan(age) else 2 * retention(int(age * 1e6), 0) - 1 for age in ages]
    )
    seeds = dict(zip(places[:5].tolist(), np.exp(margins[:5] - margins[0]).tolist(), strict=True))
    flow = views.walk(seeds, set(names_of(question)))
    heat = np.array([flow.get(p, 0.0) for p in places.tolist()])
    found["graph"] = heat / heat.max() if heat.max() > 0 else heat
    return found


def beyond(views, question, places, margins):
    """Turns that the walk finds and the ranking's best 100 do not hold, best first."""
    seeds = dict(zip(places[:5].tolist(), np.exp(margins[:5] - margins[0]).tolist(), strict=True))
    flow = views.walk(seeds, set(names_of(question)))
    inside = set(places.tolist())
    return [t for t, _ in sorted(flow.items(), key=lambda p: -p[1]) if t not in inside]


def corpus_rows(corpus, embedder):
    """For each question the evidence, the candidates, their margins and every term."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, mneme.open(folder) as memory:
        namespace = memory.namespace("bench")
        sys.path.insert(0, str(REPO / "benchmarks"))
        from mneme_adapter import Mneme

        namespace.add_many([{**Mneme._item(None, i), "infer": "none"} for i in corpus.items])
        views = Views(corpus.items, embedder)
        vectors = embedder.embed([q["text"] for q in corpus.questions], query=True)
        for question, vector in zip(corpus.questions, vectors, strict=True):
            if not question["evidence"]:
                continue
            hits = namespace.search(
                question["text"], limit=CANDIDATES, now=question["now"] or NEVER
            )
            places = np.array([views.number[h.cube.metadata["id"]] for h in hits])
            scores = np.clip([h.score for h in hits], FLOOR, 1 - FLOOR)
            margins = np.log(scores / (1 - scores))
            gold = {views.number[e] for e in question["evidence"] if e in views.number}
            wide = namespace.search(
                question["text"], limit=2 * CANDIDATES, now=question["now"] or NEVER
            )
            far = beyond(views, question["text"], places, margins)[:100]
            rows.append(
                {
                    "id": question["id"],
                    "gold": gold,
                    "places": places,
                    "margins": margins,
                    "order": -np.arange(len(places)) * 1e-6,
                    "far": far,
                    "wide": {views.number[h.cube.metadata["id"]] for h in wide},
                    "terms": terms(
                        views, question["text"], question["now"], vector, places, margins
                    ),
                }
            )
    return rows


def recall_at_10(row, variant, weight):
    score = row["margins"] + row["order"]
    if variant is not None:
        score = score + weight * row["terms"][variant]
    top = row["places"][np.argsort(-score, kind="stable")[:10]].tolist()
    return len(row["gold"] & set(top)) / len(row["gold"])


def judged(rows, variant):
    """r@10 with the weight chosen on the other half, and with the best weight in hindsight."""
    table = np.array([[recall_at_10(r, variant, w) for w in WEIGHTS] for r in rows])
    half = np.arange(len(rows)) % 2
    folded = np.zeros(len(rows))
    for fold in (0, 1):
        chosen = int(np.argmax(table[half != fold].mean(0)))
        folded[half == fold] = table[half == fold, chosen]
    gain = folded - table[:, 0]
    return {
        "r@10": round(100 * folded.mean(), 2),
        "gain": round(100 * gain.mean(), 2),
        "standard_error": round(100 * gain.std() / len(rows) ** 0.5, 2),
        "best": round(100 * table.mean(0).max(), 2),
        "by_weight": {
            str(w): round(100 * m, 2) for w, m in zip(WEIGHTS, table.mean(0), strict=True)
        },
    }


def reach(rows):
    """Share of the evidence in the best 100, in these with 100 of the graph, in the best 200."""
    inside = [len(r["gold"] & set(r["places"].tolist())) / len(r["gold"]) for r in rows]
    wider = [len(r["gold"] & {*r["places"].tolist(), *r["far"]}) / len(r["gold"]) for r in rows]
    twice = [len(r["gold"] & r["wide"]) / len(r["gold"]) for r in rows]
    shares = {"r@100": inside, "with_100_of_the_graph": wider, "r@200": twice}
    return {name: round(100 * float(np.mean(share)), 2) for name, share in shares.items()}


def main(names):
    sys.path.insert(0, str(SHARED / "bench"))
    import retrieval_bench

    embedder, result = StaticEmbedder(), {}
    if RESULT.exists():
        result = json.loads(RESULT.read_text())
    for name in names:
        start = time.time()
        rows = []
        for corpus in retrieval_bench.load(name):
            rows += corpus_rows(corpus, embedder)
        variants = list(rows[0]["terms"])
        result[name] = {
            "questions": len(rows),
            "as it is": round(100 * float(np.mean([recall_at_10(r, None, 0) for r in rows])), 2),
            "variants": {variant: judged(rows, variant) for variant in variants},
            "candidates": reach(rows),
            "seconds": round(time.time() - start),
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        print(table({name: result[name]}), flush=True)


def table(result):
    lines = ["| set | as it is | " + " | ".join(next(iter(result.values()))["variants"]) + " |"]
    lines.append(re.sub(r"[^|]+", "---", lines[0]))
    for name, each in result.items():
        cells = [f"{v['r@10']:.1f} ({v['gain']:+.1f})" for v in each["variants"].values()]
        lines.append(f"| {name} | {each['as it is']:.1f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:] or SETS)
