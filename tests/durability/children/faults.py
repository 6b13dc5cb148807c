"""A disk that is full, or fails, at random moments: errors are typed and change nothing.

python faults.py FOLDER SEED CHANGES prints JSON: how many changes failed and what was wrong.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import apsw

from mneme import MnemeError, StoreFullError
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.contents import contents_of
from mneme.testing.embedders import HashEmbedder
from mneme.testing.power import PowerDisk, What
from mneme.wiring import Outside, build

SETTINGS = Settings(worker=False, embedder="none")


class Fault:
    """Lets some steps pass, and then none that writes or, where `syncs`, syncs."""

    def __init__(self, steps: int, error: type[apsw.Error], *, syncs: bool) -> None:
        self.left, self.error, self.syncs = steps, error, syncs
        self.hit = False

    def __call__(self, what: What, path: str) -> None:
        if what not in ({"sync"} if self.syncs else {"write", "make"}):
            return
        self.left -= 1
        if self.left < 0:
            self.hit = True
            raise self.error("injected")


class Run:
    """Changes a store on a disk that fails now and then."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.disk, self.chance, self.clock = PowerDisk(), random.Random(seed), HandClock()
        self.folder = folder
        self.ids: list[str] = []
        self.wrong: list[str] = []
        self.failed = 0
        self.memory = self.open()

    def open(self) -> MemoryOS:
        outside = Outside(clock=self.clock, embedder=HashEmbedder(8))
        return build(self.folder, settings=SETTINGS, outside=outside)

    def change(self, number: int) -> None:
        """One change, which fails or not."""
        alice = self.memory.namespace("alice")
        text = f"word{number} " * self.chance.choice((1, 50, 2000, 20_000))
        if len(self.ids) > 4 and self.chance.random() < 0.3:
            alice.erase(self.ids.pop())
        elif len(self.ids) > 2 and self.chance.random() < 0.5:
            alice.update(self.chance.choice(self.ids), text=text)
        else:
            self.ids += [cube.id for cube in alice.add(text)]

    def try_one(self, number: int) -> None:
        """Change something while the disk may fail, and compare."""
        before = contents_of(self.memory)
        error = self.chance.choice((apsw.FullError, apsw.FullError, apsw.IOError))
        steps, syncs = self.chance.choice((0, 1, 3, 10, 50)), self.chance.random() < 0.3
        if self.chance.random() < 0.7:
            self.disk.fault = Fault(steps, error, syncs=syncs)
        refused = None
        try:
            self.change(number)
        except MnemeError as raised:
            refused = raised
        self.disk.fault = None
        self.disk.steps.clear()
        same = contents_of(self.memory) == before
        self.failed += refused is not None
        if refused is not None and not isinstance(refused, StoreFullError):
            self.wrong.append(f"{refused!r} ({number})")
        if same != (refused is not None):
            self.wrong.append(f"{refused!r}, but {'nothing' * same} changed ({number})")

    def end(self) -> None:
        """With a sound disk the jobs end, and all is there when it is opened again."""
        held = contents_of(self.memory)
        for _ in range(9):
            self.clock.move_s(600)
            self.memory.drain()
        if self.memory.stats().jobs:
            self.wrong.append(f"a job is left: {self.memory.stats().jobs}")
        self.memory.close()
        with self.open() as memory:
            if contents_of(memory) != held or not memory.verify().ok:
                self.wrong.append("not the same when opened again")


def main(folder: Path, seed: int, changes: int) -> dict[str, object]:
    run = Run(folder, seed)
    for number in range(changes):
        run.try_one(number)
    run.end()
    return {"failed": run.failed, "wrong": run.wrong}


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(where), *map(int, numbers))))
