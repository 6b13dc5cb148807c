"""Turns that change facts are added and read by a process that is killed again and again.

python listening.py FOLDER SEED KILLS prints JSON: acknowledged turns, facts, and what is wrong.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from mneme import MemCube, Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.wiring import build

SETTINGS = Settings(worker=False, embedder="none")
KEYS = 12
_WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from listening import write
write(sys.argv[2], int(sys.argv[3]))
"""


def write(folder: str, start: int) -> None:
    """Add updates without end, and read them; each acknowledged number is printed."""
    chance = random.Random(start)
    with build(Path(folder), settings=SETTINGS) as memory:
        alice = memory.namespace("alice")
        number = start
        while True:
            count = chance.choice((1, 1, 3, 40))
            lines = [line_of(n) for n in range(number, number + count)]
            alice.add_many([{"content": line, "idempotency_key": line} for line in lines])
            number += count
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            if chance.random() < 0.5:
                memory.drain(timeout_s=chance.choice((0.001, 0.01, 1.0)))


def line_of(number: int) -> str:
    return f"gauge {number % KEYS}: value {number}"


def killed(folder: Path, start: int, chance: random.Random) -> int:
    """One life of the writer; up to where it acknowledged."""
    here = str(Path(__file__).parent)
    words = [sys.executable, "-c", _WRITER, here, str(folder), str(start)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    reached = start
    for _ in range(chance.randrange(1, 30)):
        line = child.stdout.readline()
        if not line:
            break
        reached = int(line)
    child.kill()
    rest = child.stdout.read().split()
    child.wait()
    return max([reached, *map(int, rest)])


def problems(memory: MemoryOS, acknowledged: int) -> list[str]:
    """Whether each slot holds its newest value, and each turn made one fact."""
    memory.drain()
    alice = memory.namespace("alice")
    turns = {cube.text for cube in pages(alice, types=["turn"])}
    facts = pages(alice, types=["fact"])
    said = [cube.text for cube in facts]
    wrong = [f"turn {n} is lost" for n in range(acknowledged) if line_of(n) not in turns]
    if len(set(said)) != len(said):
        wrong.append(f"{len(said) - len(set(said))} facts were made twice")
    if set(said) != turns:
        wrong.append(f"{len(turns)} turns made {len(set(said))} facts")
    for key in range(min(KEYS, len(turns))):
        numbers = [int(t.split()[-1]) for t in turns if t.startswith(f"gauge {key}:")]
        open_ = [c.text for c in facts if c.valid_to is None and c.text.startswith(f"gauge {key}:")]
        if open_ != [line_of(max(numbers))]:
            wrong.append(f"gauge {key} holds {open_}, not value {max(numbers)}")
    return wrong + list(memory.verify().problems)


def pages(alice: Namespace, *, types: list[str]) -> list[MemCube]:
    found: list[MemCube] = []
    cursor = None
    while True:
        page = alice.list(limit=1000, cursor=cursor, types=types)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def main() -> None:
    folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    acknowledged = 0
    for _ in range(kills):
        with build(folder, settings=SETTINGS) as memory:
            turns = memory.stats().types.get("turn", 0)
        acknowledged = killed(folder, max(acknowledged, turns), chance)
    with build(folder, settings=SETTINGS) as memory:
        wrong = problems(memory, acknowledged)
        facts = memory.stats().types.get("fact", 0)
    sys.stdout.write(json.dumps({"acknowledged": acknowledged, "facts": facts, "wrong": wrong}))


if __name__ == "__main__":
    main()
