"""Prompts of parts that were computed apart: what they cost in answers, and save in time.

    python benchmarks/kv_compose.py            # some minutes, one thread

Answers are those of the two judge models in tests/judges: they judge mechanisms (is a part at its
place?), not what composing does to a large model. Times are those of a model in the shape of
Qwen2-0.5B with 4 of its 24 layers and random weights. There the choice of the most deviating
tokens costs more than a quarter of a prefill, because one of the 4 layers is run for it; of a whole
model it is one of 24.

Writes benchmarks/results/kv_compose.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoTokenizer

from kv_ttft import FEW_WORDS, SHAPE
from measuring import REPO, machine_facts, save, timed
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.loading import load
from mneme.core.engine import KV
from mneme.memories.activation.compose import Part, compose, prefill_apart
from mneme.memories.activation.kv import join
from mneme.memories.activation.mend import FirstTokens, Mend, MostDeviating
from mneme.memories.activation.positions import rotate
from mneme.memories.activation.proof import Prompt, prove, random_prompts
from mneme.testing.judges import Case, latest_case, recall_case
from mneme.testing.tiny_models import tiny_model

WORDS, PART, FACTS, QUESTIONS = 256, 64, 24, 8
SHARES = (0.05, 0.15, 0.30)
ORDER = (2, 0, 3, 1)
BEGIN = 1
SEED = 70_000
TIMED = ((64, 4, 480), (64, 8, 480))  # tokens of the head, parts, tokens of a part
QUESTION_TOKENS = 32


class Asked(NamedTuple):
    """A context of a judge, with what it must answer."""

    tokens: list[int]
    questions: list[tuple[list[int], str]]


class Judge:
    """A small model that answers, and its tokens."""

    def __init__(self, name: str) -> None:
        folder = REPO / "tests" / "judges" / "models" / name
        self.engine = LocalEngine(*load(folder, device="cpu"))
        self.words = AutoTokenizer.from_pretrained(folder)

    def asked(self, case: Case) -> Asked:
        questions = [(self.words.encode(text), value) for text, value in case.questions]
        return Asked(self.words.encode(case.text), questions)

    def reordered(self, asked: Asked, order: Sequence[int]) -> Asked:
        """Parts in another order; the answer is what is the newest now."""
        tokens = [t for at in order for t in asked.tokens[at * PART : at * PART + PART]]
        said = self.words.convert_ids_to_tokens(tokens)
        newest = {one: two for one, two in pairwise(said) if two[0] == "v"}
        keys = [self.words.convert_ids_to_tokens(text)[-1] for text, _ in asked.questions]
        kept = [
            (text, newest[key])
            for key, (text, _) in zip(keys, asked.questions, strict=True)
            if key in newest
        ]
        return Asked(tokens, kept)

    def right(self, kv: KV, position: int, asked: Asked) -> list[bool]:
        said = []
        for tokens, value in asked.questions:
            best = int(self.engine.session(kv, position=position).feed(tokens).argmax())
            said.append(self.words.convert_ids_to_tokens(best) == value)
        return said

    def prefilled(self, tokens: Sequence[int]) -> KV:
        session = self.engine.session()
        session.feed(tokens)
        return session.cached()


def mends() -> dict[str, Mend | None]:
    made: dict[str, Mend | None] = {"0 %": None}
    for share in SHARES:
        made[f"first {share:.0%}"] = FirstTokens(max(1, round(share * PART)))
    for share in SHARES:
        made[f"deviating {share:.0%}"] = MostDeviating(share)
    return made


def answers(judge: Judge, cases: Sequence[Case], filler: Sequence[int]) -> dict[str, Any]:
    """Share of right answers, for each way of making the prompt."""
    right: dict[str, list[bool]] = {}

    def note(name: str, kv: KV, asked: Asked, head: int) -> None:
        right.setdefault(name, []).extend(judge.right(kv, head + WORDS, asked))

    for case in cases:
        asked = judge.asked(case)
        other = judge.reordered(asked, ORDER)
        for behind, head in (("alone", [BEGIN]), ("begin", [BEGIN]), ("head", [BEGIN, *filler])):
            one_case(judge, note, behind, head, asked, other)
    return {
        name: {"right": sum(said) / len(said), "questions": len(said)}
        for name, said in right.items()
    }


def one_case(
    judge: Judge,
    note: Callable[[str, KV, Asked, int], None],
    behind: str,
    head: list[int],
    asked: Asked,
    other: Asked,
) -> None:
    head_kv = judge.prefilled(head)
    apart = None if behind == "alone" else head_kv
    parts = [
        prefill_apart(judge.engine, asked.tokens[at : at + PART], behind=apart)
        for at in range(0, WORDS, PART)
    ]
    if behind != "begin":
        note(f"full, {behind}", judge.prefilled([*head, *asked.tokens]), asked, len(head))
        note(
            f"full, {behind}, other order",
            judge.prefilled([*head, *other.tokens]),
            other,
            len(head),
        )
    for name, mend in mends().items():
        made = compose(judge.engine, head, head_kv, parts, mend=mend)
        note(f"moved, {behind}, {name}", made.kv, asked, len(head))
    turned = [parts[at] for at in ORDER]
    made = compose(judge.engine, head, head_kv, turned)
    note(f"moved, {behind}, other order", made.kv, other, len(head))
    stale = left_where_computed(judge.engine, head_kv, parts, 0 if apart is None else len(head))
    note(f"not re-rotated, {behind}", stale, asked, len(head))


def left_where_computed(engine: LocalEngine, head: KV, parts: Sequence[Part], at: int) -> KV:
    return join([head, *[rotate(part.kv, engine, at) for part in parts if part.kv is not None]])


def proofs(judges: dict[str, Judge], cases: dict[str, list[Case]]) -> list[dict[str, Any]]:
    """What the gate says of each judge, on its own questions and on random tokens."""
    rows = []
    for name, judge in judges.items():
        prompts = [gate_prompt(judge.asked(case), at) for case in cases[name] for at in range(2)]
        for behind_head in (False, True):
            for mend in (None, FirstTokens(10), MostDeviating(0.15)):
                for kind, made, answer in (
                    ("questions", prompts, 1),
                    ("random", random_prompts(judge.engine), 8),
                ):
                    proof = prove(
                        judge.engine,
                        made,
                        mend=mend,
                        behind_head=behind_head,
                        answer_tokens=answer,
                    )
                    rows.append(
                        {
                            "judge": name,
                            "prompts": kind,
                            "behind_head": behind_head,
                            "mend": proof.mend,
                            "tokens": proof.tokens,
                            "agreement": proof.composed.agreement,
                            "divergence": proof.composed.divergence,
                            "error": proof.composed.error,
                            "planted_agreement": proof.planted.agreement,
                            "planted_divergence": proof.planted.divergence,
                            "passed": proof.passed,
                            "tells": proof.tells,
                        }
                    )
    return rows


def gate_prompt(asked: Asked, number: int) -> Prompt:
    parts = tuple(tuple(asked.tokens[at : at + PART]) for at in range(0, WORDS, PART))
    return Prompt(head=(BEGIN,), parts=parts, question=tuple(asked.questions[number][0]))


def times(repeats: int) -> list[dict[str, Any]]:
    """CPU seconds from the ready prompt to its first token, full and composed, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        made = tiny_model("qwen2", Path(folder), template=None, vocab_size=FEW_WORDS, **SHAPE)
        engine = LocalEngine(*load(made, device="cpu"))
    return [timed_row(engine, *shape, repeats) for shape in TIMED]


