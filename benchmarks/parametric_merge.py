"""Two shards made into one: what of each is left, what of the base, and what the gate would say.

    nice python benchmarks/parametric_merge.py            # three seeds, some five CPU minutes

Two shards of 25 facts (rank 2) are written apart and merged. "first" and "second" are the shares of
prompts about the facts of each that the merged adapter answers right, "held" the same of wordings
that neither was written with; "base" is the share of prompts about facts that the base knows, none
of them replayed, that are still answered right with it always on; "apart" is the lower of what the
two shards keep of it by themselves. "gate" says what of efficacy (.98) and paraphrase (.95) would
fail. Rows that begin with "peft" are ways that peft 0.21.2 has and Mneme leaves out.

The judge is a model of 352k parameters: it ranks mechanisms, not products. Writes
benchmarks/results/parametric_merge.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from measuring import machine_facts, save
from mneme.core.engine import Engine
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.gate import LIMITS
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.merge import merge
from mneme.testing.fact_world import HELD, WRITTEN, WorldFact, new_facts
from parametric_unlearn import EVERY, lessons, write
from parametric_world import JUDGE, judge, world

FACTS = 25
OURS: dict[str, dict[str, Any]] = {
    "cat (composed)": {"how": "cat"},
    "cat, half weights": {"how": "cat", "weights": [0.5, 0.5]},
    "svd, rank 2": {"how": "svd"},
    "svd, rank 4": {"how": "svd", "rank": 4},
    "ties_svd, rank 4, density 0.5": {"how": "ties_svd", "rank": 4},
    "ties_svd, rank 16, density 0.5": {"how": "ties_svd", "rank": 16},
    "ties_svd, rank 16, density 0.8": {"how": "ties_svd", "rank": 16, "density": 0.8},
}
THEIRS: dict[str, dict[str, Any]] = {
    "peft linear": {"combination_type": "linear"},
    "peft ties, density 0.5": {"combination_type": "ties", "density": 0.5},
    "peft dare_linear, density 0.8": {"combination_type": "dare_linear", "density": 0.8},
    "peft dare_ties, density 0.8": {"combination_type": "dare_ties", "density": 0.8},
    "peft dare_linear_svd, rank 16, density 0.8": {
        "combination_type": "dare_linear_svd", "svd_rank": 16, "density": 0.8,
    },
}  # fmt: skip


def right(
    engine: Engine, adapter: Adapter, facts: Sequence[WorldFact], wordings: Sequence[int]
) -> float:
    asked = lessons(engine, facts, wordings)
    applied = LoraCarrier().apply(engine, adapter)
    best = next_logits(engine, [lesson.prompt for lesson in asked], applied).argmax(-1)
    applied.close()
    return float((best == torch.tensor([lesson.answer[0] for lesson in asked])).float().mean())


def by_peft(parts: Sequence[Adapter], setting: Mapping[str, Any], seed: int) -> Adapter:
    """What peft makes of them, with its own seed of chance."""
    from peft import PeftModel, get_peft_model_state_dict
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(JUDGE, dtype=torch.float32)
        for name, part in zip("ab", parts, strict=True):
            Path(folder, name).mkdir()
            save_file(dict(part.tensors), Path(folder, name, "adapter_model.safetensors"))
            Path(folder, name, "adapter_config.json").write_text(json.dumps(dict(part.config)))
        tuned = PeftModel.from_pretrained(model, f"{folder}/a", adapter_name="a")
        tuned.load_adapter(f"{folder}/b", adapter_name="b")
        torch.manual_seed(seed)
        tuned.add_weighted_adapter(["a", "b"], [1.0, 1.0], "merged", **setting)
        tensors = get_peft_model_state_dict(tuned, adapter_name="merged")
    made = tuned.peft_config["merged"]
    config = {**parts[0].config, "r": made.r, "lora_alpha": made.lora_alpha}
    return Adapter(carrier="lora", base=parts[0].base, config=config, tensors=tensors)


def rows_of(engine: Engine, seed: int) -> list[dict[str, Any]]:
    facts = new_facts(world(), 2 * FACTS, seed=seed)
    halves = facts[:FACTS], facts[FACTS:]
    parts = [write(engine, half, seed).adapter for half in halves]
    apart = min(right(engine, part, world()[120:], EVERY) for part in parts)
    makers: dict[str, Callable[[], Adapter]] = {
        **{name: partial(merge, parts, **setting) for name, setting in OURS.items()},
        **{name: partial(by_peft, parts, setting, seed) for name, setting in THEIRS.items()},
    }
    rows = []
    for name, make in makers.items():
        began = time.process_time()
        merged = make()
        took = time.process_time() - began
        first, second = (right(engine, merged, half, WRITTEN) for half in halves)
        held = right(engine, merged, facts, HELD)
        kept = right(engine, merged, world()[120:], EVERY)
        rows.append(
            {"case": name, "seed": seed, "rank": merged.config["r"], "first": first,
             "second": second, "held": held, "base": kept, "base_apart": apart,
             "gate": gate((first + second) / 2, held), "merging_cpu_ms": 1e3 * took}
        )  # fmt: skip
    alone = [right(engine, part, half, WRITTEN) for part, half in zip(parts, halves, strict=True)]
    held = min(right(engine, p, half, HELD) for p, half in zip(parts, halves, strict=True))
    before = {"case": "before, each by itself", "seed": seed, "rank": 2, "first": alone[0],
              "second": alone[1], "held": held, "base": apart, "base_apart": apart,
              "gate": gate(min(alone), held), "merging_cpu_ms": 0.0}  # fmt: skip
    return [before, *rows]


def gate(efficacy: float, paraphrase: float) -> str:
    reached = {
        "efficacy": efficacy >= LIMITS.efficacy,
        "paraphrase": paraphrase >= LIMITS.paraphrase,
    }
    failed = [name for name, good in reached.items() if not good]
    return f"fails: {', '.join(failed)}" if failed else "passes"


def worst(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        low = {key: min(r[key] for r in mine) for key in ("first", "second", "held", "base")}
        passed = sum(row["gate"] == "passes" for row in mine)
        found.append(
            {"case": case, "rank": mine[0]["rank"], **low,
             "base_apart": min(row["base_apart"] for row in mine),
             "gate_passed_in_seeds": f"{passed} of {len(mine)}",
             "merging_cpu_ms": max(row["merging_cpu_ms"] for row in mine)}
        )  # fmt: skip
    return found


def result(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    said = " ".join((__doc__ or "").split("\n\n", 2)[2].split())
    return {
        "what": f"{said} The worst of seeds {sorted({row['seed'] for row in seeds})}.",
        "command": "python benchmarks/parametric_merge.py",
        "rows": worst(seeds),
        "seeds": list(seeds),
        "machine": machine_facts(),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    engine, rows = judge(), []
    for seed in range(3):
        for row in rows_of(engine, seed):
            rows.append(row)
            print(
                {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True
            )
    save("parametric_merge.json", result(rows))


if __name__ == "__main__":
    main()
