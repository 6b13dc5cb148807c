"""Bytes that optimizers keep, by size of model: for low-rank matrices, and for all weights.

    python benchmarks/parametric_optimizers.py

Counted (`state_bytes`, exact: the tests hold it against the tensors that optimizers keep) for the
shapes of published configurations, built without weights: those of parametric_shapes.py and
Llama-3.1-70B (config.json of meta-llama/Llama-3.1-70B: 80 layers, width 8192, feed-forward 28672,
64 heads, 8 of keys and values, 128256 words, nothing tied). Low-rank matrices are those that the
writer "lora" makes by default. Weights and gradients in float32 are 4 bytes a weight each, on top.

Measured: what is in the state after three steps on the judge, and the peak of memory over three
steps on all matrices of one block of Qwen2.5-0.5B, beyond the weights: gradients, state and
whatever a step takes meanwhile, each in a process of its own.

Writes benchmarks/results/parametric_optimizers.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from math import prod
from typing import Any

import torch

from measuring import machine_facts, peak_rss_mb, reset_peak, rss_mb, save
from mneme.memories.parametric.lora import targets
from mneme.memories.parametric.optimizers import NAMES, build_optimizer, state_bytes
from mneme.memories.parametric.writers.lora import LoraWriter, started
from parametric_shapes import SHAPES
from parametric_world import judge

Shape = tuple[int, ...]
_70B = {
    "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
    "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256,
    "tie_word_embeddings": False,
}  # fmt: skip
SIZES = {
    "0.5B": SHAPES["0.5b"],
    "1.5B": SHAPES["1.5b"],
    "7B": SHAPES["7b"],
    "70B": ("meta-llama/Llama-3.1-70B", "llama", _70B),
}
RANKS = (2, 8, 16)


def main() -> int:
    if len(sys.argv) > 1:
        print(json.dumps(peak(sys.argv[1])))
        return 0
    rows = [row for name in SIZES for row in counted(name)]
    for row in rows:
        print(row)
    there = [name for name in NAMES if name != "apollo" or find_spec("apollo_torch")]
    measured = [on_judge(name) | in_process(name) for name in there]
    for row in measured:
        print(row)
    save(
        "parametric_optimizers.json",
        {
            "what": "Bytes of an optimizer's state for float32 weights, by size of model.",
            "command": "python benchmarks/parametric_optimizers.py",
            "rows": rows,
            "measured": measured,
            "machine": machine_facts(),
        },
    )
    return 0


def counted(size: str) -> list[dict[str, Any]]:
    source, kind, fields = SIZES[size]
    model = without_weights(kind, fields)
    every = [tuple(each.shape) for each in model.parameters()]
    trained = {"all weights": every} | {f"rank {rank}": matrices(model, rank) for rank in RANKS}
    return [
        {
            "model": size, "shapes_of": source, "trained": what,
            "weights": sum(map(prod, shapes)),
            **{f"{name}_bytes": state_bytes(name, shapes) for name in NAMES},
        }
        for what, shapes in trained.items()
    ]  # fmt: skip


def without_weights(kind: str, fields: dict[str, Any]) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **fields))


def matrices(model: Any, rank: int) -> list[Shape]:
    layers = LoraWriter().layers_of(model).values()
    return [shape for each in layers for shape in ((rank, each.inputs), (each.outputs, rank))]


def on_judge(name: str) -> dict[str, Any]:
    """Bytes of the state, counted and kept, for rank 2 and for all matrices of the blocks."""
    engine = judge()
    parts = started(engine, LoraWriter().layers_of(engine.model), 2, 2.0, 0)
    low = [each for part in parts.values() for each in part[:2]]
    whole = [torch.zeros(each.outputs, each.inputs) for each in targets(engine.model).values()]
    found: dict[str, Any] = {"optimizer": name}
    for what, weights in (("rank_2", low), ("matrices", whole)):
        optimizer, _ = stepped(name, weights)
        found[f"judge_{what}_counted_bytes"] = state_bytes(name, [each.shape for each in weights])
        found[f"judge_{what}_kept_bytes"] = kept_bytes(optimizer)
    return found


def stepped(name: str, weights: list[torch.Tensor]) -> tuple[torch.optim.Optimizer, float]:
    """Three steps; the optimizer, and the peak of memory in MB over what was there before."""
    for each in weights:
        each.requires_grad_()
    optimizer = build_optimizer(name, weights, rate=1e-3)
    before = rss_mb()
    reset_peak()
    for _ in range(3):
        loss = torch.stack([each.sum() for each in weights]).sum()  # no memory but the gradients
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer, peak_rss_mb() - before


def kept_bytes(optimizer: torch.optim.Optimizer) -> int:
    states = optimizer.state.values()
    return sum(
        each.nbytes for state in states for each in state.values() if hasattr(each, "nbytes")
    )


def in_process(name: str) -> dict[str, Any]:
    asked = [sys.executable, __file__, name]
    return json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def peak(name: str) -> dict[str, Any]:
    """Of one block of Qwen2.5-0.5B: its matrices in float32."""
    torch.set_num_threads(1)
    _, kind, fields = SHAPES["0.5b"]
    shapes = targets(without_weights(kind, fields | {"num_hidden_layers": 1})).values()
    stepped(name, [torch.zeros(300, 300)])  # what is loaded at the first step
    weights = [torch.randn(each.outputs, each.inputs) for each in shapes]
    _, most = stepped(name, weights)
    mb = sum(each.nbytes for each in weights) / 1e6
    counted = state_bytes(name, [each.shape for each in weights]) / 1e6
    return {"block_weights_mb": mb, "block_state_mb": counted, "block_peak_beyond_weights_mb": most}


if __name__ == "__main__":
    raise SystemExit(main())
