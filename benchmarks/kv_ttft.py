"""Time to the first token with a full prefill, from host memory and from disk.

    python benchmarks/kv_ttft.py            # some minutes, one thread

A model in the shape of Qwen2-0.5B with 4 of its 24 layers and random weights: what it says is
nonsense, what it costs is not. The saving hardly depends on the number of layers, because prefill
and injection both grow with it. The vocabulary is cut to 8,192 words: what a model does with it
after its layers costs the same with memory and without, and 4 layers would be charged with what
24 share. The figures with all 151,936 words stand beside.

Writes benchmarks/results/kv_ttft.json and docs/images/kv-ttft.svg (which needs matplotlib).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from measuring import REPO, machine_facts, save
from measuring import load as read
from mneme.backends.blobs.folder import FolderBlobs
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.loading import load
from mneme.memories.activation.ttft import (
    BUILD,
    DISK,
    HOST,
    PREFILL,
    SIZES,
    STORE,
    Row,
    Seconds,
    measure_ttft,
)
from mneme.testing.tiny_models import tiny_model

PICTURE = REPO / "docs" / "images" / "kv-ttft.svg"
GOALS = {(512, 32): 0.88, (2048, 32): 0.95, (4096, 32): 0.97, (2048, 256): 0.85}
SHAPE: dict[str, Any] = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 4,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 32768,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
}
ALL_WORDS = 151_936  # of Qwen2
FEW_WORDS = 8_192


def figures(row: Row) -> dict[str, Any]:
    what = (PREFILL, HOST, DISK, BUILD, STORE)
    goal = GOALS.get((row.memory_tokens, row.question_tokens))
    return {
        "memory_tokens": row.memory_tokens,
        "question_tokens": row.question_tokens,
        "stored_bytes": row.stored_bytes,
        "same_tokens": row.same_tokens,
        "goal": goal,
        "repeats": len(row.seconds[PREFILL]),
        "seconds": {name: clocks(row.median(name)) for name in what},
        "spread": {name: spread(row.seconds[name]) for name in what},
        "saved": clocks(row.saved(HOST)),
        "saved_from_disk": clocks(row.saved(DISK)),
        "disk_over_host": clocks(row.disk_over_host()),
        "storing": clocks(row.storing()),
        "break_even_uses": row.break_even()[0],
    }


def clocks(seconds: Seconds) -> dict[str, float]:
    return {"cpu": seconds.cpu, "wall": seconds.wall}


def spread(each: list[Seconds]) -> dict[str, float]:
    return {"min": min(s.cpu for s in each), "max": max(s.cpu for s in each)}


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["memory  question  prefill    host    disk  saved  goal   disk  storing  break-even"]
    for row in rows:
        cpu = {name: each["cpu"] for name, each in row["seconds"].items()}
        goal = f"{row['goal']:.0%}" if row["goal"] else ""
        lines.append(
            f"{row['memory_tokens']:>6}  {row['question_tokens']:>8}  {cpu[PREFILL]:>6.3f}s "
            f"{cpu[HOST]:>6.3f}s {cpu[DISK]:>6.3f}s {row['saved']['cpu']:>6.1%} {goal:>5} "
            f"{row['disk_over_host']['cpu']:>+6.1%} {row['storing']['cpu']:>7.1%} "
            f"{row['break_even_uses']:>8.2f} uses"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mneme"
    import matplotlib.pyplot as plt

    short = sorted(
        (row for row in rows if row["question_tokens"] == 32), key=lambda r: r["memory_tokens"]
    )
    figure, axes = plt.subplots(figsize=(7, 4))
    styles = {PREFILL: ("full prefill", "#b03a2e", "o"), DISK: ("from disk", "#1f618d", "s")}
    styles[HOST] = ("from host memory", "#1e8449", "^")
    for name, (label, colour, mark) in styles.items():
        line = [row["seconds"][name]["cpu"] for row in short]
        lengths = [row["memory_tokens"] for row in short]
        axes.plot(lengths, line, label=label, color=colour, marker=mark, linewidth=1.5)
    for row in short:
        axes.annotate(
            f"-{row['saved']['cpu']:.1%}",
            (row["memory_tokens"], row["seconds"][HOST]["cpu"]),
            xytext=(0, -16), textcoords="offset points", ha="center", fontsize=8,
        )  # fmt: skip
    axes.set(
        xlabel="tokens of memory (question: 32 tokens)", ylabel="CPU seconds to the first token",
        xscale="log", yscale="log",
    )  # fmt: skip
    axes.set_ylim(bottom=min(row["seconds"][HOST]["cpu"] for row in short) / 2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    axes.set_xticks([row["memory_tokens"] for row in short])
    axes.set_xticklabels([str(row["memory_tokens"]) for row in short])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Time to the first token, shape of Qwen2-0.5B with 4 layers, one thread")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


def measured(words: int, sizes: Sequence[tuple[int, int]], repeats: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="mneme-ttft-") as folder:
        tiny_model("qwen2", Path(folder, "model"), vocab_size=words, **SHAPE)
        engine = LocalEngine(*load(Path(folder, "model")))
        blobs = FolderBlobs(Path(folder, "blobs"))
        rows = measure_ttft(engine, blobs, sizes=sizes, repeats=repeats)
    found = [figures(row) for row in rows]
    print(f"\n{words} words in the vocabulary\n{table(found)}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="512 tokens alone, nothing written")
    parser.add_argument("--draw", action="store_true", help="only the picture, out of the result")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.draw:
        draw(read("kv_ttft.json")["rows"])
        return
    if asked.quick:
        measured(FEW_WORDS, SIZES[:1], asked.repeats)
        return
    rows = measured(FEW_WORDS, ((256, 32), (1024, 32), *SIZES), asked.repeats)
    model = SHAPE | {"vocab_size": FEW_WORDS, "dtype": "float32", "threads": 1}
    whole = measured(ALL_WORDS, SIZES, max(3, asked.repeats // 2))
    found = {"machine": machine_facts(), "model": model, "rows": rows, "whole_vocabulary": whole}
    save("kv_ttft.json", found)
    draw(rows)


if __name__ == "__main__":
    main()
