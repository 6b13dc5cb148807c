"""Fit the first score and the trees; score questions with them. Used by the two scripts beside.

The first score: a softmax over the turns of a question's pool, target spread evenly over its
evidence (convex, L-BFGS). The trees: LambdaMART (LightGBM) on the best `CANDIDATES` by the first
score, small, slow and with few signals a tree, since questions are few;
they start from the first score and add to it. Each set weighs by the root
of its number of questions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from scipy.optimize import minimize

from mneme.recall import first, signals, wishes
from mneme.recall.breadth import Layout, layout_of, spread
from mneme.recall.model import FIRST, Model
from mneme.recall.query import Question, take_apart
from mneme.recall.rank import CANDIDATES
from mneme.recall.scan import scan
from ranking_sets import Case, Corpus, Indexer, moment, variant

POOL_KEPT = 200  # turns of a pool that the first score is fitted on, beside evidence and
POOL_DRAWN = 100  # this many of the rest
FIRST_L2 = 1e-3
NEGATIVES_KEPT = 70  # candidates without evidence that the trees see, beside
NEGATIVES_DRAWN = 0.25  # this share of the rest
ROUNDS = 200
TREES = {
    "objective": "lambdarank", "lambdarank_truncation_level": 20, "label_gain": [0, 1],
    "learning_rate": 0.05, "num_leaves": 12, "max_depth": 5, "min_data_in_leaf": 60,
    "feature_fraction": 0.4, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 10,
    "max_bin": 63, "seed": 1, "deterministic": True, "force_row_wise": True, "num_threads": 2,
    "verbosity": -1,
}  # fmt: skip


@dataclass(slots=True)
class Search:
    """One question in one variant, its cheap signals found."""

    case: Case
    index: Any
    asked: Any
    scanned: Any
    pool: np.ndarray
    columns: dict[str, np.ndarray]
    gold: np.ndarray

    def view(self, weights: dict[str, float]) -> signals.View:
        """Candidates by the first score with these weights."""
        score = first.first_score(self.index, self.columns, weights, self.pool)
        order = self.pool[np.argsort(-score[self.pool], kind="stable")[:CANDIDATES]]
        return signals.View(self.index, self.asked, self.scanned, score, self.pool, order)


@dataclass(slots=True)
class Sample:
    """Candidates of one question: signals, and which are evidence."""

    case: Case
    values: np.ndarray
    right: np.ndarray
    asked: Any
    layout: Layout
    gold: int
    gold_sessions: frozenset[int]


def searches(
    corpora: Iterable[Corpus], indexer: Indexer, kind: str, *, vectors: bool
) -> Iterator[Search]:
    """Every question of the corpora in one variant."""
    for corpus in corpora:
        turns = variant(corpus, kind)
        index = indexer.index(turns)
        place = {turn["id"]: slot for slot, turn in enumerate(turns)}
        everything = np.arange(index.slots)
        for case in corpus.cases:
            q = case.question
            asked = take_apart(Question(q["text"], None, moment(q["now"])))
            scanned = scan(index, asked, indexer.vector(q["text"]) if vectors else None)
            base = first.base_score(index, scanned, everything)
            pool = first.choose_pool(base, everything)
            columns = first.parts(index, asked, scanned, base, pool)
            gold = np.array([place[turn] for turn in q["evidence"]])
            yield Search(case, index, asked, scanned, pool, columns, gold)


@dataclass(slots=True)
class PoolSample:
    """Turns of one question's pool: columns of the first score, and which are evidence."""

    case: Case
    values: np.ndarray
    right: np.ndarray


def pool_samples(found: Iterable[Search]) -> tuple[list[str], list[PoolSample]]:
    """What the first score is fitted on."""
    draw = np.random.default_rng(0)
    names: list[str] = []
    samples = []
    for search in found:
        names = list(search.columns)
        values = first.stack(search.columns)
        right = np.isin(search.pool, search.gold)
        easy = search.columns["lexical"] + search.columns["dense"] + search.columns["window"]
        keep = right | (draw.random(len(right)) < POOL_DRAWN / len(right))
        keep[np.argsort(-easy, kind="stable")[:POOL_KEPT]] = True
        samples.append(PoolSample(search.case, values[keep], right[keep]))
    return names, samples


