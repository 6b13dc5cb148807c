"""Speed of each embedder beside the static one, in one run on one thread.

    python benchmarks/embedders.py
    python benchmarks/embedders.py --minilm FOLDER --sentence-transformers FOLDER --locomo FILE

`--minilm` wants the folder that tools/export_minilm_onnx.py makes; with the `fastembed` package
installed it is used for that too. `--locomo` adds the share of evidence turns among the ten
nearest turns ("r@10", vectors alone, speaker in the text, mean over questions).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import statistics
import time
from pathlib import Path

import numpy as np

from mneme.backends.embedders.checked import CheckedEmbedder
from mneme.backends.embedders.fastembed import FastembedEmbedder
from mneme.backends.embedders.minilm import OnnxEmbedder
from mneme.backends.embedders.sentence_transformers import SentenceTransformersEmbedder
from mneme.backends.embedders.static import StaticEmbedder

WORDS = [
    "I",
    "we",
    "you",
    "they",
    "the",
    "a",
    "my",
    "our",
    "had",
    "went",
    "saw",
    "bought",
    "lost",
    "found",
    "talked",
    "planned",
    "about",
    "with",
    "before",
    "after",
    "yesterday",
    "tomorrow",
    "house",
    "garden",
    "train",
    "dinner",
    "meeting",
    "doctor",
    "sister",
    "friend",
    "guitar",
    "mountain",
    "letter",
    "cheap",
    "late",
    "happy",
    "tired",
    "wonderful",
    "and",
    "but",
    "because",
    "so",
    "really",
    "never",
    "again",
    ".",
]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", type=Path)
    parser.add_argument("--sentence-transformers", type=Path)
    parser.add_argument("--locomo", type=Path)
    parser.add_argument("--texts", type=int, default=300, help="for the slow ones; static: x 20")
    options = parser.parse_args()
    rows = [measure(name, make, options) for name, make in candidates(options)]
    print_table(rows)


def candidates(options):
    yield "static", StaticEmbedder
    folder = options.minilm
    if folder:
        yield "minilm-int8", lambda: OnnxEmbedder(folder, int8=True, threads=1)
        yield "minilm", lambda: OnnxEmbedder(folder, threads=1)
    if folder and importlib.util.find_spec("fastembed"):
        yield "fastembed", lambda: FastembedEmbedder(MINILM, folder=folder, threads=1)
    if options.sentence_transformers:
        import torch

        torch.set_num_threads(1)
        yield (
            "sentence-transformers",
            lambda: SentenceTransformersEmbedder(options.sentence_transformers),
        )


def measure(name, make, options) -> dict[str, float | str]:
    started = time.perf_counter()
    embedder = CheckedEmbedder(make())
    load_s = time.perf_counter() - started
    texts = turns(options.texts * (20 if name == "static" else 1))
    embedder.embed(texts[:50])
    singles = [timed(embedder, [text]) for text in texts[:200]]
    batch_s = min(timed(embedder, texts) for _ in range(3))
    found = {
        "embedder": name,
        "load_s": load_s,
        "single_ms": statistics.median(singles) * 1e3,
        "texts_per_s": len(texts) / batch_s,
    }
    if options.locomo:
        found["r@10"] = locomo_recall(embedder, json.loads(options.locomo.read_text("utf-8")))
    return found


def turns(count: int) -> list[str]:
    """Turns of 5 to 60 words, 30 in the mean; a fixed seed."""
    rng = random.Random(7)
    return [" ".join(rng.choices(WORDS, k=rng.randint(5, 55))) for _ in range(count)]


def timed(embedder, texts: list[str]) -> float:
    started = time.perf_counter()
    embedder.embed(texts)
    return time.perf_counter() - started


def locomo_recall(embedder, conversations) -> float:
    shares = []
    for entry in conversations:
        talk = entry["conversation"]
        said = [t for key in talk if re.fullmatch(r"session_\d+", key) for t in talk[key]]
        ids = [turn["dia_id"] for turn in said]
        asked = [
            (qa["question"], {e for e in qa.get("evidence", []) if e in ids})
            for qa in entry["qa"]
            if qa["category"] != 5
        ]
        asked = [(question, evidence) for question, evidence in asked if evidence]
        vectors = embedder.embed([f"{turn['speaker']}: {turn['text']}" for turn in said])
        questions = embedder.embed([question for question, _ in asked], query=True)
        nearest = np.argsort(-(questions @ vectors.T), axis=1, kind="stable")[:, :10]
        for (_, evidence), best in zip(asked, nearest, strict=True):
            shares.append(len(evidence & {ids[index] for index in best}) / len(evidence))
    return 100 * statistics.mean(shares)


def print_table(rows) -> None:
    columns = list(rows[0])
    print("| " + " | ".join([*columns, "static is faster, batch"]) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for row in rows:
        cells = [f"{row[c]:.3g}" if isinstance(row[c], float) else row[c] for c in columns]
        ratio = rows[0]["texts_per_s"] / row["texts_per_s"]
        print("| " + " | ".join([*cells, f"{ratio:.3g} x"]) + " |")


if __name__ == "__main__":
    main()
