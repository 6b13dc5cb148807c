"""Does what was promoted arrive, and only there? Answers of the judge models, end to end.

    python benchmarks/kv_judges.py          # some CPU minutes

Each context is added to a namespace of its own as a document, promoted, and asked about with
`chat`: so text, rows, files, tiers, match and injection all take part. Then the same questions are
asked in a namespace without memory, and in one whose promoted memory is another context. At last a
fact is changed in a promoted text, and the next answer must be the new one. The judge
models are small models trained for this task alone (tests/judges): they judge mechanisms.

Writes benchmarks/results/kv_judges.json.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import mneme
from measuring import REPO, machine_facts, save
from mneme.testing.judges import Case, latest_case, recall_case

MODELS = REPO / "tests" / "judges" / "models"
TASKS: dict[str, tuple[Callable[..., Case], int]] = {
    "recall": (recall_case, 24),
    "latest-wins": (latest_case, 32),
}
WORDS, QUESTIONS, SEED = 256, 8, 40_000


def one_task(name: str, cases: int, codec: str) -> dict[str, Any]:
    make, facts = TASKS[name]
    engine = mneme.engine(MODELS / name)
    settings = mneme.Settings(embedder="none", infer=False, sleep=False, worker=False)
    made = [
        make(SEED + seed, words=WORDS, facts=facts, questions=QUESTIONS) for seed in range(cases)
    ]
    right: dict[str, list[bool]] = {"full": [], "none": [], "another": []}
    hits, prompts = 0, 0
    with (
        tempfile.TemporaryDirectory(prefix="mneme-judges-") as folder,
        mneme.open(Path(folder, "store"), settings=settings) as memory,
    ):
        memory.attach(engine)
        for number, case in enumerate(made):
            space = memory.namespace(f"case/{number}")
            (document,) = space.add(case.text, type="document")
            space.promote(document.id, to="activation", engine=engine, codec=codec)
        for number, case in enumerate(made):
            asked = {
                "full": memory.namespace(f"case/{number}"),
                "none": memory.namespace("nobody"),
                "another": memory.namespace(f"case/{(number + 1) % cases}"),
            }
            for way, space in asked.items():
                for question, answer in case.questions:
                    reply = space.chat(question, engine=engine, max_new_tokens=1, remember=False)
                    right[way].append(reply.text == answer)
                    if way == "full":
                        hits += reply.timings.hit_tokens
                        prompts += (reply.timings.prompt_tokens or 0) - len(question.split())
    share = {way: sum(each) / len(each) for way, each in right.items()}
    return {
        "task": name,
        "codec": codec,
        "words": WORDS,
        "facts": facts,
        "questions": len(right["full"]),
        "right": share,
        "hit_share": hits / prompts,
    }


def edited(cases: int) -> dict[str, Any]:
    """The value of a fact is changed in the text; the next answer must be the new one."""
    engine = mneme.engine(MODELS / "recall")
    settings = mneme.Settings(embedder="none", infer=False, sleep=False, worker=False)
    new = old = rebuilt = 0
    with (
        tempfile.TemporaryDirectory(prefix="mneme-judges-") as folder,
        mneme.open(Path(folder, "store"), settings=settings) as memory,
    ):
        memory.attach(engine)
        for number in range(cases):
            case = recall_case(SEED + number, words=WORDS, facts=24, questions=1)
            ((question, before),) = case.questions
            key = question.split()[-1]
            after = f"v{(int(before[1:]) + 1) % 96:02d}"
            space = memory.namespace(f"case/{number}")
            (document,) = space.add(case.text, type="document")
            space.promote(document.id, to="activation", engine=engine)
            space.chat(question, engine=engine, max_new_tokens=1, remember=False)
            text = case.text.replace(f"{key} {before}", f"{key} {after}")
            space.update(document.id, text=text)
            memory.drain()  # what an attached engine does in the background
            reply = space.chat(question, engine=engine, max_new_tokens=1, remember=False)
            new += reply.text == after
            old += reply.text == before
            rebuilt += reply.timings.hit_tokens >= WORDS
    return {"cases": cases, "new_value": new, "old_value": old, "built_again": rebuilt}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50, help="contexts of each task and codec")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in TASKS:
        for codec in ("raw", "int8", "int4"):
            rows.append(one_task(name, asked.cases, codec))
            print(line(rows[-1]), flush=True)
    changed = edited(asked.cases)
    print(changed)
    save("kv_judges.json", {"machine": machine_facts(), "rows": rows, "edited": changed})


def line(row: dict[str, Any]) -> str:
    right = row["right"]
    return (
        f"{row['task']:12} {row['codec']:5} {row['questions']} questions: with its memory "
        f"{right['full']:.1%}, with none {right['none']:.1%}, with another's "
        f"{right['another']:.1%}; {row['hit_share']:.1%} of the memory's tokens hit"
    )


if __name__ == "__main__":
    main()