def fit_first(names: list[str], samples: list[PoolSample]) -> dict[str, float]:
    """Weights of the first score."""
    samples = [sample for sample in samples if sample.right.any()]
    values = np.concatenate([sample.values for sample in samples]).astype(np.float64)
    right = np.concatenate([sample.right for sample in samples]).astype(np.float64)
    sizes = np.array([len(sample.right) for sample in samples])
    starts, owner = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(samples)), sizes)
    target = right / np.add.reduceat(right, starts)[owner]
    weight = _weights([sample.case for sample in samples])
    weight = (weight / weight.sum())[owner]

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        score = values @ beta
        score -= np.maximum.reduceat(score, starts)[owner]
        powers = np.exp(score)
        sums = np.add.reduceat(powers, starts)[owner]
        fall = -(weight * target * (score - np.log(sums))).sum() + FIRST_L2 * (beta @ beta) / 2
        return fall, values.T @ (weight * (powers / sums - target)) + FIRST_L2 * beta

    zeros = np.zeros(values.shape[1])
    found = minimize(loss, zeros, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return dict(zip(names, found.x.tolist(), strict=True))


def _weights(cases: list[Case]) -> np.ndarray:
    counts = Counter(case.set_name for case in cases)
    return np.array([counts[case.set_name] ** -0.5 for case in cases])


def samples(
    found: Iterable[Search], weights_of: Callable[[Case], dict[Any, dict[str, float]]]
) -> tuple[tuple[str, ...], dict[Any, list[Sample]]]:
    """Signals of candidates, for each of the first scores that a case is wanted with."""
    names: tuple[str, ...] = ()
    result: dict[Any, list[Sample]] = defaultdict(list)
    for search in found:
        wanted = [search.index.sessions.find(name) for name in search.case.question["sessions"]]
        gold_sessions = frozenset(-1 if number is None else number for number in wanted)
        for label, weights in weights_of(search.case).items():
            view = search.view(weights)
            names, values = signals.compute(view)
            right = np.isin(view.candidates, search.gold)
            result[label].append(
                Sample(
                    search.case, values, right, search.asked,
                    layout_of(search.index, view.candidates), len(search.gold), gold_sessions,
                )
            )  # fmt: skip
    return names, result


def fit_trees(
    names: tuple[str, ...], training: list[Sample], weights: dict[str, float],
    dropped: frozenset[str] = frozenset(), rounds: int = ROUNDS, **settings: Any,
) -> Model:  # fmt: skip
    """Trees over the signals of candidates, as a model."""
    training = [sample for sample in training if sample.right.any()]
    kept = [place for place, name in enumerate(names) if name not in dropped]
    names_kept = tuple(names[place] for place in kept)
    draw = np.random.default_rng(0)
    parts = []
    for sample in training:
        keep = (np.arange(len(sample.right)) < NEGATIVES_KEPT) | sample.right
        parts.append(keep | (draw.random(len(keep)) < NEGATIVES_DRAWN))
    groups = [int(keep.sum()) for keep in parts]
    values = np.concatenate(
        [sample.values[keep][:, kept] for sample, keep in zip(training, parts, strict=True)]
    )
    right = np.concatenate(
        [sample.right[keep] for sample, keep in zip(training, parts, strict=True)]
    )
    weight = np.repeat(_weights([sample.case for sample in training]), groups)
    data = lightgbm.Dataset(
        values, right.astype(int), group=groups, weight=weight / weight.mean(),
        init_score=values[:, names_kept.index(FIRST)].astype(np.float64),
        params={"max_bin": TREES["max_bin"]},
    )  # fmt: skip
    booster = lightgbm.train({**TREES, **settings}, data, rounds)
    model = _arrays(booster, names_kept, weights)
    some = values[:2000]
    expected = booster.predict(some) + some[:, names_kept.index(FIRST)]
    difference = np.abs(model.margin(some) - expected).max()
    if difference > 1e-4:
        raise AssertionError(f"exported trees differ by {difference}")
    return model


def _arrays(booster: Any, names: tuple[str, ...], weights: dict[str, float]) -> Model:
    """LightGBM's trees padded to complete binary trees."""
    roots = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    depth = max(_depth(root) for root in roots)
    nodes = 2**depth - 1
    features = np.zeros((len(roots), nodes), np.int64)
    thresholds = np.full((len(roots), nodes), np.inf, np.float32)
    leaves = np.zeros((len(roots), nodes + 1), np.float32)

    def walk(tree: int, node: dict[str, Any], place: int) -> None:
        if place >= nodes:
            leaves[tree, place - nodes] = node["leaf_value"]
            return
        if "leaf_value" in node:
            children = (node, node)
        else:
            features[tree, place] = node["split_feature"]
            thresholds[tree, place] = _float32_below(node["threshold"])
            children = (node["left_child"], node["right_child"])
        for side, child in enumerate(children):
            walk(tree, child, 2 * place + 1 + side)

    for tree, root in enumerate(roots):
        walk(tree, root, 0)
    return Model(weights, names, features, thresholds, leaves, (1.0, 0.0))


def _depth(node: dict[str, Any]) -> int:
    if "leaf_value" in node:
        return 0
    return 1 + max(_depth(node["left_child"]), _depth(node["right_child"]))


def _float32_below(threshold: float) -> np.float32:
    """The greatest float32 that is not above a threshold: the same rows go left."""
    near = np.float32(threshold)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near


def fit_scale(margins: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the share of candidates with a margin that are evidence."""

    def loss(at: np.ndarray) -> float:
        line = at[0] * margins + at[1]
        return float((np.logaddexp(0, line) - right * line).mean())

    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead")
    return float(found.x[0]), float(found.x[1])


def score(model: Model, names: tuple[str, ...], sample: Sample) -> np.ndarray:
    """The margins of a question's candidates."""
    places = [names.index(name) for name in model.signals]
    margin = model.margin(np.ascontiguousarray(sample.values[:, places]))
    return spread(wishes.lift(margin, names, sample.values), sample.asked, sample.layout)


def figures(sample: Sample, margins: np.ndarray) -> dict[str, float]:
    """Recall of one question, as `retrieval_bench.py` counts it."""
    order = np.argsort(-margins, kind="stable")
    right = sample.right[order]
    found = {f"r@{k}": float(right[:k].sum()) / sample.gold for k in (5, 10, 20)}
    if sample.gold_sessions:
        seen = list(dict.fromkeys(sample.layout.sessions[order][:50].tolist()))
        for k in (5, 10):
            found[f"S_all@{k}"] = float(sample.gold_sessions <= set(seen[:k]))
    return found
