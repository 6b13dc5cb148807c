"""Is what comes back what was computed? Every family of small models, block size, split, question.

    python benchmarks/kv_exact.py           # a few CPU minutes

For each family, block size, way in which the memory was fed, and length of the question: keys and
values are computed, cut into blocks, written to files, found again by their keys, and put into a
fresh cache. The logits after the question are compared bit by bit with those of the same run that
went on in memory, and by their largest relative error with one full prefill. Then another process
with another PYTHONHASHSEED does it again from the files alone. At last, whatever must not hit is
tried: other salts, other fields of the fingerprint, files with one byte changed.

Writes benchmarks/results/kv_exact.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from measuring import machine_facts, save
from mneme.backends.blobs.folder import FolderBlobs
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.fingerprint import fingerprint_of
from mneme.backends.engines.local.loading import load
from mneme.core.rows import BlockRow
from mneme.memories.activation.kv import cut
from mneme.memories.activation.match import longest_match
from mneme.memories.activation.memory import ActivationMemory, greedy, relative
from mneme.memories.activation.tiers import Tiers
from mneme.testing.tiny_models import FAMILIES, tiny_model

BLOCKS, QUESTIONS, ANSWER = (16, 64, 256), (1, 7, 32), 8
TOKENS = 600  # of memory: full blocks of every size and a shorter last one
CUTS = (1, 15, 64, 300, 599)  # prompts that leave the memory after so many tokens
FLIPS = 40  # bytes changed, one at a time, for each family
SALT = b"exact" * 7


class Rows:
    """Rows of blocks by key and by parent."""

    def __init__(self, rows: list[BlockRow]) -> None:
        self.rows = rows

    def of_keys(self, keys: Any) -> list[BlockRow]:
        wanted = set(keys)
        return [row for row in self.rows if row.key in wanted]

    def children(self, parent: bytes) -> list[BlockRow]:
        return [row for row in self.rows if row.parent == parent]


def tokens_for(seed: str, count: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(8, 256) for _ in range(count)]


def opened(engine: LocalEngine, blobs: FolderBlobs, block: int) -> ActivationMemory:
    tiers = Tiers(
        [blobs], device=engine.device, dtype=engine.model.dtype, host_bytes=0, device_bytes=0
    )
    return ActivationMemory(engine, tiers, block=block)


def splits(block: int) -> Iterator[tuple[int, ...]]:
    """How the memory is fed: at once, or in runs that end at odd places."""
    yield (TOKENS,)
    yield (1, TOKENS - 1)
    yield (TOKENS - 1, 1)
    yield (block, TOKENS - block)
    yield (block + 3, 100, TOKENS - block - 103)


def one_family(family: str, folder: Path) -> list[dict[str, Any]]:
    engine = LocalEngine(*load(tiny_model(family, folder / "model")))
    return [
        case(engine, folder, family, block, number, split)
        for block in BLOCKS
        for number, split in enumerate(splits(block))
    ]


def case(
    engine: LocalEngine, folder: Path, family: str, block: int, number: int, split: tuple[int, ...]
) -> dict[str, Any]:
    memory = tokens_for(f"{family} {block} {split}", TOKENS)
    place = folder / f"{block}-{number}"
    kept = opened(engine, FolderBlobs(place / "blobs"), block)
    built = engine.session(record=True)
    start = 0
    for size in split:
        built.feed(memory[start : start + size])
        start += size
    kv = cut(built.recorded(), 0, TOKENS)
    made = kept.blocks(SALT, memory, kv, form="raw", cost_s=0.0, known={})
    kept.tiers.keep(made.files, made.rows)
    rows = Rows(made.rows)
    asked = [
        (left, tokens_for(f"{family} {left} {length}", length))
        for left in (TOKENS, *CUTS)
        for length in QUESTIONS
    ]
    found = [question(engine, kept, rows, memory[:left], words, kv) for left, words in asked]
    same_session = [continued(engine, kept, rows, memory, split, n) for n in QUESTIONS]
    if number == 0:
        leave_for_another_process(engine, place, block, memory, made.rows)
    return {
        "family": family,
        "block": block,
        "split": list(split),
        "prompts": len(found) + len(same_session),
        "bit_equal": sum(one["bit_equal"] for one in found) + sum(same_session),
        "all_hit": sum(one["hits"] >= one["of"] for one in found) + sum(same_session),
        "against_full": len(found),
        "same_greedy": sum(one["same_greedy"] for one in found),
        "worst_error": max(one["error"] for one in found),
    }


def question(
    engine: LocalEngine,
    kept: ActivationMemory,
    rows: Rows,
    memory: list[int],
    words: list[int],
    kv: Any,
) -> dict[str, Any]:
    """From files, against the same numbers in memory, and against one full prefill."""
    prompt = [*memory, *words]
    opening = kept.open(kept.match(rows, SALT, prompt))
    rest = prompt[opening.tokens :]
    logits = opening.session.feed(rest)
    going_on = engine.session(cut(kv, 0, opening.tokens)).feed(rest)
    whole = engine.session()
    full = whole.feed(prompt)
    error = relative(logits, full)
    ours = greedy(engine, opening.session, logits, ANSWER, lambda _: None)
    theirs = greedy(engine, whole, full, ANSWER, lambda _: None)
    return {
        "bit_equal": torch.equal(logits, going_on),
        "hits": opening.tokens,  # more where the question happens to go on as the memory does
        "of": len(memory),
        "error": error,
        "same_greedy": ours == theirs,
    }


def continued(
    engine: LocalEngine,
    kept: ActivationMemory,
    rows: Rows,
    memory: list[int],
    split: tuple[int, ...],
    length: int,
) -> bool:
    """From files, against the very session that computed the memory and goes on."""
    words = tokens_for(f"on {length}", length)
    session = engine.session()
    start = 0
    for size in split:
        session.feed(memory[start : start + size])
        start += size
    opening = kept.open(kept.match(rows, SALT, [*memory, *words]))
    if opening.tokens != len(memory):
        return False
    return torch.equal(opening.session.feed(words), session.feed(words))


def leave_for_another_process(
    engine: LocalEngine, place: Path, block: int, memory: list[int], rows: list[BlockRow]
) -> None:
    built = {str(length): tokens_for(f"again {length}", length) for length in QUESTIONS}
    logits = {}
    for name, words in built.items():
        session = engine.session()
        session.feed(memory)
        logits[name] = session.feed(words)
    save_file(logits, place / "logits.safetensors")
    said = {
        "block": block,
        "memory": memory,
        "questions": built,
        "rows": [[each.hex() if isinstance(each, bytes) else each for each in row] for row in rows],
    }
    (place / "said.json").write_text(json.dumps(said))


def in_another_process(folder: Path, seed: str) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--child", str(folder)]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(folder: Path) -> None:
    """All that was left below a folder, from its files alone."""
    found = []
    engine = LocalEngine(*load(folder / "model"))
    for place in sorted(path.parent for path in folder.glob("*/said.json")):
        said = json.loads((place / "said.json").read_text())
        logits = load_file(place / "logits.safetensors")
        rows = Rows([row_of(row) for row in said["rows"]])
        kept = opened(engine, FolderBlobs(place / "blobs"), said["block"])
        for name, words in said["questions"].items():
            opening = kept.open(kept.match(rows, SALT, [*said["memory"], *words]))
            ours = opening.session.feed(words) if opening.tokens == TOKENS else logits[name] + 1
            equal = torch.equal(ours, logits[name])
            found.append({"hits": opening.tokens, "bit_equal": equal, "block": said["block"]})
    print(json.dumps(found))


def row_of(said: list[Any]) -> BlockRow:
    blobs = {"key", "parent", "content", "tokens", "checksum"}
    named = zip(BlockRow._fields, said, strict=True)
    return BlockRow(*(bytes.fromhex(at) if name in blobs else at for name, at in named))


def must_not_hit(folder: Path, family: str) -> dict[str, Any]:
    """Other salts, other fingerprints, damaged files."""
    engine = LocalEngine(*load(folder / "model"))
    place = folder / "64-0"
    said = json.loads((place / "said.json").read_text())
    rows, memory = Rows([row_of(row) for row in said["rows"]]), said["memory"]
    prompt = [*memory, *said["questions"]["32"]]
    salts = [bytes(b ^ (n == i) for n, b in enumerate(SALT)) for i in range(len(SALT))]
    found = [longest_match(rows, engine.fingerprint, salt, prompt).tokens for salt in salts]
    fields = {}
    for name, value in engine.fields.items():
        other = fingerprint_of({**engine.fields, name: f"{value}x"})
        fields[name] = longest_match(rows, other, SALT, prompt).tokens
    return {
        "family": family,
        "salts": len(salts),
        "hits_of_other_salts": sum(found),
        "fields": sorted(fields),
        "hits_of_other_fields": sum(fields.values()),
        **damage(engine, place, rows, prompt, family),
    }


def damage(
    engine: LocalEngine, place: Path, rows: Rows, prompt: list[int], family: str
) -> dict[str, Any]:
    rng = random.Random(family)
    kept = opened(engine, FolderBlobs(place / "blobs"), 64)
    files = sorted(path for path in (place / "blobs").glob("??/*") if path.is_file())
    right = int(engine.session().feed(prompt).argmax())
    detected = answered = 0
    for _ in range(FLIPS):
        path = rng.choice(files)
        whole = path.read_bytes()
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        opening = kept.open(kept.match(rows, SALT, prompt))
        detected += any(row.name == path.name for row in opening.lost)
        answered += int(opening.session.feed(prompt[opening.tokens :]).argmax()) == right
        path.write_bytes(whole)
    return {"flips": FLIPS, "detected": detected, "right_answers": answered}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.child:
        child(asked.child)
        return
    cases, again, refused = [], [], []
    for family in FAMILIES:
        with tempfile.TemporaryDirectory(prefix="mneme-exact-") as folder:
            cases += one_family(family, Path(folder))
            seed = str(1 + len(refused))
            later = in_another_process(Path(folder), seed)
            again += [{"family": family, "hash_seed": seed, **one} for one in later]
            refused.append(must_not_hit(Path(folder), family))
        print(line(family, cases, again, refused[-1]), flush=True)
    found = {"machine": machine_facts(), "tokens": TOKENS, "questions": list(QUESTIONS)}
    save("kv_exact.json", found | {"cases": cases, "again": again, "refused": refused})


def line(
    family: str, cases: list[dict[str, Any]], again: list[dict[str, Any]], refused: dict[str, Any]
) -> str:
    own = [one for one in cases if one["family"] == family]
    prompts = sum(one["prompts"] for one in own)
    later = [one for one in again if one["family"] == family]
    return (
        f"{family:16} prompts {prompts}: bit-equal {sum(one['bit_equal'] for one in own)}, "
        f"all hit {sum(one['all_hit'] for one in own)}, "
        f"same greedy {sum(one['same_greedy'] for one in own)} of "
        f"{sum(one['against_full'] for one in own)}, "
        f"worst error {max(one['worst_error'] for one in own):.1e}; "
        f"another process {sum(one['bit_equal'] for one in later)} of {len(later)}; "
        f"wrong hits {refused['hits_of_other_salts'] + refused['hits_of_other_fields']}, "
        f"damage found {refused['detected']} of {refused['flips']}, "
        f"answers right {refused['right_answers']}"
    )


if __name__ == "__main__":
    main()
