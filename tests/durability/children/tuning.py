"""Change facts and shards in a process that is killed, again and again, and see what is left.

python tuning.py FOLDER SEED KILLS prints JSON: how often a shard was in use after a kill, and what
was wrong: half a version, a version without its files, a file without a row, erased text.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from mneme import MnemeError, Namespace
from mneme.core.clock import SystemClock
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.shards import BASE, files_of, header_of
from mneme.vault.stale import facts_of, is_to_build
from mneme.vault.sweep import GRACE_US
from mneme.wiring import Outside, build

MOST_DONE = 15  # messages before the end
LONGEST_WAIT_S = 0.03  # after them
SETTINGS = Settings(worker=False, embedder="none")


def life(folder: Path, pipe: Connection, seed: int) -> None:
    """Add facts, write shards, prove, refuse, edit, forget, erase: until it is killed."""
    memory, chance = build(folder, settings=SETTINGS), random.Random(seed)
    alice, adapters = memory.namespace("alice"), memory.vault.adapters
    place = memory.vault.parts.adapters
    assert place is not None
    pipe.send("ready")
    number = seed * 1000
    while True:
        number += 1
        cubes = list(alice.list(types=["fact"], limit=50).items)
        shards = list(alice.list(kinds=["parametric"], include_archived=True).items)
        try:
            verb = chance.choice(["add", "tune", "tune", "tune", "edit", "erase", "demote"])
            if verb == "add" or len(cubes) < 3:
                alice.add(f"Fact {number} says word{number}.", type="fact")
            elif verb == "tune":
                some = chance.sample(cubes, chance.randint(1, 3))
                into = chance.choice(shards).id if shards and chance.random() < 0.5 else None
                row = adapters.promise("alice", header_of(*some, into=into))[0]
                files = files_of(*some)
                adapters.expect([file.name for file in files])
                place.put({file.name: data for file, data in files.items()})
                digest = next(iter(files)).digest
                adapters.keep("alice", header_of(*some, into=row.id, digest=digest), list(files))
            elif verb == "edit":
                alice.update(chance.choice(cubes).id, text=f"Fact {number} says word{number} now.")
            elif verb == "erase":
                cube = chance.choice(cubes)
                pipe.send(cube.text)
                alice.erase(cube.id)
            elif shards:
                adapters.demote("alice", chance.choice(shards).id)
        except MnemeError:
            continue
        finally:
            pipe.send("")  # one more is done


def kill_once(folder: Path, seed: int, chance: random.Random) -> list[str]:
    """The texts whose erasure began; the last one may not have ended."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=life, args=(folder, theirs, seed))
    process.start()
    theirs.close()
    told = [ours.recv() for _ in range(1 + chance.randint(0, MOST_DONE))]  # "ready" first
    time.sleep(chance.random() * LONGEST_WAIT_S)
    process.kill()
    process.join()
    while True:
        try:
            told.append(ours.recv())
        except (EOFError, OSError):
            return [text for text in told[1:] if text]


def judge(folder: Path, told: list[str]) -> tuple[int, list[str]]:
    """How many shards are in use, and what is wrong."""
    with build(folder, settings=SETTINGS) as memory:  # right after the kill
        wrong = [f"corrupt: {problem}" for problem in memory.verify().problems]
        adapters, place = memory.vault.adapters, memory.vault.parts.adapters
        assert place is not None
        used = adapters.shards("alice", BASE)
        for shard in used:
            _, files = adapters.files_of("alice", shard.row.id)
            if not files or None in place.get([file.name for file in files]):
                wrong.append("in use without its files")
            if not adapters.holds("alice", shard.row, shard.source_ids):
                wrong.append("in use without its sources")
        alice = memory.namespace("alice")
        with memory.vault.parts.store.read() as tx:
            jobs = {json.loads(job.payload).get("cube") for job in tx.ledger.jobs()}
        for cube in alice.list(kinds=["parametric"], include_archived=True).items:
            row = memory.vault.reader.header("alice", cube.id)
            if is_to_build(row) and facts_of(row).get("stale") is None and row.id not in jobs:
                wrong.append("promised without a job")
        present = set(_texts(alice))
        gone = [text.encode() for text in told if text not in present]
    later = Outside(clock=HandClock(SystemClock().now_us() + GRACE_US + 1_000_000))
    with build(folder, settings=SETTINGS, outside=later) as memory:
        memory.vault.eraser.scrub()
        memory.vault.adapters.sweep()
        with memory.vault.parts.store.read() as tx:
            rows = tx.adapters.names()
        if set(place.names()) != rows:
            wrong.append("files without rows, or rows without files")
        if memory.vault.parts.store.occurrences(gone):
            wrong.append("erased text is still there")
    return len(used), wrong


def _texts(space: Namespace) -> Iterator[str]:
    """What cubes say, and said before they were edited: an erasure that a kill came before."""
    cursor = None
    while True:
        page = space.list(limit=100, include_archived=True, cursor=cursor)
        for cube in page.items:
            yield from (version.text for version in space.history(cube.id))
        cursor = page.next_cursor
        if cursor is None:
            return


def main(folder: Path, seed: int, kills: int) -> dict[str, object]:
    multiprocessing.set_forkserver_preload(["mneme.wiring", "mneme.recall.search", "__main__"])
    chance, wrong, used, told = random.Random(seed), [], 0, []
    for kill in range(kills):
        told += kill_once(folder, seed * 1000 + kill, chance)
        found, problems = judge(folder, told)
        used += found > 0
        wrong += [f"{problem} (kill {kill})" for problem in problems]
    return {"kills": kills, "in_use": used, "erased": len(told), "wrong": wrong}


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(where), *map(int, numbers))))
