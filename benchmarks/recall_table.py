"""Print what recall reaches, out of fold; JSON to `benchmarks/results`,
the page to `docs/benchmarks-recall.md` (by recall_page.py).

    python benchmarks/recall_table.py [--quick | --no-ablations | --page]

Needs what `fit_ranking.py` needs. Every question is scored by a first score and trees that never
saw its conversation, chat or question; the table of the packaged model, which saw all, says so.
`--quick` leaves out what needs more fits: groups of signals, whole sets, two conversations.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import recall_page
from fit_ranking import SHOWN, Figures, Fit, evaluate, means
from mneme.recall import model as packaged
from mneme.recall.model import Model
from ranking_fit import Sample, samples, score, searches
from ranking_sets import FIELDS, Indexer, load_sets

RESULTS = Path(__file__).parent / "results" / "recall.json"
LEFT_OUT = {"conv-42", "conv-43"}
Folds = dict[int, Model]
GROUPS = {
    "related words": ("near_",),
    "coverage and phrases": ("cover", "pairs", "rarest", "best_idf"),
    "vectors": ("dense", "both_", "like_"),
    "neighbours and sessions": ("first_prev", "first_next", "session_", "lexical_prev",
                                "lexical_next", "follows_", "before_question"),
    "people and roles": ("by_", "reply_to", "names_asked", "name_in"),
    "times": ("days_off", "mention_off", "recency", "dates_named", "asks_date"),
    "kind of text": ("is_", "words", "standing_rank", "preference_rank", "scoped_rank", "scope_"),
    "kind of question": ("asks_",),
}  # fmt: skip


def table(rows: dict[str, Figures]) -> str:
    """One line for each row, one column for each set's figures."""
    lines = ["| | " + " | ".join(f"{g} {'/'.join(n)}" for g, n in SHOWN.items()) + " |"]
    lines.append("|---" * (len(SHOWN) + 1) + "|")
    for name, found in rows.items():
        cells = [
            "/".join(f"{found[group][k]:.1f}" for k in names) if group in found else "-"
            for group, names in SHOWN.items()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_category(found: Figures) -> str:
    """r@5, r@10 and r@20 of each category."""
    lines = ["| set and category | questions | r@5 | r@10 | r@20 |", "|---|---|---|---|---|"]
    for group in sorted(found):
        if " " in group:
            named = found[group]
            cells = " | ".join(f"{named[k]:.1f}" for k in ("r@5", "r@10", "r@20"))
            lines.append(f"| {group} | {named['questions']} | {cells} |")
    return "\n".join(lines)


class Tables:
    """Collects tables, prints them, and keeps them for the JSON."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Figures]] = {}

    def add(self, title: str, rows: dict[str, Figures]) -> None:
        self.kept[title] = rows
        print(f"\n## {title}\n\n{table(rows)}", flush=True)

    def write(self, plain: Figures) -> None:
        kept = {"tables": self.kept, "by_category": plain}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        recall_page.main()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what needs no more fits")
    parser.add_argument("--no-ablations", action="store_true", help="leave out groups of signals")
    parser.add_argument("--page", action="store_true", help="only write the page of kept results")
    arguments = parser.parse_args()
    if arguments.page:
        recall_page.main()
        return
    corpora, indexer = load_sets(), Indexer()
    fit = Fit(corpora, indexer, vectors=True)
    lexical = Fit(corpora, indexer, vectors=False)
    levels = 0 if arguments.quick else 1 if arguments.no_ablations else 2
    show((fit, fit.out_of_fold()), (lexical, lexical.out_of_fold()), levels)


def show(hybrid: tuple[Fit, Folds], words: tuple[Fit, Folds], levels: int) -> None:
    """Print the tables and keep them: 0 the quick ones, 1 also those of fits, 2 also ablations."""
    tables = Tables()
    (fit, models), (lexical, lexical_models) = hybrid, words
    plain = evaluate(fit, models, fit.test())
    hidden = {f"without {f}": evaluate(fit, models, fit.test(f"hide-{f}")) for f in FIELDS}
    hidden["LongMemEval's sessions made even"] = evaluate(fit, models, fit.test("even"))
    tables.add("Out of fold, and with a field hidden from every turn", {"all": plain} | hidden)
    print(f"\n## By category, out of fold\n\n{by_category(plain)}", flush=True)
    found = evaluate(lexical, lexical_models, lexical.test())
    tables.add("Questions without a vector (words alone), out of fold", {"words alone": found})
    first_only = means(fit.test(), [-_places(s) for s in fit.test()])
    tables.add("Out of fold, the linear first score alone", {"linear": first_only})
    tables.add("The packaged model, which saw all of it (in sample)", {"in sample": _packaged(fit)})
    if levels >= 1:
        without = fit.without(LEFT_OUT)
        tested = [s for s in _test_with(fit, without) if s.case.corpus in LEFT_OUT]
        tables.add(
            "Fitted without LoCoMo's conversations 42 and 43, scored on them",
            {"42 and 43": means(tested, [score(without, fit.names, s) for s in tested])},
        )
        tables.add("Each set scored by a model that was fitted on the other sets", _by_set(fit))
    if levels >= 2:
        tables.add("Signals taken from the trees (the first score keeps its own)", _ablations(fit))
    tables.write(plain)


def _places(sample: Sample) -> np.ndarray:
    """Candidates come in the order of the first score."""
    return np.arange(len(sample.right), dtype=float)


def _packaged(fit: Fit) -> Figures:
    model = packaged.load()[0]
    found = samples(
        searches(fit.corpora, fit.indexer, "plain", vectors=True), lambda _: {0: model.first}
    )
    return means(found[1][0], [score(model, fit.names, s) for s in found[1][0]])


def _test_with(fit: Fit, model: packaged.Model) -> list:
    found = searches(fit.corpora, fit.indexer, "plain", vectors=True)
    return samples(found, lambda _: {0: model.first})[1][0]


def _by_set(fit: Fit) -> dict[str, Figures]:
    rows: Figures = {}
    for sets in (("locomo",), ("lme_hay_s", "lme_hay_m"), ("beam100k", "beam500k")):
        model = fit.without(set(), frozenset(sets))
        tested = [s for s in _test_with(fit, model) if s.case.set_name in sets]
        rows |= means(tested, [score(model, fit.names, s) for s in tested])
    return {"from other sets": rows}


def _ablations(fit: Fit) -> dict[str, Figures]:
    tested = fit.test()
    rows = {}
    for group, prefixes in GROUPS.items():
        dropped = frozenset(name for name in fit.names if name.startswith(prefixes))
        rows[f"without {group} ({len(dropped)})"] = evaluate(fit, fit.out_of_fold(dropped), tested)
    return rows


if __name__ == "__main__":
    main()
