"""Fit the ranking that ships in the package, and say how well it does on what it never saw.

    python benchmarks/fit_ranking.py [--check]

Needs numpy, scipy, lightgbm and PyStemmer, and the sets beside the repository (`SHARED` names their
folder). Seeds are fixed: the same sets and versions give the same file. First come the figures out
of fold, for questions with and without a vector: five folds by conversation, chat and question, the
first score and the trees fitted without the fold. Then all is fitted once more on everything and
written to `src/mneme/recall/ranking.npz`; with `--check` nothing is written.

LongMemEval's histories are used for fitting in their "even" variant alone, so that nothing is
learned of how they were rebuilt; they are scored as they are.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np

from mneme.recall.model import PACKAGED, Model, save
from ranking_fit import (
    Sample,
    figures,
    fit_first,
    fit_scale,
    fit_trees,
    pool_samples,
    samples,
    score,
    searches,
)
from ranking_sets import FOLDS, SETS, Case, Corpus, Indexer, load_sets

TRAINING = ("even", "some")
SHOWN = {
    "locomo": ("r@10", "r@20"), "lme_hay_s": ("r@10", "S_all@5"), "lme_hay_m": ("r@10", "S_all@10"),
    "beam100k": ("r@10",), "beam500k": ("r@10",),
    "beam100k event_ordering": ("r@10",), "beam100k instruction_following": ("r@10",),
}  # fmt: skip

Figures = dict[str, dict[str, float]]


class Fit:
    """Everything that is fitted for questions with, or without, a vector.

    Args:
        corpora: All sets.
        indexer: Shared between fits.
        vectors: Whether questions have one.
    """

    def __init__(self, corpora: list[Corpus], indexer: Indexer, *, vectors: bool) -> None:
        self.corpora, self.indexer, self.vectors = corpora, indexer, vectors
        pools, self.columns = [], []
        for kind in TRAINING:
            self.columns, found = pool_samples(self._searches(kind))
            pools += found
        self.first = {
            fold: fit_first(self.columns, [s for s in pools if s.case.fold != fold])
            for fold in range(FOLDS)
        }
        self.first["all"] = fit_first(self.columns, pools)
        self.names: tuple[str, ...] = ()
        self.training: dict[Any, list[Sample]] = defaultdict(list)
        for kind in TRAINING:
            self.names, found = samples(self._searches(kind), self._first_for_training)
            for label, more in found.items():
                self.training[label] += more

    def _searches(self, kind: str) -> Any:
        return searches(self.corpora, self.indexer, kind, vectors=self.vectors)

    def _first_for_training(self, case: Case) -> dict[Any, dict[str, float]]:
        return {label: weights for label, weights in self.first.items() if label != case.fold}

    def out_of_fold(
        self, dropped: frozenset[str] = frozenset(), **settings: Any
    ) -> dict[int, Model]:
        """For each fold, the model that never saw it."""
        return {
            fold: fit_trees(self.names, self.training[fold], self.first[fold], dropped, **settings)
            for fold in range(FOLDS)
        }

    def without(self, corpora: set[str], sets: frozenset[str] = frozenset()) -> Model:
        """The model that never saw some conversations, or whole sets."""
        pools = []
        others = [c for c in self.corpora if c.name not in corpora and c.set_name not in sets]
        for kind in TRAINING:
            pools += pool_samples(searches(others, self.indexer, kind, vectors=self.vectors))[1]
        weights = fit_first(self.columns, pools)
        training = []
        for kind in TRAINING:
            found = searches(others, self.indexer, kind, vectors=self.vectors)
            training += samples(found, lambda _: {0: weights})[1][0]
        return fit_trees(self.names, training, weights)

    def final(self, scale: tuple[float, float]) -> Model:
        """The model of everything."""
        model = fit_trees(self.names, self.training["all"], self.first["all"])
        return replace(model, scale=scale)

    def test(self, kind: str = "plain") -> list[Sample]:
        """Every question in a variant, candidates by the first score that never saw it."""
        _, found = samples(self._searches(kind), lambda case: {0: self.first[case.fold]})
        return found[0]

    def scale(self, models: dict[int, Model], tested: list[Sample]) -> tuple[float, float]:
        """How margins out of fold become shares."""
        margins = [score(models[s.case.fold], self.names, s) for s in tested]
        right = [s.right for s in tested]
        return fit_scale(np.concatenate(margins), np.concatenate(right).astype(float))


def means(tested: list[Sample], margins: list[np.ndarray]) -> Figures:
    """Mean figures in percent, by set and by set and category."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample, margin in zip(tested, margins, strict=True):
        for name, value in figures(sample, margin).items():
            found[sample.case.set_name][name].append(value)
            category = sample.case.question["category"]
            found[f"{sample.case.set_name} {category}"][name].append(value)
    return {
        group: {name: 100 * float(np.mean(values)) for name, values in named.items()}
        | {"questions": len(named["r@10"])}
        for group, named in found.items()
    }


def evaluate(fit: Fit, models: dict[int, Model], tested: list[Sample]) -> Figures:
    """Figures of questions by the models that never saw them."""
    return means(tested, [score(models[s.case.fold], fit.names, s) for s in tested])


def line(found: Figures) -> str:
    """The figures that are asked for, in one line."""
    return "; ".join(
        f"{group} " + "/".join(f"{found[group][name]:.1f}" for name in names)
        for group, names in SHOWN.items()
        if group in found
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    started = time.time()
    corpora, indexer = load_sets(), Indexer()
    models: dict[str, Model] = {}
    for name, vectors in (("hybrid", True), ("lexical", False)):
        fit = Fit(corpora, indexer, vectors=vectors)
        folds, tested = fit.out_of_fold(), fit.test()
        print(f"{name}, out of fold: {line(evaluate(fit, folds, tested))}", flush=True)
        models[name] = fit.final(fit.scale(folds, tested))
        print(f"  {len(fit.names)} signals, {time.time() - started:.0f} s", flush=True)
    if not check:
        facts = {
            "made_by": "benchmarks/fit_ranking.py", "sets": list(SETS),
            "embedder": indexer.embedder.id, "lightgbm": lightgbm.__version__,
        }  # fmt: skip
        save(PACKAGED, models, facts)
        print(f"{PACKAGED.name}: {PACKAGED.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