def timed_row(
    engine: LocalEngine, head_tokens: int, count: int, part_tokens: int, repeats: int
) -> dict[str, Any]:
    numbers = torch.Generator().manual_seed(3)

    def some(size: int) -> list[int]:
        return torch.randint(10, FEW_WORDS, (size,), generator=numbers).tolist()

    head, question = some(head_tokens), some(QUESTION_TOKENS)
    texts = [some(part_tokens) for _ in range(count)]
    session = engine.session()
    session.feed(head)
    head_kv = session.cached()
    parts = [prefill_apart(engine, text, behind=head_kv) for text in texts]
    whole = [*head, *(token for text in texts for token in text), *question]
    ways: dict[str, Callable[[], Any]] = {"full": lambda: engine.session().feed(whole)}
    for share in (0.0, *SHARES):
        first = FirstTokens(round(share * part_tokens)) if share else None
        ways[f"first {share:.0%}"] = going_on(engine, head, head_kv, parts, question, first)
        if share:
            mend = MostDeviating(share)
            ways[f"deviating {share:.0%}"] = going_on(engine, head, head_kv, parts, question, mend)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            taken[name].append(timed(way)[2])
    middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
    return {
        "prompt_tokens": len(whole),
        "layers": engine.layers,
        "parts": count,
        "repeats": repeats,
        "cpu_seconds": middle,
        "spread": {name: [min(each), max(each)] for name, each in taken.items()},
        "saved": {name: 1 - each / middle["full"] for name, each in middle.items()},
    }


def going_on(
    engine: LocalEngine,
    head: list[int],
    head_kv: KV,
    parts: list[Part],
    question: list[int],
    mend: Mend | None,
) -> Callable[[], Any]:
    def way() -> Any:
        made = compose(engine, head, head_kv, parts, mend=mend)
        return engine.session(made.kv, position=made.position).feed(question)

    return way


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=40, help="contexts of each judge")
    options.add_argument("--repeats", type=int, default=5)
    asked = options.parse_args()
    torch.set_num_threads(1)
    judges = {name: Judge(name) for name in ("latest-wins", "recall")}
    makers = {"latest-wins": latest_case, "recall": recall_case}
    cases = {
        name: [
            make(SEED + seed, words=WORDS, facts=FACTS, questions=QUESTIONS)
            for seed in range(asked.cases)
        ]
        for name, make in makers.items()
    }
    filler = judges["recall"].words.encode(" ".join(f"w{n:02d}" for n in range(32)))
    result: dict[str, Any] = {
        "machine": machine_facts(),
        "setting": {
            "words": WORDS,
            "part_words": PART,
            "facts": FACTS,
            "cases": asked.cases,
            "torch": torch.__version__,
        },
        "answers": {name: answers(judge, cases[name], filler) for name, judge in judges.items()},
        "proofs": proofs(judges, cases),
        "times": times(asked.repeats),
    }
    for name, rows in result["answers"].items():
        print(f"\n{name}: share of right answers")
        for way, row in rows.items():
            print(f"  {way:40s} {row['right']:6.1%} of {row['questions']}")
    for row in result["proofs"]:
        print(row)
    for row in result["times"]:
        print(f"\n{row['prompt_tokens']} tokens in {row['parts']} parts")
        for way, seconds in row["cpu_seconds"].items():
            print(f"  {way:16s} {seconds:8.3f} s CPU, saved {row['saved'][way]:6.1%}")
    save("kv_compose.json", result)


if __name__ == "__main__":
    main()
