"""How well questions are routed: by words (RouterIndex) and by activations (routers/).

    python benchmarks/parametric_route.py

Parts: the judge's world of facts; everyday questions of our own about 43 facts of one user, with
questions that no fact answers (`parametric_questions/`: the first set was written before the
router was tuned, the fresh set after); speed with 1,000 shards. Counted is what is answered by
weights alone: the whole question is routed, and to the right facts.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import RESULTS, machine_facts, percentile
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.normal import template_of
from mneme.memories.parametric.phrasings import Bank, packaged_bank
from mneme.memories.parametric.router import RouterIndex
from mneme.testing.fact_world import HELD, WORDINGS, WRITTEN, WorldFact, known_facts, new_facts

QUESTIONS = Path(__file__).parent / "parametric_questions"
JUDGE = Path(__file__).parents[1] / "tests" / "judges" / "models" / "facts"
SEEDS = (0, 1, 2)
COMMAND = "python benchmarks/parametric_route.py"
WHAT = (
    "Counted is what weights alone answer: the whole question is routed, to the right facts. "
    "Judge: new facts of its world, the worst of three seeds. Everyday: our own questions about "
    "one user's facts, and others that no fact answers; the set 'first' was written before the "
    "router was tuned, 'fresh' after, both by the router's author. Activations: routers that "
    "are no default; what passes on this judge is not shown on models of real size. Speed: wall "
    "milliseconds of one thread."
)


def entry_of(fact: WorldFact | Sequence[str], number: int, prompts: Sequence[str] = ()) -> Entry:
    subject, relation, thing = fact[:3]
    told = Fact(
        cube_id=f"cube{number}", version=1, subject=subject, relation=relation, object=thing,
        text=f"{subject} {relation} {thing}",
    )  # fmt: skip
    return Entry(fact=told, prompts=tuple(prompts), held=())


def index_of(entries: Sequence[Entry], bank: Bank, size: int = 50) -> RouterIndex:
    index = RouterIndex(bank)
    for at in range(0, len(entries), size):
        index.put(f"alice/{at // size + 1:04}", FactLedger(tuple(entries[at : at + size])))
    return index


def without_held(bank: Bank) -> Bank:
    """The bank as if it had no held wordings, its own or the judge's, in any person."""
    held = {template_of(each[number], own=False) for each in WORDINGS.values() for number in HELD}

    def keep(templates: Sequence[str], *, own: bool) -> tuple[str, ...]:
        return tuple(text for text in templates if template_of(text, own=own) not in held)

    return Bank([
        replace(
            each, held=(), own_held=(),
            statements=keep(each.statements, own=False),
            questions=keep(each.questions, own=False),
            own_statements=keep(each.own_statements, own=True),
            own_questions=keep(each.own_questions, own=True),
        )
        for each in map(bank.of, bank.relations)
    ])  # fmt: skip


def judge_rows(bank: Bank) -> list[dict[str, Any]]:
    known = known_facts(JUDGE)
    rows = []
    for name, used in (
        ("whole bank", bank),
        ("held wordings taken out of the bank", without_held(bank)),
    ):
        for count in (50, 200, 1000):
            found = [judge_counts(known, used, count, seed) for seed in SEEDS]
            rows += [
                {
                    "part": "judge", "bank": name, "facts": count, "asked": kind,
                    "right": min(each[kind][0] for each in found),
                    "wrong": max(each[kind][1] for each in found), "of": found[0][kind][2],
                }
                for kind in found[0]
            ]  # fmt: skip
    return rows


