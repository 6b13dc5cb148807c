"""200 facts in shards, 20 of them erased: what is left of them, where, and for how long.

Run by parametric_end_to_end.py.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

import mneme
from measuring import load_average
from mneme import MemCube, Namespace
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.lora import LoraCarrier, factors, targets
from mneme.memories.parametric.writers import lora as writer
from mneme.testing.fact_world import WorldFact, prompt_of
from parametric_world import (
    ask,
    asked,
    base_logits,
    by_weights,
    exported,
    fresh,
    opened,
    shards_of,
    told,
    weights_of,
    world,
)  # fmt: skip

FACTS, ERASED = 200, 20
SMALL = 5  # facts of a shard where only the time counts
PIECE = 48  # bytes of a tensor that are looked for
MANY = 8  # pieces of each tensor


class Old(NamedTuple):
    """A shard before the erasure.

    digest: Of its version.
    ids: Of its facts.
    pieces: Of its tensors' bytes.
    adapter: As it was served.
    """

    digest: str
    ids: tuple[str, ...]
    pieces: list[bytes]
    adapter: Adapter


def erased(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """The whole of it, for one seed."""
    base = base_logits(engine, world())
    facts = fresh(FACTS, seed)
    with opened(folder / "told") as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        ids = told(alice, facts)
        alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        before = [old_of(memory, engine, cube) for cube in shards_of(alice)]
        knew = asked(alice, engine, facts, [3])
        gone = random.Random(seed).sample(list(ids), ERASED)
        times = [one_by_one(memory, engine, each, ids) for each in first_of(before, gone)]
        rest = [each for each in gone if each not in {one["id"] for one in times}]
        alice.erase(rest)
        cpu = time.process_time()
        memory.drain()
        cpu = time.process_time() - cpu
        lost = [ids[each] for each in gone]
        kept = [fact for each, fact in ids.items() if each not in gone]
        forgotten, others = asked(alice, engine, lost), asked(alice, engine, kept, [3, 5])
        known = asked(alice, engine, world(), [4])
        left = left_of(memory, engine, before)
        files = left_in_files(folder / "told" / "store", before)
        groups = [[ids[each] for each in sources(cube)] for cube in shards_of(alice)]
        compared = never_told(folder / "never", memory, engine, groups, lost)
        ok = memory.verify().ok
    return {
        "seed": seed,
        "facts": FACTS,
        "erased": ERASED,
        "shards": len(before),
        "known_before": knew.right,
        "forgotten_right": forgotten.right,
        "forgotten_by_weights": forgotten.weights,
        "others_right": others.right,
        "others_by_weights": others.weights,
        "base_right": known.right,
        "base_by_weights": known.weights,
        "base_logit_difference": float((base_logits(engine, world()) - base).abs().max()),
        "forgotten_right_where_never_told": compared["lost_right"],
        "answers_as_where_never_told": compared["lost_texts"] == forgotten.texts,
        "shards_with_same_bits": compared["same_bits"],
        "shards_compared": compared["shards"],
        "logits_against_never_told": compared["difference"],
        "left": {**left, **files},
        "verified": ok,
        "no_longer_answered_ms": [one["gone_ms"] for one in times],
        "erase_took_ms": [one["erase_ms"] for one in times],
        "asked_meanwhile": [one["asked"] for one in times],
        "answered_by_weights_before": [one["by_weights"] for one in times],
        "retrained_cpu_s": [one["cpu_s"] for one in times],
        "rest_retrained_cpu_s": cpu,
    }


def old_of(memory: MemoryOS, engine: Engine, cube: MemCube) -> Old:
    weights = memory._shared.models.weights(engine)
    (shard,) = [each for each in weights.shards("alice") if each.row.id == cube.id]
    unpacked = weights.unpacked("alice", cube.id)
    data = exported(memory.namespace("alice"), cube.id)["adapter_model.safetensors"]
    return Old(shard.digest, sources(cube), pieces_of(data), unpacked.adapter)


def pieces_of(data: bytes) -> list[bytes]:
    """Some runs of bytes of the tensors of a safetensors file, none of them mere zeros."""
    start = 8 + int.from_bytes(data[:8], "little")
    step = max(PIECE, (len(data) - start) // (MANY * 14))
    found = [data[at : at + PIECE] for at in range(start, len(data) - PIECE, step)]
    return [each for each in found if each.count(0) < PIECE // 2]


def sources(cube: MemCube) -> tuple[str, ...]:
    return tuple(span.cube_id for span in cube.provenance.sources)


def first_of(before: Sequence[Old], gone: Sequence[str]) -> list[str]:
    """Of each shard one of the facts that go."""
    found = [next((each for each in gone if each in old.ids), None) for old in before]
    return [each for each in found if each is not None]


# -- how long it is still answered


def one_by_one(
    memory: MemoryOS,
    engine: Engine,
    cube_id: str,
    ids: dict[str, WorldFact],
    *,
    back: bool = True,
) -> dict[str, Any]:
    """Erase a fact while another thread asks for it all the time; then let its shard come back."""
    alice = memory.namespace("alice")
    (prompt,) = ids[cube_id].prompts([3])
    answers: list[tuple[float, bool]] = []
    enough, ended = threading.Event(), threading.Event()

    def keep_asking() -> None:
        while not ended.is_set():
            knows = by_weights(ask(alice, engine, prompt))
            answers.append((time.perf_counter(), knows))
            if len(answers) > 10:
                enough.set()

    thread = threading.Thread(target=keep_asking)
    thread.start()
    enough.wait(60)
    begun = time.perf_counter()
    alice.erase(cube_id)
    done = time.perf_counter()
    time.sleep(0.2)
    ended.set()
    thread.join()
    last = max((at for at, knows in answers if knows), default=begun)
    cpu = time.process_time()
    if back:
        memory.drain()
    return {
        "id": cube_id,
        "gone_ms": 1e3 * max(0.0, last - begun),
        "erase_ms": 1e3 * (done - begun),
        "asked": len(answers),
        "by_weights": sum(knows for at, knows in answers if at < begun),
        "cpu_s": time.process_time() - cpu,
    }


def at_once(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """Only how long it takes, on a machine that has little else to do: eight small shards."""
    with opened(folder) as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        ids = told(alice, fresh(8 * SMALL, seed))
        training = mneme.Training(facts_per_shard=SMALL)
        made = alice.promote(list(ids), to="parametric", engine=engine, training=training)
        asked(alice, engine, list(ids.values()), [3])
        times = [one_by_one(memory, engine, sources(c)[0], ids, back=False) for c in made]
    return {
        "seed": seed,
        "shards": len(made),
        "no_longer_answered_ms": [one["gone_ms"] for one in times],
        "erase_took_ms": [one["erase_ms"] for one in times],
        "answered_by_weights_before": [one["by_weights"] for one in times],
        "load_1min": load_average(),
    }


# -- what is left, and where


def left_of(memory: MemoryOS, engine: Engine, before: Sequence[Old]) -> dict[str, int]:
    """Erased versions in memory: by their names, and by the numbers in the slots."""
    weights = memory._shared.models.weights(engine)
    weights.let_go()
    digests = {old.digest for old in before}
    shelf, slots = weights.shelf, weights.shelf._slots
    found = 0
    for old in before:
        for path, part in factors(old.adapter, targets(engine.model)).items():
            down = slots._stacks[path].down[:, : part.a.shape[0]]
            found += int((down == part.a.to(down)).flatten(1).all(1).sum())
    return {
        "in_memory": len(digests & shelf.digests()),
        "in_slots_by_name": len(digests & {tag for tag in slots.tags if tag}),
        "in_slots_by_numbers": found,
    }


def left_in_files(store: Path, before: Sequence[Old]) -> dict[str, int]:
    """Pieces of erased tensors in any file of the store, and checkpoints."""
    pieces = {piece for old in before for piece in old.pieces}
    files = [path for path in store.rglob("*") if path.is_file()]
    found = 0
    for path in files:
        data = path.read_bytes()
        found += sum(piece in data for piece in pieces)
    return {
        "pieces_looked_for": len(pieces),
        "pieces_in_files": found,
        "files_looked_into": len(files),
        "checkpoints": sum(path.suffix == ".checkpoint" for path in files),
    }


def never_told(
    folder: Path,
    memory: MemoryOS,
    engine: Engine,
    groups: Sequence[Sequence[WorldFact]],
    lost: Sequence[WorldFact],
) -> dict[str, Any]:
    """Another store that was never told what went; the same facts in the same shards."""
    with opened(folder) as other:
        other.attach(engine)
        space = other.namespace("alice")
        promoted_in_groups(space, engine, groups)
        pairs = paired(memory.namespace("alice"), space)
        same, worst = 0, 0.0
        for ours, theirs, texts in pairs:
            group = [fact for each in groups for fact in each if fact.text in texts]
            own = exported(memory.namespace("alice"), ours.id)
            same += weights_of(own) == weights_of(exported(space, theirs.id))
            prompts = [prompt_of(engine, p) for f in [*group, *lost] for p in f.prompts()]
            here = said_by(memory, engine, ours, prompts)
            worst = max(worst, float((here - said_by(other, engine, theirs, prompts)).abs().max()))
        answers = asked(space, engine, lost)
    return {
        "same_bits": same,
        "shards": len(pairs),
        "difference": worst,
        "lost_right": answers.right,
        "lost_texts": answers.texts,
    }


def promoted_in_groups(
    space: Namespace, engine: Engine, groups: Sequence[Sequence[WorldFact]]
) -> None:
    """Each group in a shard of its own: the largest first, so that none has room for the next."""
    for group in sorted(groups, key=len, reverse=True):
        training = mneme.Training(facts_per_shard=len(group))
        space.promote(list(told(space, group)), to="parametric", engine=engine, training=training)


def paired(ours: Namespace, theirs: Namespace) -> list[tuple[MemCube, MemCube, frozenset[str]]]:
    """Shards of two stores with the same facts, and their texts."""
    known = {texts_of(theirs, cube): cube for cube in shards_of(theirs)}
    return [(cube, known[texts_of(ours, cube)], texts_of(ours, cube)) for cube in shards_of(ours)]


def texts_of(space: Namespace, cube: MemCube) -> frozenset[str]:
    return frozenset(space.get(each).text for each in sources(cube))


def said_by(
    memory: MemoryOS, engine: Engine, cube: MemCube, prompts: Sequence[Sequence[int]]
) -> torch.Tensor:
    weights = memory._shared.models.weights(engine)
    applied = LoraCarrier().apply(engine, weights.unpacked("alice", cube.id).adapter)
    try:
        return next_logits(engine, prompts, applied)
    finally:
        applied.close()


# -- planted


def planted(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """The same checks where something is wrong on purpose: they must fail."""
    return {
        "seed": seed,
        "from_another_shard": _from_another(folder / "another", engine, seed),
        "stale_slot": _stale(folder / "stale", engine, seed),
    }


def _from_another(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """A shard that is written again from its old weights instead of from the base."""
    facts = fresh(20, seed)
    with opened(folder / "told") as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        ids = told(alice, facts)
        (cube,) = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        old = old_of(memory, engine, cube)
        gone = list(ids)[:2]
        alice.erase(gone)
        with starting_from(old.adapter):
            memory.drain()
        groups = [[ids[each] for each in sources(one)] for one in shards_of(alice)]
        lost = [ids[each] for each in gone]
        found = never_told(folder / "never", memory, engine, groups, lost)
    return {
        "logits_against_never_told": found["difference"],
        "shards_with_same_bits": found["same_bits"],
        "found": found["difference"] > 0.0 or found["same_bits"] < found["shards"],
    }


@contextmanager
def starting_from(adapter: Adapter) -> Iterator[None]:
    true = writer.started

    def begun(engine: Engine, shapes: Any, rank: int, scale: float, seed: int) -> Any:
        made = true(engine, shapes, rank, scale, seed)
        for path, part in made.items():
            for name, half in zip(writer.weight_names(path), part[:2], strict=True):
                half.copy_(adapter.tensors[name])
        return made

    writer.started = begun
    try:
        yield
    finally:
        writer.started = true


def _stale(folder: Path, engine: Engine, seed: int) -> dict[str, Any]:
    """Slots and memory that let go of nothing."""
    facts = fresh(10, seed)
    with opened(folder) as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        ids = told(alice, facts)
        (cube,) = alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        asked(alice, engine, facts, [3])
        old = old_of(memory, engine, cube)
        shelf = memory._shared.models.weights(engine).shelf
        true = shelf.let_go
        shelf.let_go = lambda _present: set()
        alice.erase(next(iter(ids)))
        left = left_of(memory, engine, [old])
        shelf.let_go = true
    return {**left, "found": left["in_slots_by_name"] > 0 and left["in_slots_by_numbers"] > 0}
