"""Activation memory from end to end: every family through promote and chat, and its life with text.

    python benchmarks/kv_chats.py           # some CPU minutes

- Every family and block size: a document is promoted and asked about, here and in another process
  with another PYTHONHASHSEED, with every hit compared with a full prefill before the answer.
- 1,000 chats over one promoted cube: stored length and bytes stay as they are.
- An edit, a forgetting and an erasure of the text: blocks, files and hits that are left.
- Eight threads promote the same text at once: long forward passes, against those of one thread.

Writes benchmarks/results/kv_chats.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import mneme
from measuring import machine_facts, save
from mneme.testing.tiny_models import FAMILIES, tiny_model

BLOCKS = (16, 64, 256)
QUESTIONS = ("w07", "What is rule w12?", "How many days is the refund for w31, and from when on?")
HANDBOOK = "\n".join(f"Rule {n}: a refund for w{n:02d} takes {n} days." for n in range(10, 60))
LONG = 500  # tokens of a forward pass that only a build makes
THREADS = 8


@contextmanager
def opened(folder: Path, engine: Any, block: int = 64) -> Iterator[Any]:
    settings = mneme.Settings(
        embedder="none", infer=False, sleep=False, worker=False, kv_block_tokens=block, kv_verify=1
    )
    with mneme.open(folder, settings=settings) as memory:
        memory.attach(engine)
        yield memory


def asked(memory: Any, engine: Any) -> list[dict[str, Any]]:
    space, found = memory.namespace("alice"), []
    for question in QUESTIONS:
        reply = space.chat(question, engine=engine, max_new_tokens=8, remember=False)
        timings = reply.timings
        found.append(
            {
                "hits": timings.hit_tokens,
                "verified": timings.verified is True,
                "tiers": sorted(timings.tokens_by_tier),
                "text": reply.text,
            }
        )
    return found


def family_rows(family: str, folder: Path) -> list[dict[str, Any]]:
    model = tiny_model(family, folder / "model")
    engine = mneme.engine(model)
    rows, found, tokens = [], {}, 0
    for block in BLOCKS:
        with opened(folder / f"store{block}", engine, block) as memory:
            space = memory.namespace("alice")
            (document,) = space.add(HANDBOOK, type="document")[:1]
            (kept,) = space.promote(document.id, to="activation", engine=engine)
            found[block] = asked(memory, engine)
            tokens = kept.metadata["tokens"]
    again = in_another_process(folder)
    for block, here in found.items():
        later = again[str(block)]
        pairs = list(zip(here, later, strict=True))
        rows.append(
            {
                "family": family,
                "block": block,
                "tokens": tokens,
                "questions": len(pairs),
                "hit": sum(one["hits"] >= tokens for one in here),
                "verified": sum(one["verified"] for one in here),
                "hit_later": sum(two["hits"] >= tokens for two in later),
                "verified_later": sum(two["verified"] for two in later),
                "from_disk": sum("disk" in two["tiers"] for two in later[:1]),
                "same_answer": sum(one["text"] == two["text"] for one, two in pairs),
            }
        )
    return rows


def in_another_process(folder: Path) -> dict[str, list[dict[str, Any]]]:
    command = [sys.executable, __file__, "--child", str(folder)]
    environment = os.environ | {"PYTHONHASHSEED": "4242"}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def child(folder: Path) -> None:
    engine, found = mneme.engine(folder / "model"), {}
    for block in BLOCKS:
        with opened(folder / f"store{block}", engine, block) as memory:
            found[block] = asked(memory, engine)
    print(json.dumps(found))


def sizes(memory: Any, folder: Path) -> dict[str, int]:
    stats = memory.stats()
    files = [path for path in (folder / "activation").rglob("*") if path.is_file()]
    return {
        "blocks": stats.counts["blocks"],
        "block_bytes": stats.bytes["activation"],
        "files": len(files),
        "file_bytes": sum(path.stat().st_size for path in files),
    }


def many_chats(folder: Path, count: int) -> dict[str, Any]:
    engine = mneme.engine(tiny_model("llama", folder / "model"))
    with opened(folder / "store", engine) as memory:
        space = memory.namespace("alice")
        (document,) = space.add(HANDBOOK, type="document")[:1]
        (kept,) = space.promote(document.id, to="activation", engine=engine)
        before = sizes(memory, folder / "store")
        hits = []
        for number in range(count):
            question = f"What about w{number % 97:02d} and {number}?"
            reply = space.chat(question, engine=engine, max_new_tokens=1, remember=False)
            hits.append(reply.timings.hit_tokens)
        after = sizes(memory, folder / "store")
        tokens = space.get(kept.id).metadata["tokens"]
    return {
        "chats": count,
        "before": before,
        "after": after,
        "tokens": [kept.metadata["tokens"], tokens],
        "all_hit": min(hits) >= tokens,
    }


def life(folder: Path) -> list[dict[str, Any]]:
    """What is left after the text changed or went; the answer is that of the text as it is."""
    engine = mneme.engine(tiny_model("llama", folder / "model"))
    verbs: dict[str, Callable[[Any, str], object]] = {
        "update": lambda space, cube_id: space.update(cube_id, text="Rule 1: w01 takes no days."),
        "forget": lambda space, cube_id: space.forget(cube_id),
        "erase": lambda space, cube_id: space.erase(cube_id),
    }
    rows = []
    for verb, change in verbs.items():
        place = folder / verb
        with opened(place, engine) as memory:
            space = memory.namespace("alice")
            (document,) = space.add(HANDBOOK, type="document")[:1]
            space.promote(document.id, to="activation", engine=engine)
            asked(memory, engine)
            before = sizes(memory, place)
            change(space, document.id)
            after = sizes(memory, place)
            reply = space.chat(QUESTIONS[1], engine=engine, max_new_tokens=4, remember=False)
            row = {"verb": verb, "before": before, "after": after}
            rows.append(row | {"hits_after": reply.timings.hit_tokens})
    return rows


def at_once(folder: Path) -> dict[str, Any]:
    engine = mneme.engine(tiny_model("llama", folder / "model"))
    passes: list[int] = []

    def seen(_model: Any, _args: Any, given: dict[str, Any]) -> None:
        passes.append(given["input_ids"].shape[1])

    counts = {}
    hook = engine.model.register_forward_pre_hook(seen, with_kwargs=True)
    for threads in (1, THREADS):
        passes.clear()
        with opened(folder / f"store{threads}", engine) as memory:
            space = memory.namespace("alice")
            (document,) = space.add(HANDBOOK, type="document")[:1]
            cube_id = document.id

            def work(_: int, space: Any = space, cube_id: str = cube_id) -> str:
                return space.promote(cube_id, to="activation", engine=engine)[0].id

            with ThreadPoolExecutor(threads) as pool:
                made = set(pool.map(work, range(threads)))
            counts[threads] = {
                "long_passes": sum(size >= LONG for size in passes),
                "cubes": len(made),
                "blocks": memory.stats().counts["blocks"],
            }
    hook.remove()
    return {"threads": THREADS, "one": counts[1], "many": counts[THREADS]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument("--child", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.child:
        child(given.child)
        return
    found: dict[str, Any] = {"machine": machine_facts()}
    with tempfile.TemporaryDirectory(prefix="mneme-chats-") as name:
        folder = Path(name)
        found["at_once"] = at_once(folder / "at-once")
        print(found["at_once"], flush=True)
        found["life"] = life(folder / "life")
        print(*found["life"], sep="\n", flush=True)
        found["families"] = []
        for family in FAMILIES:
            found["families"] += family_rows(family, folder / family)
            print(*found["families"][-len(BLOCKS) :], sep="\n", flush=True)
        found["many"] = many_chats(folder / "many", given.chats)
        print(found["many"])
    save("kv_chats.json", found)


if __name__ == "__main__":
    main()