def judge_counts(known: list[WorldFact], bank: Bank, count: int, seed: int) -> dict[str, Any]:
    """By kind of prompt: routed to the right entry, routed elsewhere, asked (the least number)."""
    pool = new_facts(known, 1400, seed=seed)
    facts, unseen = pool[:count], pool[count:]
    entries = [entry_of(fact, at, fact.prompts(WRITTEN)) for at, fact in enumerate(facts)]
    index = index_of(entries, bank)
    told = {fact[:2] for fact in facts}
    subjects = {fact.subject for fact in facts}
    others = [WorldFact(name, relation, "") for name in sorted(subjects) for relation in WORDINGS
              if (name, relation) not in told]  # fmt: skip
    strangers = [fact for fact in unseen if fact.subject not in subjects][:200]

    def counted(asked: Sequence[tuple[str, Entry | None]]) -> tuple[int, int, int]:
        right = wrong = 0
        for prompt, entry in asked:
            route = index.route(prompt)
            right += route.covered and entry is not None and route.matches[0].entry is entry
            wrong += any(match.entry is not entry for match in route.matches)
        return right, wrong, len(asked)

    def by(numbers: Sequence[int]) -> list[tuple[str, Entry | None]]:
        return [(p, e) for f, e in zip(facts, entries, strict=True) for p in f.prompts(numbers)]

    def none(given: Sequence[WorldFact]) -> list[tuple[str, Entry | None]]:
        return [(prompt, None) for fact in given for prompt in fact.prompts()]

    return {
        "written wordings": counted(by(WRITTEN)),
        "held wordings": counted(by(HELD)),
        "facts of the base": counted(none(known)),
        "unseen subjects": counted(none(strangers)),
        "same subject, unwritten relation": counted(none(others)),
    }


