"""Kill -9 while facts are written into weights, again and again, and look at what is there.

    python benchmarks/parametric_kills.py            # 20 kills, three seeds of moments

A process opens a store with 50 facts, promotes them, and is killed at a random moment: in training,
while a checkpoint is kept, in the gate, while files and rows are written. Then the store is looked
at, and the next process goes on. Judged by the small model that knows 240 facts (tests/judges).
Writes benchmarks/results/parametric_kills.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import mneme
from measuring import machine_facts, save
from mneme.app.memory import MemoryOS
from mneme.core.clock import SystemClock
from mneme.schedule.jobs import LEASE_US
from mneme.testing.clocks import HandClock
from parametric_world import JUDGE, exported, fresh, opened, shards_of, told, weights_of

FACTS = 50
CHECKPOINT_S = 0.3
OWNER = "alice"
LONGEST_S = 600.0


def prepared(folder: Path, facts: int, seed: int) -> None:
    """A store with facts, none of them in weights."""
    with opened(folder) as memory:
        told(memory.namespace(OWNER), fresh(facts, seed))


def life(folder: Path, pipe: Connection, number: int) -> None:
    """What the process does that will be killed: promote, or go on with what was promised.

    Each is a minute later than the one before, by its clock: the lease of a killed job is over.
    """
    import torch

    torch.set_num_threads(1)
    clock = HandClock(SystemClock().now_us() + number * LEASE_US)
    with opened(folder, clock=clock, adapter_checkpoint_s=CHECKPOINT_S) as memory:
        engine = mneme.engine(JUDGE)
        memory.attach(engine)
        alice = memory.namespace(OWNER)
        pipe.send("ready")
        if not shards(memory):
            alice.promote(filters={"type": "fact"}, to="parametric", engine=engine)
        else:
            memory.drain()
        pipe.send("done")


def shards(memory: MemoryOS) -> list[mneme.MemCube]:
    """All of them, those that are only promised, too."""
    return shards_of(memory.namespace(OWNER), active=False)


def said_of(cube: mneme.MemCube) -> dict[str, Any]:
    """What a shard says of itself."""
    return dict(cube.metadata or {})


class Left(NamedTuple):
    """What a killed process left.

    step: Of its newest checkpoint; 0: none.
    active: Shards in use.
    wrong: What must not be.
    """

    step: int
    active: int
    wrong: list[str]


def looked_at(folder: Path) -> Left:
    """Open the store without an engine: nothing goes on, everything is checked."""
    wrong = []
    with opened(folder) as memory:
        report = memory.verify()
        wrong += [] if report.ok else [f"verify: {report.problems}"]
        cubes = shards(memory)
        wrong += [f"{len(cubes)} shards of one promotion"] if len(cubes) > 1 else []
        active = [cube for cube in cubes if cube.state == "activated"]
        for cube in active:
            gate = said_of(cube).get("gate") or {}
            wrong += [] if gate.get("passed") else ["a shard is in use without its gate"]
            exported(memory.namespace(OWNER), cube.id)  # checks all of its files
    return Left(checkpoint_step(folder), len(active), wrong)


def checkpoint_step(folder: Path) -> int:
    """The step of the newest checkpoint, as its header says."""
    steps = [0]
    for path in (folder / "store").rglob("*.checkpoint"):
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        steps.append(int(json.loads(header["__metadata__"]["standing"])["step"]))
    return max(steps)


def lived(folder: Path, wait_s: float | None, number: int) -> float | None:
    """Seconds that a process took to its end; None: it was killed before.

    Args:
        folder: Of the store.
        wait_s: Until it is killed, from where it begins to promote; None: it is let live.
        number: How many were killed before it.
    """
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=life, args=(folder, theirs, number))
    process.start()
    theirs.close()
    try:
        ours.recv()
        begun = time.perf_counter()
        if not ours.poll(LONGEST_S if wait_s is None else wait_s):
            return None
        ours.recv()
        return time.perf_counter() - begun
    except EOFError:
        raise RuntimeError(f"the process failed in {folder}") from None
    finally:
        process.kill()
        process.join()


def finished(folder: Path) -> dict[str, Any]:
    """Bits and figures of the shard that is in use."""
    with opened(folder) as memory:
        (cube,) = shards_of(memory.namespace(OWNER))
        bits = weights_of(exported(memory.namespace(OWNER), cube.id))
        return {"sha256": bits, "figures": said_of(cube)["figures"]}


def killed(folder: Path, kills: int, facts: int, seed: int) -> dict[str, Any]:
    """Kill so many processes; when a shard is done, the next store begins.

    Returns:
        kills, stores, what was wrong, and of each store where its runs went on.
    """
    plain = folder / "plain"
    prepared(plain, facts, seed)
    whole = folder / "whole"
    shutil.copytree(plain, whole)
    took_s = lived(whole, None, 0)
    if took_s is None:
        raise RuntimeError("the process that nobody killed did not end")
    wanted = finished(whole)
    chance, stores, wrong, done = random.Random(seed), [], [], 0
    while done < kills:
        store = folder / f"store{len(stores)}"
        shutil.copytree(plain, store)
        at: list[int] = []
        while done < kills:
            ended = lived(store, chance.uniform(0, took_s), len(at))
            done += ended is None
            took_s = min(took_s, ended or took_s)  # others may have used the machine before
            left = looked_at(store)
            wrong += [f"{each} (kill {done})" for each in left.wrong]
            if ended is not None or left.active:
                break
            at.append(left.step)
            if at != sorted(at):
                wrong.append(f"steps were lost: {at}")
        stores.append(ended_well(store, at, wanted, wrong))
        shutil.rmtree(store)
        print(json.dumps(stores[-1]), file=sys.stderr, flush=True)
    return {
        "seed": seed, "kills": done, "stores": len(stores), "wrong": wrong, "run_s": took_s,
        "steps": wanted["figures"]["steps"], "of_stores": stores,
    }  # fmt: skip


def ended_well(
    store: Path, at: list[int], wanted: dict[str, Any], wrong: list[str]
) -> dict[str, Any]:
    """Let what was killed come to its end, and compare it with a run that nobody killed."""
    if not looked_at(store).active and lived(store, None, len(at) + 1) is None:
        wrong.append("what was killed did not come to its end")
    wrong += looked_at(store).wrong
    found = finished(store)
    same = found["sha256"] == wanted["sha256"]
    resumed_at = int(found["figures"]["resumed_at"])
    wrong += [] if same else ["other bits than those of the run that nobody killed"]
    wrong += [] if not at or resumed_at == at[-1] else [f"went on at {resumed_at}, not {at[-1]}"]
    return {"checkpoints": at, "went_on_at": resumed_at, "same_bits": same}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--facts", type=int, default=FACTS)
    parser.add_argument("--folder", type=Path, help="where stores are made; else a new one")
    parser.add_argument("--json", action="store_true", help="print the result, write no file")
    asked = parser.parse_args()
    multiprocessing.set_forkserver_preload(
        ["mneme.wiring", "mneme.backends.engines.local.engine", "transformers", "__main__"]
    )
    with tempfile.TemporaryDirectory(prefix="mneme-kills-") as made:
        folder = asked.folder or Path(made)
        rows = [killed(folder / str(n), asked.kills, asked.facts, n) for n in range(asked.seeds)]
    result = {
        "what": f"{asked.facts} facts are promoted; the process is killed at a random moment",
        "command": f"python benchmarks/parametric_kills.py --kills {asked.kills}",
        "checkpoint_every_s": CHECKPOINT_S,
        "machine": machine_facts(),
        "rows": rows,
    }
    if asked.json:
        print(json.dumps(result))
    else:
        print("wrote", save("parametric_kills.json", result))
    return int(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
