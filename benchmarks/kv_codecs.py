"""What each codec loses and what it takes: error of logits, answers of the judges, bytes, time.

    python benchmarks/kv_codecs.py          # about four CPU minutes, one thread

A context is computed once, cut into blocks of 64 tokens, and each block goes through a file of
each form and back (pack, checksum, unpack, join). Then the same questions are asked with what came
back and with what was computed. The error of logits is the Euclidean norm of the difference by
the norm of the logits, over the whole vocabulary, at the last token of the question.

The judges are small models trained for one task alone (tests/judges): they judge mechanisms. The
model in the shape of Qwen2-0.5B has 4 of its 24 layers and random weights: its keys have no
structure that a codec could use. Real models lie somewhere else.

Writes benchmarks/results/kv_codecs.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import mneme
from measuring import REPO, RESULTS, machine_facts, save
from mneme.core.engine import KV, Engine, Layer
from mneme.memories.activation.block_file import checksum, pack, unpack
from mneme.memories.activation.codecs import CODECS, calibrate, keep_basis
from mneme.memories.activation.keys import BLOCK
from mneme.memories.activation.kv import Held, cut, join, tokens_in
from mneme.testing.judges import Case, latest_case, recall_case
from mneme.testing.tiny_models import tiny_model

MODELS = REPO / "tests" / "judges" / "models"
TASKS: dict[str, tuple[Callable[..., Case], int]] = {
    "recall": (recall_case, 24),
    "latest-wins": (latest_case, 32),
}
WORDS, QUESTIONS, SEED, SAMPLES = 256, 16, 50_000, 16
CALIBRATED = "lowrank, calibrated"
GOALS = {
    "bf16": {},
    "int8": {"logit_error": 0.01, "bytes": 0.55, "recall_below_raw": 0.0},
    "int4": {"bytes": 0.30, "recall": 0.99, "latest_below_raw": 0.06},
}
QWEN2: dict[str, Any] = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 4,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 32_000,
    "max_position_embeddings": 32_768,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "initializer_range": 0.02,
}


@dataclass
class Tally:
    """What was seen of one form and one model."""

    errors: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    full_bytes: int = 0  # files of full blocks
    full_bf16: int = 0  # the same tokens in bfloat16
    all_bytes: int = 0
    all_bf16: int = 0

    def figures(self) -> dict[str, Any]:
        worst = sorted(self.errors)
        return {
            "questions": len(worst),
            "logit_error": {
                "mean": mean(worst),
                "p99": worst[round(0.99 * (len(worst) - 1))],
                "max": worst[-1],
            },
            "right": mean(self.right) if self.right else None,
            "same_token_as_raw": mean(self.same),
            "bytes_of_bf16": self.full_bytes / self.full_bf16,
            "bytes_of_bf16_with_partial_block": self.all_bytes / self.all_bf16,
        }


def through_files(kv: KV, form: str, tally: Tally) -> KV:
    """Keys and values as they come back from files of blocks."""
    parts = []
    for start in range(0, tokens_in(kv), BLOCK):
        part = cut(kv, start, min(start + BLOCK, tokens_in(kv)))
        file = pack(Held(part), form)
        bf16 = sum(half.numel() * 2 for layer in part for half in layer)
        tally.all_bytes, tally.all_bf16 = tally.all_bytes + len(file), tally.all_bf16 + bf16
        if tokens_in(part) == BLOCK:
            tally.full_bytes, tally.full_bf16 = tally.full_bytes + len(file), tally.full_bf16 + bf16
        held = unpack(
            memoryview(file),
            checksum=checksum(file),
            form=form,
            tokens=tokens_in(part),
            dtype=kv[0].keys.dtype,
            device="cpu",
        )
        parts.append(held.kv)
    return join(parts)


def computed(engine: Engine, tokens: Sequence[int]) -> KV:
    session = engine.session()
    session.feed(tokens)
    return session.cached()


def ask_all(
    engine: Engine,
    context: Sequence[int],
    questions: Iterable[tuple[Sequence[int], str | None]],
    forms: dict[str, str],
    tallies: dict[str, Tally],
) -> None:
    kv = computed(engine, context)
    kept = {name: through_files(kv, form, tallies[name]) for name, form in forms.items()}
    for tokens, answer in questions:
        raw = engine.session(kv).feed(tokens)
        for name, known in kept.items():
            logits = engine.session(known).feed(tokens)
            tally, best = tallies[name], int(logits.argmax())
            tally.errors.append(float((logits - raw).norm() / raw.norm()))
            tally.same.append(best == int(raw.argmax()))
            if answer is not None:
                tally.right.append(engine.decode([best]).strip() == answer)


def prompt(engine: Engine, text: str) -> list[int]:
    return engine.render([{"role": "user", "content": text}])


def judge(name: str, cases: int) -> dict[str, Any]:
    make, facts = TASKS[name]
    engine = mneme.engine(MODELS / name)
    case = lambda seed: make(seed, words=WORDS, facts=facts, questions=QUESTIONS)  # noqa: E731
    samples = [computed(engine, prompt(engine, case(seed).text)) for seed in range(SAMPLES)]
    forms, rank = all_forms(samples)
    tallies = {form: Tally() for form in forms}
    for seed in range(SEED, SEED + cases):
        asked = case(seed)
        context = prompt(engine, asked.text)
        questions = [
            (prompt(engine, f"{asked.text} {question}")[len(context) :], answer)
            for question, answer in asked.questions
        ]
        ask_all(engine, context, questions, forms, tallies)
    return {"model": name, "rank": rank, **rows(tallies)}


def random_model(contexts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mneme-codecs-") as folder:
        engine = mneme.engine(tiny_model("qwen2", Path(folder, "model"), **QWEN2))
        chance = torch.Generator().manual_seed(SEED)

        def words(count: int) -> list[int]:
            return torch.randint(6, QWEN2["vocab_size"], (count,), generator=chance).tolist()

        forms, rank = all_forms([computed(engine, words(512)) for _ in range(4)])
        tallies = {form: Tally() for form in forms}
        for _ in range(contexts):
            ask_all(engine, words(512), [(words(32), None) for _ in range(8)], forms, tallies)
    return {"model": "random, shape of Qwen2-0.5B, 4 layers", "rank": rank, **rows(tallies)}


def all_forms(samples: list[KV]) -> tuple[dict[str, str], dict[str, Any]]:
    """Every codec by its name, and the low rank with directions of samples; their number."""
    basis = calibrate(samples)
    channels, rank = basis.layers[0].shape
    forms = {name: name for name in CODECS} | {CALIBRATED: keep_basis(basis)}
    return forms, {"of": channels, "calibrated": rank, "samples": len(samples)}


def rows(tallies: dict[str, Tally]) -> dict[str, Any]:
    return {"forms": {form: tally.figures() for form, tally in tallies.items()}}


def loading(blocks: int = 64, repeats: int = 25) -> dict[str, Any]:
    """CPU milliseconds for 4,096 tokens in blocks of 4 layers, 2 heads, size 64, fp32."""
    kvs = [
        tuple(Layer(torch.randn(2, BLOCK, 64), torch.randn(2, BLOCK, 64)) for _ in range(4))
        for _ in range(blocks)
    ]
    plain = torch.cat([half.flatten() for kv in kvs for layer in kv for half in layer])
    there = torch.empty_like(plain)
    found: dict[str, Any] = {
        "blocks": blocks,
        "bytes": plain.nbytes,
        "memcpy_ms": cpu_ms(lambda: there.copy_(plain), repeats),
        "memcpy_to_new_memory_ms": cpu_ms(plain.clone, repeats),
        "join_from_host_ms": cpu_ms(lambda: join(kvs), repeats),
    }
    found["forms"] = {form: of_form(kvs, form, repeats) for form in CODECS}
    return found


def of_form(kvs: list[KV], form: str, repeats: int) -> dict[str, float]:
    files = [pack(Held(kv), form) for kv in kvs]
    sums = [checksum(file) for file in files]
    return {
        "pack_ms": cpu_ms(lambda: [pack(Held(kv), form) for kv in kvs], 5),
        "checksum_ms": cpu_ms(lambda: [checksum(file) for file in files], repeats),
        "checksum_unpack_join_ms": cpu_ms(lambda: join(opened(files, sums, form)), repeats),
    }


def opened(files: list[bytes], sums: list[bytes], form: str) -> list[KV]:
    return [
        unpack(
            memoryview(file),
            checksum=known,
            form=form,
            tokens=BLOCK,
            dtype=torch.float32,
            device="cpu",
        ).kv
        for file, known in zip(files, sums, strict=True)
    ]


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """The median."""
    took = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        took.append((time.process_time() - begun) * 1e3)
    return sorted(took)[repeats // 2]


def measured(cases: int, contexts: int) -> list[dict[str, Any]]:
    models = []
    for name in TASKS:
        models.append(judge(name, cases))
        show(models[-1])
    models.append(random_model(contexts))
    show(models[-1])
    return models


def kept_models() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RESULTS / "kv_codecs.json").read_text())["models"]
    return found


def show(row: dict[str, Any]) -> None:
    print(f"\n{row['model']} (directions of keys: {row['rank']})")
    print(f"{'form':20} {'logit error mean':>16} {'p99':>7} {'max':>7} {'right':>7} {'bytes':>6}")
    for form, seen in row["forms"].items():
        error = seen["logit_error"]
        right = "" if seen["right"] is None else f"{seen['right']:.2%}"
        print(
            f"{form:20} {error['mean']:16.3%} {error['p99']:7.2%} {error['max']:7.2%} "
            f"{right:>7} {seen['bytes_of_bf16']:6.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="contexts of each judge")
    parser.add_argument("--contexts", type=int, default=3, help="of the random model")
    parser.add_argument("--loading", action="store_true", help="measure the time alone, again")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    models = kept_models() if asked.loading else measured(asked.cases, asked.contexts)
    speed = loading()
    whole = (f"{what} {speed[what]:.2f}" for what in speed if what.endswith("_ms"))
    print("\n" + ", ".join(whole))
    for form, seen in speed["forms"].items():
        print(f"{form:20} " + ", ".join(f"{what} {ms:.2f}" for what, ms in seen.items()))
    goals = {form: goal for form, goal in GOALS.items() if goal}
    save(
        "kv_codecs.json",
        {"machine": machine_facts(), "goals": goals, "models": models, "loading": speed},
    )


if __name__ == "__main__":
    main()
