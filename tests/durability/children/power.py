"""Work on a disk that remembers, cut its power at many moments, and see what each state holds.

python power.py FOLDER SEED CHANGES STATES prints JSON: how many states, how many lost an
acknowledged change, held half a change, or did not verify.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from mneme import MnemeError, Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.contents import Held, contents_of
from mneme.testing.embedders import HashEmbedder
from mneme.testing.power import PowerDisk, after_power_cut
from mneme.wiring import Outside, build

Contents = dict[str, Held]
SETTINGS = Settings(worker=False, embedder="none")


class Work:
    """A store on the disk, changed at random."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance, self.clock = folder, chance, HandClock()
        self.memory = self.open()
        self.ids: dict[str, str] = {}
        self.erased: list[str] = []  # the only words of texts that are gone
        self.number = 0

    def open(self) -> MemoryOS:
        outside = Outside(clock=self.clock, embedder=HashEmbedder(8))
        return build(self.folder, settings=SETTINGS, outside=outside)

    @property
    def alice(self) -> Namespace:
        return self.memory.namespace("alice")

    def change(self) -> list[str]:
        """Make one change; the words that it erased."""
        self.number += 1
        try:
            return self.add() if len(self.ids) < 3 else self.chance.choice(CHANGES)(self)
        except MnemeError:  # a forgotten cube refuses an update, and so on
            return []

    def word(self) -> str:
        return f"word{self.number}x{self.chance.getrandbits(64):x}"

    def add(self) -> list[str]:
        word = self.word()
        text = f"{word} " * self.chance.choice([1, 3, 30, 400, 3000])
        expires = "2027-01-01" if self.chance.random() < 0.1 else None
        self.ids[self.alice.add(text, session="s", expires_at=expires)[0].id] = word
        return []

    def add_document(self) -> list[str]:
        word = self.word()
        text = "\n\n".join(f"# Part {n}\n\n{word} says {n}. " + "More of it. " * 40 for n in "abc")
        self.ids[self.alice.add(text, type="document")[0].id] = word
        return []

    def some(self) -> str:
        return self.chance.choice(list(self.ids))

    def update(self) -> list[str]:
        some = self.some()
        self.alice.update(some, text=f"{self.ids[some]} in its next version {self.word()}")
        return []

    def erase(self) -> list[str]:
        some = self.some()
        self.alice.erase(some)
        return [self.ids.pop(some)]

    def erase_many(self) -> list[str]:
        some = self.chance.sample(list(self.ids), 2)
        self.alice.erase(some)
        return [self.ids.pop(each) for each in some]

    def forget(self) -> list[str]:
        self.alice.forget(self.some())
        return []

    def restore(self) -> list[str]:
        self.alice.restore(self.some())
        return []

    def archive(self) -> list[str]:
        self.alice.archive(self.some())
        return []

    def rollback(self) -> list[str]:
        self.alice.rollback(self.some(), to_version=1)
        return []

    def reopen(self) -> list[str]:
        self.memory.close()
        self.memory = self.open()
        return []

    def drain(self) -> list[str]:
        self.clock.move_s(3600 * 24 * 30)
        self.memory.drain()
        return []

    def rebuild(self) -> list[str]:
        self.memory.rebuild()
        return []


CHANGES: list[Callable[[Work], list[str]]] = [
    Work.add, Work.add, Work.add, Work.add, Work.add_document, Work.update, Work.update,
    Work.update, Work.erase, Work.erase_many, Work.forget, Work.restore, Work.archive,
    Work.rollback, Work.reopen, Work.drain, Work.rebuild,
]  # fmt: skip


def work(
    disk: PowerDisk, folder: Path, seed: int, changes: int
) -> tuple[list[Contents], list[list[str]]]:
    """Make changes; what the store held, and which words were erased, after each of them."""
    doing = Work(folder, random.Random(seed))
    held = [contents_of(doing.memory)]
    erased: list[list[str]] = [[]]
    disk.mark(0)
    for number in range(1, changes + 1):
        gone = doing.change()
        disk.mark(number)
        held.append(contents_of(doing.memory))
        erased.append([*erased[-1], *gone])
    doing.memory.close()
    return held, erased


def judge(state: Path, expected: list[Contents], erased: list[str]) -> str:
    """What is wrong with a state; an empty string if nothing is."""
    found = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file())
    if any(word.encode() in found for word in erased):
        return "erased text came back"
    try:
        outside = Outside(clock=HandClock(), embedder=HashEmbedder(8))
        with build(state, settings=SETTINGS, outside=outside) as memory:
            report, contents = memory.verify(), contents_of(memory)
    except MnemeError as error:
        return f"corrupt: {error}"
    if not report.ok:
        return f"corrupt: {report.problems}"
    return "" if contents in expected else "lost"


def main(folder: Path, seed: int, changes: int, states: int) -> dict[str, object]:
    disk = PowerDisk()
    home = folder / "work"
    held, erased = work(disk, home, seed, changes)
    steps, chance = list(disk.steps), random.Random(seed + 1)
    first = next(i for i, step in enumerate(steps) if step.what == "mark")
    wrong: list[str] = []
    for _ in range(states):
        cut = chance.randrange(first + 1, len(steps) + 1)
        done = max(step.at for step in steps[:cut] if step.what == "mark")
        state = folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        for path, data in after_power_cut(steps[:cut], chance).items():
            (state / Path(path).name).write_bytes(data)
        problem = judge(state, held[done : done + 2], erased[done])
        disk.steps.clear()
        if problem:
            wrong.append(f"{problem} (seed {seed}, cut {cut} of {len(steps)}, change {done})")
    return {"states": states, "steps": len(steps), "changes": changes, "wrong": wrong}


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    seed, changes, states = map(int, numbers)
    sys.stdout.write(json.dumps(main(Path(where), seed, changes, states)))
