"""What a memory still knows after each policy: accuracy against the share that is kept.

    nice -n 15 python benchmarks/kv_policies.py     # some four CPU minutes, one thread

The judge `recall` (tests/judges) reads 256 words with 24 facts in them and is asked for their
values. Three tables, by what is known when tokens are left out:

- build: the text alone. Each context is thinned once and asked 12 questions.
- question: the whole memory is there, and each question narrows it for itself; the question is
  then run again on what was kept.
- decode: questions and answers are fed one after the other while the cache is held to a budget.
  Each question of the second half repeats one of the first half; an answer that was given stands in
  the cache like a fact, so that it may be answered from there (a window of the last tokens does).

The rows that the project has goals for, and what they are compared with, have 240 questions to a
cell (standard error below 3.3 points), the others 60 (below 6.5 points). The judge was made to look
facts up and knows nothing else: **it ranks mechanisms, not policies on real models.** Its words are
drawn by lot, so that surprise says nothing (SirLLM), and its neighbours have nothing to do with
each other, so that merging them does harm (KVMerger).

Writes benchmarks/results/kv_policies.json and docs/images/kv-policies.svg (which needs matplotlib).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import torch

import mneme
from measuring import REPO, RESULTS, machine_facts, save
from mneme.core.engine import Engine
from mneme.memories.activation.kv import Held, size_of
from mneme.memories.activation.policies import policies
from mneme.memories.activation.policies.growing import Growing
from mneme.memories.activation.policies.infinipot import InfiniPot
from mneme.memories.activation.policies.policy import Budget, Policy
from mneme.memories.activation.policies.surprise import surprise_of
from mneme.testing.judges import Case, recall_case

MODEL = REPO / "tests" / "judges" / "models" / "recall"
PICTURE = REPO / "docs" / "images" / "kv-policies.svg"
KEEPS = (1.0, 0.8, 0.5, 0.3, 0.2, 0.1)
WORDS, FACTS, QUESTIONS, SEED = 256, 24, 12, 90_000
MANY, FEW = 20, 5  # contexts
THOROUGH = {"leverage", "random", "snapkv", "snapkv-unasked", "h2o-unasked", "tova-unasked"}
GOALS = [
    ("leverage", 0.5, "at least", 0.85),
    ("snapkv", 0.1, "at least", 0.90),
    ("random", 0.2, "at most", 0.35),
]
NOTED = {"kvpress-think": "kvpress-think (of channels of keys, not of tokens)"}
Read = tuple[list[int], list[tuple[list[int], int]]]


def reads(tokenizer: Any, cases: int) -> Iterator[Read]:
    """Tokens of contexts, and of each its questions and the tokens that answer."""
    for number in range(cases):
        case: Case = recall_case(SEED + number, words=WORDS, facts=FACTS, questions=QUESTIONS)
        asked = [(tokenizer.encode(q), tokenizer.encode(a)[0]) for q, a in case.questions]
        yield [1, *tokenizer.encode(case.text)], asked


def stored(engine: Engine, tokens: list[int]) -> Held:
    session = engine.session(record=True)
    session.feed(tokens)
    return Held(session.recorded())


def is_right(engine: Engine, held: Held, place: int, question: list[int], answer: int) -> bool:
    return int(engine.session(held.kv, position=place).feed(question).argmax()) == answer


def build_cell(engine: Engine, policy: Any, keep: float, contexts: list[Read]) -> dict[str, float]:
    right, size = [], []
    for tokens, asked in contexts:
        held = policy.thin(engine, tokens, keep)
        size.append(size_of(held.kv) / size_of(stored(engine, tokens).kv))
        right += [is_right(engine, held, len(tokens), *each) for each in asked]
    return {"right": sum(right) / len(right), "bytes": sum(size) / len(size)}


def question_cell(
    engine: Engine, policy: Any, keep: float, contexts: list[Read]
) -> dict[str, float]:
    right, size = [], []
    for tokens, asked in contexts:
        held = stored(engine, tokens)
        surprise = surprise_of(engine, tokens) if policy.about.needs_surprise else None
        for question, answer in asked:
            part = policy.narrow(engine, held, len(tokens), question, keep, surprise=surprise)
            size.append(size_of(part.kv) / size_of(held.kv))
            right.append(is_right(engine, part, len(tokens), question, answer))
    return {"right": sum(right) / len(right), "bytes": sum(size) / len(size)}


def share_row(engine: Engine, name: str, policy: Policy, cases: dict[int, list[Read]]) -> Any:
    stage = policy.about.stage
    contexts = cases[MANY if name in THOROUGH else FEW]
    cell = build_cell if stage == "build" else question_cell
    keeps = (1.0,) if policy.about.exact else KEEPS
    began = time.process_time()
    cells = {keep: cell(engine, policy, keep, contexts) for keep in keeps}
    row: dict[str, Any] = {"policy": name, "stage": stage, "paper": policy.about.paper}
    row["questions"] = len(contexts) * QUESTIONS
    row |= {f"kept_{keep:g}": round(at["right"], 4) for keep, at in cells.items()}
    row["bytes"] = {f"{keep:g}": round(at["bytes"], 4) for keep, at in cells.items()}
    row["cpu_s"] = round(time.process_time() - began, 2)
    shown = " ".join(f"{at['right']:6.1%}" for at in cells.values())
    print(f"{name:28}{row['questions']:5}  {shown}  {row['cpu_s']:6.1f} s", flush=True)
    return row


def decode_row(engine: Engine, policy: Any, contexts: list[Read], budget: Budget) -> Any:
    """Shares of new and of repeated questions that are answered right, and the most tokens held."""
    new, again, peak = [], [], 0
    for number, (tokens, asked) in enumerate(contexts):
        growing = Growing(engine, stored(engine, tokens), len(tokens), policy, budget)
        order = list(range(QUESTIONS)) + random.Random(number).sample(range(QUESTIONS), QUESTIONS)
        for at, which in enumerate(order):
            question, answer = asked[which]
            logits = growing.feed(question) if at else growing.prompt(question)
            (new if at < QUESTIONS else again).append(int(logits.argmax()) == answer)
            growing.feed([answer])
        peak = max(peak, growing.peak_tokens)
    row = {
        "policy": policy.about.name,
        "prompt_tokens": budget.prompt_tokens,
        "answer_tokens": budget.answer_tokens,
        "asked_first": round(sum(new) / len(new), 4),
        "asked_again": round(sum(again) / len(again), 4),
        "most_tokens_held": peak,
    }
    print(row, flush=True)
    return row


def variants() -> list[tuple[str, Policy]]:
    """All policies that keep a share, and some at other settings."""
    listed = [(each.about.name, each) for each in policies() if each.about.stage != "decode"]
    others: list[tuple[str, Policy]] = [
        ("infinipot, 90 % by novelty", InfiniPot(new_share=0.9)),
    ]
    return sorted([*listed, *others], key=lambda named: (named[1].about.stage, named[0]))


def checked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name, keep, how, goal in GOALS:
        got = next(row[f"kept_{keep:g}"] for row in rows if row["policy"] == name)
        met = got >= goal if how == "at least" else got <= goal
        found.append(
            {"policy": name, "kept": keep, "goal": f"{how} {goal}", "got": got, "met": met}
        )
    return found


def draw(rows: list[dict[str, Any]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mneme"
    import matplotlib.pyplot as plt

    own = {"leverage": "#1e8449", "random": "#000000", "snapkv": "#1f618d"}
    figure, grid = plt.subplots(1, 2, figsize=(15, 6.2), sharey=True, width_ratios=(3, 2))
    titles = {"build": "chosen without the question", "question": "chosen by the question"}
    for axes, (stage, title) in zip(grid, titles.items(), strict=True):
        shown = [row for row in rows if row["stage"] == stage and "kept_0.5" in row]
        shown.sort(key=lambda row: -row["kept_0.5"])
        colours = plt.get_cmap("tab20")
        for number, row in enumerate(shown):
            name = row["policy"]
            line = [row[f"kept_{keep:g}"] * 100 for keep in KEEPS]
            style = "--" if name.startswith("kvpress-") else "-"
            colour = own.get(name, colours(number % 20))
            wide = 2.6 if name in own else 1.0
            axes.plot(
                [keep * 100 for keep in KEEPS], line, style,
                color=colour, linewidth=wide, marker=".", label=NOTED.get(name, name),
            )  # fmt: skip
        axes.set(title=title, xlabel="kept, % of the tokens", xlim=(105, 5))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].set_ylabel("questions answered right, %")
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.suptitle("Judge `recall`, 256 words (ranks mechanisms, not policies on real models)")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    from transformers import AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one context, nothing written")
    parser.add_argument("--draw", action="store_true", help="only the picture, of what is measured")
    asked = parser.parse_args()
    if asked.draw:
        draw(json.loads((RESULTS / "kv_policies.json").read_text(encoding="utf-8"))["rows"])
        return
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    engine = mneme.engine(MODEL)
    cases = {count: list(reads(tokenizer, count)) for count in (MANY, FEW)}
    if asked.quick:
        cases = {count: some[:1] for count, some in cases.items()}
    print(f"{'policy':28}{'asked':>5}  " + " ".join(f"{keep:6.0%}" for keep in KEEPS))
    rows = [share_row(engine, name, policy, cases) for name, policy in variants()]
    growing = [each for each in policies() if each.about.stage == "decode"]
    budgets = (
        Budget(prompt_tokens=64, answer_tokens=32),
        Budget(prompt_tokens=192, answer_tokens=32),
    )
    decoding = [
        decode_row(engine, each, cases[FEW], budget) for budget in budgets for each in growing
    ]
    found = {
        "machine": machine_facts(),
        "judge": "recall, 256 words, 24 facts: ranks mechanisms, not policies on real models",
        "goals": checked(rows),
        "rows": rows,
        "decode_rows": decoding,
    }
    for goal in found["goals"]:
        print(goal)
    if not asked.quick:
        save("kv_policies.json", found)
        draw(rows)


if __name__ == "__main__":
    main()
