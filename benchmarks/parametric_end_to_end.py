"""Facts in weights from end to end: written, asked for, mixed, rolled back, taken back.

    python benchmarks/parametric_end_to_end.py            # three seeds, some minutes
    python benchmarks/parametric_end_to_end.py --seeds 1  # one

Everything is added, promoted, asked and erased as a user does it. Only what no verb shows (logits,
slots, planted mistakes) looks below. The judge is a model of 352k parameters that knows 240 facts
in six wordings (tests/judges): it judges mechanisms, not products. Facts are written with four
wordings and asked for in the two others, too. Erasing is in parametric_erasing.py.
Writes benchmarks/results/parametric_end_to_end.json.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import mneme
from measuring import load, machine_facts, save
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.memories.parametric.batch import last_logits
from mneme.memories.parametric.bundle import pack
from mneme.testing.fact_world import HELD, WRITTEN, WorldFact, contradicting, prompt_of
from parametric_erasing import at_once, erased, planted
from parametric_world import (
    JUDGE,
    ask,
    asked,
    base_answers,
    base_logits,
    by_weights,
    exported,
    fresh,
    judge,
    opened,
    told,
    weights_of,
    world,
)  # fmt: skip

FACTS = 50
PAIRED = 25  # facts of each of two owners


def written(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """50 facts: what is answered, in written and in held wordings; what the base knew before."""
    known = world()
    before, said = base_logits(engine, known), base_answers(engine, known)
    with opened(folder) as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        facts = fresh(FACTS, seed)
        told(alice, facts)
        cpu = time.process_time()
        made = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        cpu = time.process_time() - cpu
        new, held = asked(alice, engine, facts, WRITTEN), asked(alice, engine, facts, HELD)
        old = asked(alice, engine, known)
        size = sum(len(exported(alice, s.id)["adapter_model.safetensors"]) for s in made)
        whole = sum(fp32_bytes(memory, engine, s.id) for s in made)
    after = base_logits(engine, known)
    return {
        "seed": seed,
        "shards": len(made),
        "efficacy": new.right,
        "paraphrase": held.right,
        "by_weights": min(new.weights, held.weights),
        "base_right_before": sum(
            a == f.object for a, f in zip(said, [f for f in known for _ in range(6)], strict=True)
        ) / len(said),
        "base_right_after": old.right,
        "base_asked": len(old.texts),
        "base_by_weights": old.weights,
        "base_answers_changed": sum(a != b for a, b in zip(old.texts, said, strict=True)),
        "base_logit_difference": float((after - before).abs().max()),
        "cpu_s_for_each_fact": cpu / FACTS,
        "bf16_bytes_for_each_fact": size / FACTS,
        "fp32_bytes_for_each_fact": whole / FACTS,
    }  # fmt: skip


def fp32_bytes(memory: MemoryOS, engine: Engine, cube_id: str) -> int:
    """Of the file of weights, had it been kept in float32."""
    held = memory._shared.models.weights(engine).unpacked("alice", cube_id)
    return len(pack(held.adapter, held.ledger, {}, {}, "fp32").files["adapter_model.safetensors"])


def owners(folder: Path, engine: Engine, seed: int, *, leak: bool = False) -> dict[str, Any]:
    """Two owners who say otherwise of the same slots, asked in one shuffled batch and by chat.

    Args:
        folder: Of the store.
        engine: The judge.
        seed: Of facts and shuffling.
        leak: Plant a router that looks into the other owner's shards first.
    """
    facts = fresh(PAIRED, seed)
    said = {"alice": facts, "bob": contradicting(facts, seed=seed + 1)}
    with opened(folder) as memory:
        memory.attach(engine)
        for name, each in said.items():
            told(memory.namespace(name), each)
            memory.namespace(name).promote(filters={"type": "fact"}, to="parametric", engine=engine)
        with leaking(memory, engine) if leak else _nothing():
            return {"seed": seed, **_by_chat(memory, engine, said, seed), **_in_one_batch(
                memory, engine, said, seed
            )}  # fmt: skip


def _by_chat(
    memory: MemoryOS, engine: Engine, said: dict[str, list[WorldFact]], seed: int
) -> dict[str, float]:
    tasks = [
        (name, fact, other, wording)
        for name, others in (("alice", "bob"), ("bob", "alice"))
        for fact, other in zip(said[name], said[others], strict=True)
        for wording in range(6)
    ]
    random.Random(seed).shuffle(tasks)
    own = others = weights = 0
    for name, fact, other, wording in tasks:
        (prompt,) = fact.prompts([wording])
        reply = ask(memory.namespace(name), engine, prompt)
        own += reply.text == fact.object
        others += reply.text == other.object
        weights += by_weights(reply)
    count = len(tasks)
    return {"own": own / count, "others": others / count, "by_weights": weights / count}


def _in_one_batch(
    memory: MemoryOS, engine: Engine, said: dict[str, list[WorldFact]], seed: int
) -> dict[str, float]:
    """Both owners and the bare base in one forward pass, in any order, against each alone."""
    weights = memory._shared.models.weights(engine)
    rows: list[tuple[str | None, tuple[int, ...], str, str]] = []
    for name, others in (("alice", "bob"), ("bob", "alice")):
        for fact, other in zip(said[name], said[others], strict=True):
            (prompt,) = fact.prompts([3])
            found = weights.routed(name, prompt)
            digest = found[0].shard.digest if found else None
            if found:
                weights.session(name, found[0].shard)  # so that its files can be found
            rows.append((digest, prompt_of(engine, prompt), fact.object, other.object))
    for fact in world()[:PAIRED]:
        (prompt,) = fact.prompts([3])
        rows.append((None, prompt_of(engine, prompt), fact.object, ""))
    random.Random(seed).shuffle(rows)
    with torch.no_grad():
        with weights.shelf.using([row[0] for row in rows]):
            mixed = last_logits(engine, [row[1] for row in rows])
        alone = []
        for digest, prompt, _, _ in rows:
            with weights.shelf.using([digest]):
                alone.append(last_logits(engine, [prompt])[0])
    words = [engine.decode([int(token)]).strip() for token in mixed.argmax(-1)]
    count = len(rows)
    return {
        "batch_rows": count,
        "batch_own": sum(w == row[2] for w, row in zip(words, rows, strict=True)) / count,
        "batch_others": sum(w == row[3] for w, row in zip(words, rows, strict=True)) / count,
        "batch_logits_against_alone": float((mixed - torch.stack(alone)).abs().max()),
    }


@contextmanager
def _nothing():
    yield


@contextmanager
def leaking(memory: MemoryOS, engine: Engine):
    """Plant a mistake: whoever asks is answered from the other owner's shards."""
    weights = memory._shared.models.weights(engine)
    true = weights.routed
    other = {"alice": "bob", "bob": "alice"}
    weights.routed = lambda path, question: true(other.get(path, path), question)
    session = weights.session
    weights.session = lambda path, shard: session(other.get(path, path), shard)
    try:
        yield
    finally:
        weights.routed, weights.session = true, session


