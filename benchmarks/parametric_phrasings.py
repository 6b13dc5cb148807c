"""How well the packaged bank of phrasings reads statements, and asks for what the rules extract.

    python benchmarks/parametric_phrasings.py [--turns turns.json.gz]

Parts: sentences with the triple that each states, or none (tests/parametric/data; sets 1 and 2
settled the templates, set 3 some more, set 4 was written last and nothing was changed for it);
triples that the rules of extraction find, in the sentences of the tests and in the turns of users
of a LongMemEval file: how many have three prompts or more, and how many stay text; and facts of the
judge's world written with the packaged bank alone, asked in words that no prompt has.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measuring import machine_facts, save
from mneme.core.statement import Utterance
from mneme.ingest.extract.rules import read
from mneme.memories.parametric.facts import Fact, FactLedger
from mneme.memories.parametric.phrasings import Triple, bank_of, packaged_bank
from mneme.memories.parametric.synthesis import entries_of
from mneme.memories.parametric.templates import plain
from mneme.testing.fact_world import HELD, WORLD_PHRASINGS, WRITTEN, known_facts, new_facts

TESTS = Path(__file__).parents[1] / "tests"
TURNS = Path(__file__).parents[2] / "shared/data/longmemeval/lme_hay_dev.json.gz"
JUDGE = TESTS / "judges" / "models" / "facts"
BANK = packaged_bank()
FEWEST = 3


def reading(name: str) -> dict[str, Any]:
    said = json.loads((TESTS / "parametric" / "data" / name).read_text("utf-8"))
    stated = [each for each in said["stated"] if each[1] is not None]
    nothing = [*said["nothing"], *(each[0] for each in said["stated"] if each[1] is None)]
    right = sum(BANK.read(each[0]) == Triple(*each[1:]) for each in stated)
    read_ = sum(BANK.read(text) is not None for text in (*nothing, *(e[0] for e in stated)))
    return {
        "what": f"sentences of {name}", "stated": len(stated), "nothing": len(nothing),
        "right": right, "read": read_, "precision": round(right / read_, 3),
        "coverage": round(right / len(stated), 3),
    }  # fmt: skip


def facts_in(texts: Sequence[str]) -> list[Fact]:
    found = []
    for text in texts:
        turn = Utterance(id="t", text=text, role="user", speaker=None, at=1_684_000_000_000_000)
        for said in read(turn).statements:
            if said.subject and said.relation and said.object and not said.ends:
                found.append(
                    Fact(
                        cube_id=str(len(found)), version=1, subject=said.subject,
                        relation=said.relation, object=said.object,
                        text=said.text or text[said.start : said.end],
                    )
                )  # fmt: skip
    return found


def asking(what: str, texts: Sequence[str]) -> dict[str, Any]:
    """Each triple by itself: whether it could be asked for, alone in its shard."""
    facts = facts_in(texts)
    made = [entries_of([fact], BANK, known=lambda _: True) for fact in facts]
    prompts = [len({plain(p) for e in each.entries for p in e.prompts}) for each in made]
    held = [each.entries[0].held for each in made if each.entries]
    return {
        "what": what, "triples": len(facts),
        "with_three_prompts": round(sum(n >= FEWEST for n in prompts) / len(facts), 3),
        "stay_text": round(sum(not each.entries for each in made) / len(facts), 3),
        "with_held_prompts": round(sum(map(bool, held)) / max(1, len(held)), 3),
        "named_by_the_bank": round(
            sum(BANK.name_of(fact.relation) is not None for fact in facts) / len(facts), 3
        ),
    }  # fmt: skip


def users(path: Path) -> list[str]:
    def walk(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if node.get("role") == "user" and isinstance(node.get("content"), str):
                yield node["content"]
            node = list(node.values())
        if isinstance(node, list):
            for each in node:
                yield from walk(each)

    return list(dict.fromkeys(walk(json.loads(gzip.decompress(path.read_bytes())))))


def told() -> list[str]:
    spec = importlib.util.spec_from_file_location(
        "told", TESTS / "parametric" / "test_phrasings.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.SENTENCES)


def writing(name: str, seed: int) -> dict[str, Any]:
    import torch

    import mneme
    from mneme.memories.parametric.batch import next_logits
    from mneme.memories.parametric.course import course_of, held_lessons, knows, prompt_tokens
    from mneme.memories.parametric.training import UNWATCHED, Training
    from mneme.memories.parametric.writers import build_carrier, build_writer

    torch.set_num_threads(1)
    engine, world = mneme.engine(JUDGE), known_facts(JUDGE)
    bank = bank_of(WORLD_PHRASINGS if name == "wordings" else None)
    new = new_facts(world, 50, seed=seed)
    facts = [
        Fact(cube_id=str(n), version=1, subject=f.subject, relation=f.relation, object=f.object,
             text=f.text)
        for n, f in enumerate(new)
    ]  # fmt: skip
    found = entries_of(facts, bank, known=lambda text: knows(engine, text))
    ledger = FactLedger(tuple(found.entries))
    course = course_of(engine, ledger, bank=bank, seed=seed)
    start = time.process_time()
    written = build_writer("lora").write(engine, course, Training(seed=seed), UNWATCHED)
    cpu_s = time.process_time() - start
    applied = build_carrier("lora").apply(engine, written.adapter)

    def share(asked: Sequence[tuple[tuple[int, ...], int]]) -> float:
        answers = next_logits(engine, [prompt for prompt, _ in asked], applied).argmax(-1).tolist()
        right = sum(got == wanted for got, (_, wanted) in zip(answers, asked, strict=True))
        return round(right / len(asked), 4)

    def of_world(facts: Sequence[Any], numbers: Sequence[int]) -> float:
        return share(
            [
                (prompt_tokens(engine, prompt), engine.encode(fact.object)[0])
                for fact in facts
                for prompt in fact.prompts(numbers)
            ]
        )

    held = held_lessons(engine, ledger)
    try:
        return {
            "what": f"50 facts written with the {name} bank", "seed": seed,
            "lessons": len(course.lessons), "replay": len(course.replay),
            "efficacy": share([(lesson.prompt, lesson.answer[0]) for lesson in course.lessons]),
            "held_prompts": share([(lesson.prompt, lesson.answer[0]) for lesson in held]),
            "judge_wordings_written": of_world(new, WRITTEN),
            "judge_wordings_held": of_world(new, HELD),
            "known_facts_kept_always_on": of_world(world, range(6)), "cpu_s": round(cpu_s, 2),
        }  # fmt: skip
    finally:
        applied.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=Path, default=TURNS)
    turns, machine = parser.parse_args().turns, machine_facts()
    names = ["read_sentences.json", *(f"read_sentences_{n}.json" for n in (2, 3, 4))]
    rows = [reading(name) for name in names]
    rows.append(asking("triples of the rules in the tests' sentences", told()))
    if turns.exists():
        rows.append(asking("triples of the rules in turns of LongMemEval's users", users(turns)))
    rows += [writing(name, seed) for name in ("packaged", "wordings") for seed in range(3)]
    for row in rows:
        print("; ".join(f"{key} {value}" for key, value in row.items()))
    result = {
        "what": "bank of phrasings: reading, asking, writing with it alone; precision is right of "
        "read, coverage right of stated",
        "command": "python benchmarks/parametric_phrasings.py", "relations": len(BANK.relations),
        "machine": machine, "rows": rows,
    }  # fmt: skip
    save("parametric_phrasings.json", result)


if __name__ == "__main__":
    main()