def everyday(bank: Bank, name: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """A set of own questions: figures, questions missed, and questions answered wrongly."""
    lines = (QUESTIONS / f"{name}_facts.txt").read_text().splitlines()
    entries = [
        entry_of([part.strip() for part in line.split("|")], at) for at, line in enumerate(lines)
    ]
    index = index_of(entries, bank)
    missed, wrong, right = [], [], 0
    asked = (QUESTIONS / f"{name}.txt").read_text().splitlines()
    for line in asked:
        numbers, question = line.split(" ", 1)
        wanted = [entries[int(number)] for number in numbers.split(",")]
        route = index.route(question)
        found = [match.entry for match in route.matches]
        if route.covered and found == wanted:
            right += 1
        elif route.covered or any(each not in wanted for each in found):
            wrong.append(f"{question} -> {[each.fact.object for each in found]}")
        else:
            missed.append(f"{question} ({route.reason})")
    others = (QUESTIONS / f"{name}_others.txt").read_text().splitlines()
    routes = [(question, index.route(question)) for question in others]
    wrong += [f"{q} -> {[m.entry.fact.object for m in r.matches]}" for q, r in routes if r.covered]
    partly = sum(bool(route.matches) and not route.covered for _, route in routes)
    row = {
        "part": "everyday", "set": name, "facts": len(entries), "questions": len(asked),
        "routed right": right, "recall": round(right / len(asked), 3),
        "others": len(others), "answered wrongly": len(wrong),
        "precision": round(right / max(1, right + len(wrong)), 4),
        "others with one clause routed, answered from text": partly,
    }  # fmt: skip
    return row, missed, wrong


def activation_rows() -> list[dict[str, Any]]:
    """Routers by activations on the judge, three seeds; the worst figure of them counts."""
    import torch

    import mneme

    torch.set_num_threads(1)
    engine, known = mneme.engine(JUDGE), known_facts(JUDGE)
    rows = []
    for count in (50, 200):
        found = [activation_counts(engine, known, count, seed) for seed in SEEDS]
        for name in found[0]:
            each = [seed[name] for seed in found]
            worst = {
                key: (min if "AUROC" in key or "own" in key else max)(one[key] for one in each)
                for key in each[0]
            }
            misrouted = max(value for key, value in worst.items() if "misrouted" in key)
            rows.append({"part": "activations", "router": name, "facts": count, **worst,
                         "passes the locality gate": misrouted == 0})  # fmt: skip
    return rows


def activation_counts(engine: Any, known: list[WorldFact], count: int, seed: int) -> dict[str, Any]:
    from mneme.memories.parametric.routers import NAMES, build_router
    from mneme.memories.parametric.training import UNWATCHED, Training
    from mneme.memories.parametric.writers import build_writer
    from mneme.testing.fact_world import course_of, prompt_of

    def asked(facts: Sequence[WorldFact], numbers: Sequence[int]) -> list[tuple[int, ...]]:
        return [prompt_of(engine, prompt) for fact in facts for prompt in fact.prompts(numbers)]

    facts, pool = new_facts(known, count, seed=seed), new_facts(known, 1400, seed=seed + 100)
    subjects, told = {fact.subject for fact in facts}, {fact[:2] for fact in facts}
    near = [WorldFact(name, relation, "") for name in sorted(subjects) for relation in WORDINGS]
    others = {
        "facts of the base": asked(known[120:], HELD),
        "unseen subjects": asked([f for f in pool if f.subject not in subjects][:120], HELD),
        "same subject, unwritten relation": asked([f for f in near if f[:2] not in told], HELD),
    }
    course = course_of(engine, facts[:50], known[:120])
    adapter = build_writer("lora").write(engine, course, Training(seed=seed), UNWATCHED).adapter
    replay, held = asked(known[:120], WRITTEN), asked(facts, HELD)
    found = {}
    for name in NAMES:
        if name == "norm" and count > 50:
            continue  # an adapter knows 50 facts
        router = build_router(name)
        router.fit(engine, adapter, asked(facts, WRITTEN), replay)
        own = router.score(held)
        scores = {kind: router.score(prompts) for kind, prompts in others.items()}
        found[name] = {"own held wordings routed": _above(own, router.threshold)}
        found[name]["misrouted: fitted with"] = _above(router.score(replay), router.threshold)
        for kind, score in scores.items():
            found[name][f"AUROC against {kind}"] = _auroc(own, score)
            found[name][f"misrouted: {kind}"] = _above(score, router.threshold)
    return found


def _above(scores: Any, threshold: float) -> float:
    return round(float((scores > threshold).float().mean()), 4)


def _auroc(own: Any, others: Any) -> float:
    return round(float((own[:, None] > others[None]).float().mean()), 4)


def speed_rows(bank: Bank) -> list[dict[str, Any]]:
    return [speed_row(bank, shards) for shards in (1, 100, 1000)]


def speed_row(bank: Bank, shards: int) -> dict[str, Any]:
    entries = [
        entry_of((f"Name{n // 4} Family{n // 400}", list(WORDINGS)[n % 4], f"thing {n}"), n)
        for n in range(shards * 50)
    ]
    index = RouterIndex(bank)
    ledgers = [FactLedger(tuple(entries[at : at + 50])) for at in range(0, len(entries), 50)]
    puts = [_ms(index.put, f"a/{n}", each) for n, each in enumerate(ledgers)]
    asked = [WORDINGS[entry.fact.relation][n % 6].format(s=entry.fact.subject)
             for n, entry in enumerate(random.Random(0).choices(entries, k=2000))]  # fmt: skip
    others = (QUESTIONS / "first_others.txt").read_text().splitlines()
    routed = [_ms(index.route, question) for question in asked]
    rest = [_ms(index.route, question) for question in others]
    drops = [_ms(index.drop, f"a/{n}") for n in range(min(20, shards))]
    return {
        "part": "speed", "shards": shards, "facts": len(entries),
        "own questions p50 ms": round(percentile(routed, 50), 4),
        "own questions p99 ms": round(percentile(routed, 99), 4),
        "other questions p50 ms": round(percentile(rest, 50), 4),
        "other questions p99 ms": round(percentile(rest, 99), 4),
        "put p50 ms": round(percentile(puts, 50), 3),
        "drop p50 ms": round(percentile(drops, 50), 3),
    }  # fmt: skip


def _ms(work: Callable[..., object], *given: object) -> float:
    start = time.perf_counter()
    work(*given)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print what was missed")
    parser.add_argument("--only", choices=("judge", "everyday", "activations", "speed"))
    args = parser.parse_args()
    bank, rows = packaged_bank(), []
    if args.only in {None, "judge"}:
        rows += judge_rows(bank)
    if args.only in {None, "everyday"}:
        for name in ("first", "fresh"):
            if not (QUESTIONS / f"{name}.txt").exists():
                continue
            row, missed, wrong = everyday(bank, name)
            rows.append(row)
            if args.show:
                print("missed:", *missed, "wrong:", *wrong, sep="\n  ")
    if args.only in {None, "activations"}:
        rows += activation_rows()
    if args.only in {None, "speed"}:
        rows += speed_rows(bank)
    for row in rows:
        print(row)
    if args.only is None:
        said = {"what": WHAT, "command": COMMAND, "machine": machine_facts(), "rows": rows}
        (RESULTS / "parametric_route.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