def life(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """Rollback, another base, a damaged file."""
    first, more = fresh(20, seed)[:10], fresh(20, seed)[10:]
    with opened(folder) as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        told(alice, first)
        (shard,) = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        old = exported(alice, shard.id)
        answers = asked(alice, engine, first).texts
        told(alice, more)
        (later,) = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        new = exported(alice, later.id)
        filled = later.id == shard.id and later.version > shard.version
        back = alice.rollback(shard.id, to_version=shard.version)
        again = exported(alice, back.id)
        same_answers = asked(alice, engine, first).texts == answers
        not_later = asked(alice, engine, more).weights
        wrong_base = _another_base(memory, shard.id)
    flipped = _damaged(folder)
    with opened(folder) as memory:
        memory.attach(engine)
        hurt = asked(memory.namespace("alice"), engine, first)
        plain = memory.namespace("alice").chat(
            first[0].prompts([3])[0],
            engine=engine,
            remember=False,
            budget_tokens=40,
            max_new_tokens=3,
        )
    return {
        "seed": seed,
        "filled_the_shard": filled,
        "versions_differ": weights_of(old) != weights_of(new),
        "rollback_same_files": weights_of(again) == weights_of(old),
        "rollback_same_answers": same_answers,
        "rolled_back_facts_by_weights": not_later,
        "wrong_base": wrong_base,
        "files_damaged": flipped,
        "damaged_answered_by_weights": hurt.weights,
        "damaged_answered_with_text": [item.carrier for item in plain.plan],
    }


def _another_base(memory: MemoryOS, shard: str) -> dict[str, Any]:
    """A model that the shard does not belong to."""
    other = mneme.engine(JUDGE.parent / "recall")
    memory.attach(other)
    alice = memory.namespace("alice")
    try:
        alice.externalise(shard, engine=other)
        refused = ""
    except mneme.MnemeError as error:
        refused = f"{type(error).__name__}: {error.message}"
    reply = alice.chat("? k01", engine=other, remember=False, budget_tokens=1, max_new_tokens=2)
    return {"refused": refused, "answered_by_weights": by_weights(reply)}


def _damaged(folder: Path) -> int:
    """Change one byte in the weights of every version."""
    count = 0
    for path in sorted((folder / "store").rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        if b"lora_A" in data[:65536] and b'"__metadata__"' in data[:65536]:
            at = len(data) - 100
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            count += 1
    return count


PARTS: dict[str, Callable[[Path, Engine, int], dict[str, Any]]] = {
    "written": written,
    "owners": owners,
    "planted_leak": lambda folder, engine, seed: owners(folder, engine, seed, leak=True),
    "life": life,
    "erased": erased,
    "at_once": at_once,
    "planted": planted,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS, help="measure one part anew")
    wanted = parser.parse_args(argv)
    engine = judge()
    said = {
        "what": "Facts are added, promoted, asked with chat, erased; a model of 352k parameters",
        "command": "python benchmarks/parametric_end_to_end.py",
        "machine": machine_facts(),
    }
    for name, part in PARTS.items():
        if wanted.only in (None, name):
            rows = []
            for seed in range(wanted.seeds):
                with tempfile.TemporaryDirectory(prefix="mneme-") as folder:
                    rows.append(part(Path(folder), engine, seed))
                print(name, rows[-1], flush=True)
            found = load("parametric_end_to_end.json") | said | {name: rows}
            print("wrote", save("parametric_end_to_end.json", found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
