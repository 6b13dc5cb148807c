"""Flip bytes of a store's files one at a time: right text or a typed error, never wrong text.

python flips.py FOLDER SEED FLIPS prints JSON: what came of the flips. FOLDER gets a store that was
closed and one whose process was killed; each flip is made in a copy.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

from mneme import MnemeError, StoreCorruptError
from mneme.app.memory import MemoryOS
from mneme.backends.sqlite.wal_check import Frames
from mneme.settings import Settings
from mneme.testing.contents import Held, contents_of
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

SETTINGS = Settings(worker=False, embedder="none")
CUBES = 60
HEADER, FRAME = 32, 4096 + 24


def open_store(folder: Path) -> MemoryOS:
    return build(folder, settings=SETTINGS, outside=Outside(embedder=HashEmbedder(8)))


def fill(folder: Path, die: bool) -> None:
    memory = open_store(folder)
    alice = memory.namespace("alice")
    for number in range(CUBES):
        cube = alice.add(f"Line {number} says " + f"word{number} " * (1 + number % 7 * 60))[0]
        if number % 3 == 0:
            alice.update(cube.id, text=f"Line {number} says word{number} again.")
        if number == CUBES // 2 and die:
            memory.close()
            memory = open_store(folder)
            alice = memory.namespace("alice")
    if die:
        os._exit(9)
    memory.close()


def judge(folder: Path, right: dict[str, Held], last: str) -> str:
    """What came of opening and reading everything."""
    try:
        with open_store(folder) as memory:
            held = contents_of(memory)
            page = memory.namespace("alice").list(limit=1000)
            hits = memory.namespace("alice").search("word7 word12", limit=50)
            texts = {cube.id: cube.text for cube in (*page.items, *(hit.cube for hit in hits))}
            report = memory.verify()
    except StoreCorruptError:
        return "corrupt"
    except MnemeError as error:
        return f"error {type(error).__name__}"
    newest = {i: dict(each.texts)[each.versions[-1].text_version] for i, each in right.items()}
    if held == right and all(newest[i] == text for i, text in texts.items()):
        return "right" if report.ok else "found by verify"
    if held == {i: each for i, each in right.items() if i != last}:
        return "last change gone"
    return "WRONG: " + repr(sorted(held.keys() ^ right.keys())) if report.ok else "WRONG, but found"


def flip_file(home: Path, name: str, place: int, value: int) -> None:
    file = home / name
    data = bytearray(file.read_bytes())
    data[place] ^= value
    file.write_bytes(data)


def last_commit(log: bytes) -> int:
    """Where the last commit of a log begins."""
    ends = [n for n, size in enumerate(Frames.of(log, 4096, big=False).truncates) if size]
    return HEADER + FRAME * (ends[-2] + 1)


def run(
    folder: Path, source: Path, name: str, places: list[int], chance: random.Random
) -> Counter[str]:
    whole = folder / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    shutil.copytree(source, whole)
    with open_store(whole) as memory:
        right = contents_of(memory)
    last = max(right)
    start = len((source / name).read_bytes())
    if name.endswith("-wal"):
        start = last_commit((source / name).read_bytes())
    came: Counter[str] = Counter()
    for place in places:
        home = folder / "flipped"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(source, home)
        (home / "mneme.db-shm").unlink(missing_ok=True)
        value = chance.choice((1, 128, 255, chance.randrange(1, 256)))
        flip_file(home, name, place, value)
        result = judge(home, right, last)
        if result == "last change gone" and place < start:
            result = "WRONG: an acknowledged change is gone"
        came[
            result if not result.startswith("WRONG") else f"{result} ({name} {place} {value})"
        ] += 1
    return came


def main(folder: Path, seed: int, flips: int) -> dict[str, dict[str, int]]:
    chance = random.Random(seed)
    came: dict[str, dict[str, int]] = {}
    for kind, die in (("closed", False), ("killed", True)):
        source = folder / kind
        process = get_context("fork").Process(target=fill, args=(source, die))
        process.start()
        process.join()
        for file in sorted(source.iterdir()):
            if file.name.endswith("-shm"):
                continue
            size = file.stat().st_size
            places = [*range(0, 100, 1 if flips > 500 else 6)]
            places += [chance.randrange(size) for _ in range(flips)]
            came[f"{kind} {file.name}"] = dict(run(folder, source, file.name, places, chance))
    return came


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    seed, flips = map(int, numbers)
    sys.stdout.write(json.dumps(main(Path(where), seed, flips)))
