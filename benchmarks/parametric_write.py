"""Facts written into low-rank matrices: what is known after, what is lost, and what it costs.

    python benchmarks/parametric_write.py            # three seeds, some minutes of CPU

The judge is a model of 352k parameters that knows 240 facts in six wordings. New facts are written
in four of the wordings and asked in the other two. The adapter is on for every question ("always
on"), which no reader of the product does: there, a question is routed first. Locality is the share
of 120 facts of the base, in all six wordings, that are still answered right; none of them was
replayed. Replayed is one of: the other 120 facts ("known"), made-up prompts near the new facts, as
the product makes them ("neighbours"), both, or nothing. The worst of the seeds counts. It ranks
mechanisms, not products. Writes benchmarks/results/parametric_write.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from safetensors.torch import save as to_safetensors

from measuring import machine_facts, save
from mneme.core.engine import Engine
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.course import course_of as product_course
from mneme.memories.parametric.course import knows
from mneme.memories.parametric.facts import Fact, FactLedger
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.phrasings import bank_of
from mneme.memories.parametric.synthesis import entries_of
from mneme.memories.parametric.training import UNWATCHED, Course, Training
from mneme.memories.parametric.writers.lora import LoraWriter
from mneme.testing.fact_world import (
    HELD,
    WORLD_PHRASINGS,
    WRITTEN,
    WorldFact,
    course_of,
    prompt_of,
)
from parametric_world import fresh, judge, world

KNOWN = 120  # facts of the base that may be replayed; the others are asked
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FEED_FORWARD = ALL[4:]
GOALS = {
    "efficacy": 0.98, "paraphrase": 0.95, "locality": 0.75,
    "cpu_s_per_fact": 0.2, "fp32_bytes_per_fact": 800, "bf16_bytes_per_fact": 400,
}  # fmt: skip
LOW_IS_GOOD = ("cpu_s_per_fact", "fp32_bytes_per_fact", "bf16_bytes_per_fact", "steps")


class Case(NamedTuple):
    """One way to write; `kept` says what is replayed."""

    name: str
    facts: int = 50
    kept: str = "known and neighbours"
    wordings: Sequence[int] = WRITTEN
    layers: Sequence[str] | None = None
    changes: dict[str, Any] = {}  # noqa: RUF012 (of Training; never changed)


CASES = (
    Case("default"),
    Case("replay of known facts only", kept="known"),
    Case("replay of neighbours only", kept="neighbours"),
    Case("no replay", kept="nothing", changes={"replay": 0.0}),
    Case("10 facts", facts=10),
    Case("one wording", wordings=WRITTEN[:1]),
    Case("rank 1", changes={"rank": 1}),
    Case("rank 8", changes={"rank": 8}),
    Case("all seven layers", layers=ALL),
    Case("feed-forward layers only", layers=FEED_FORWARD),
    Case("rank 4", changes={"rank": 4}),
    Case("replay of known facts only, at weight 3", kept="known", changes={"replay": 3.0}),
    Case("optimizer lomo", changes={"optimizer": "lomo"}),
    Case("optimizer adafactor", changes={"optimizer": "adafactor"}),
    Case("optimizer adamw8bit", changes={"optimizer": "adamw8bit"}),
    Case("150 facts, 360 steps", facts=150, changes={"steps": 360}),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of cases")
    given = parser.parse_args()
    engine, rows = judge(), []
    for case in CASES:
        if given.only and case.name not in given.only:
            continue
        found = [measured(engine, case, seed) for seed in range(given.seeds)]
        rows.append(worst(case, found))
        print(line(rows[-1]), flush=True)
        save("parametric_write.json", result(rows, given.seeds))
    return 0


def result(rows: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    return {
        "what": "New facts written by the writer 'lora' into a model of 352k parameters, always "
        "on; each row is the worst of the seeds, figure by figure.",
        "command": "python benchmarks/parametric_write.py",
        "defaults": {
            name: getattr(Training(), name)
            for name in ("rank", "steps", "batch", "replay", "optimizer")
        },
        "seeds": seeds,
        "goals": GOALS,
        "rows": rows,
        "machine": machine_facts(),
    }


def measured(engine: Engine, case: Case, seed: int) -> dict[str, float]:
    facts, known = fresh(case.facts, seed), world()
    training = Training(seed=seed, **case.changes)
    course = taught(engine, case, facts, known[:KNOWN], seed)
    made = LoraWriter(case.layers).write(engine, course, training, UNWATCHED)
    held = [at for at in range(6) if at not in case.wordings] if len(case.wordings) < 4 else HELD
    return {
        "efficacy": right(engine, facts, case.wordings, made.adapter),
        "paraphrase": right(engine, facts, held, made.adapter),
        "locality": right(engine, known[KNOWN:], range(6), made.adapter),
        "replayed_right": right(engine, known[:KNOWN], range(6), made.adapter),
        "cpu_s_per_fact": made.figures["cpu_s"] / case.facts,
        "steps": made.figures["steps"],
        "fp32_bytes_per_fact": file_bytes(made.adapter, "float32") / case.facts,
        "bf16_bytes_per_fact": file_bytes(made.adapter, "bfloat16") / case.facts,
    }


def taught(
    engine: Engine, case: Case, facts: Sequence[WorldFact], known: Sequence[WorldFact], seed: int
) -> Course:
    """Lessons in the wordings of the case, and what it replays."""
    wanted = {prompt_of(engine, each) for fact in facts for each in fact.prompts(case.wordings)}
    lessons = [each for each in course_of(engine, facts).lessons if each.prompt in wanted]
    replay = [prompt_of(engine, each) for fact in known for each in fact.prompts()]
    near = near_prompts(engine, facts, seed)
    kept = {"known": replay, "neighbours": near, "nothing": []}.get(case.kept, [*replay, *near])
    return Course(tuple(lessons), tuple(dict.fromkeys(kept)))


def near_prompts(engine: Engine, facts: Sequence[WorldFact], seed: int) -> list[tuple[int, ...]]:
    """The made-up prompts that the product replays for these facts."""
    bank = bank_of(WORLD_PHRASINGS)
    said = [
        Fact(cube_id=f"{at}", version=1, text=each.text, **each._asdict())
        for at, each in enumerate(facts)
    ]
    found = entries_of(said, bank, known=lambda text: knows(engine, text))
    ledger = FactLedger(tuple(found.entries))
    return list(product_course(engine, ledger, bank=bank, seed=seed).replay)


def right(
    engine: Engine, facts: Sequence[WorldFact], wordings: Sequence[int], adapter: Adapter
) -> float:
    """Share of right answers, the adapter on for every question."""
    applied = LoraCarrier().apply(engine, adapter)
    prompts = [prompt_of(engine, each) for fact in facts for each in fact.prompts(wordings)]
    best = next_logits(engine, prompts, applied).argmax(-1).tolist()
    applied.close()
    said = [engine.decode([token]).strip() for token in best]
    wanted = [fact.object for fact in facts for _ in wordings]
    return sum(a == b for a, b in zip(said, wanted, strict=True)) / len(wanted)


def file_bytes(adapter: Adapter, dtype: str) -> int:
    """Of adapter_model.safetensors, header included."""
    import torch

    kind = getattr(torch, dtype)
    return len(to_safetensors({name: each.to(kind) for name, each in adapter.tensors.items()}))


def worst(case: Case, found: Sequence[dict[str, float]]) -> dict[str, Any]:
    figures = {
        name: (max if name in LOW_IS_GOOD else min)(each[name] for each in found)
        for name in found[0]
    }
    mean = sum(each["locality"] for each in found) / len(found)
    return {
        "case": case.name, "facts": case.facts, "replayed": case.kept,
        "wordings": len(case.wordings), "locality_mean": mean, **figures,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    return " | ".join(
        f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()
    )


if __name__ == "__main__":
    raise SystemExit(main())
