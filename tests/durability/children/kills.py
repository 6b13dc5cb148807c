"""Kill a process that changes a store, again and again, and see what it had acknowledged.

python kills.py FOLDER SEED KILLS prints JSON: the acknowledged changes, the slowest reopening, and
what was lost, half done or corrupt. The process says what it is about to do, does it, and says
what came of it; SIGKILL comes at a random moment, also while jobs run.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import mneme.recall.search  # noqa: F401 (loaded once, before the processes are made)
from mneme import MnemeError, Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.contents import Held, contents_of
from mneme.testing.embedders import FlakyEmbedder, HashEmbedder
from mneme.wiring import Outside, build

STORES_EVERY = 20  # kills, then a new store
LONGEST_LIFE_S = 0.5
Now = dict[str, list[Any] | None]  # by id: version, state and text; None for what is erased


def open_store(folder: Path, *, worker: bool) -> MemoryOS:
    slow = FlakyEmbedder(HashEmbedder(16), mood="slow" if worker else "fine", slow_s=0.02)
    outside = Outside(embedder=slow, inline=False)
    return build(folder, settings=Settings(worker=worker, embedder="none"), outside=outside)


class Doing:
    """Changes a store until it is killed, and tells of each change."""

    def __init__(self, memory: MemoryOS, pipe: Connection, seed: int) -> None:
        self.alice: Namespace = memory.namespace("alice")
        self.pipe, self.chance = pipe, random.Random(seed)
        self.number = seed * 1_000_000

    def run(self) -> None:
        self.pipe.send("ready")
        while True:
            self.number += 1
            try:
                self.chance.choice(CHANGES)(self)
            except MnemeError as error:
                self.pipe.send(("refused", str(error)))

    def word(self) -> str:
        return f"word{self.number}x{self.chance.getrandbits(64):x}"

    def text(self) -> str:
        return f"{self.word()} " + "and so on " * self.chance.choice([0, 5, 50, 2000])

    def some(self) -> str:
        while not (found := self.alice.list(limit=200, include_archived=True).items):
            self.add()
        return self.chance.choice(found).id

    def _tell(
        self, verb: str, touched: list[str], texts: list[str], act: Callable[[], object]
    ) -> None:
        self.pipe.send(("will", verb, touched, texts))
        made = act()
        cubes = made if isinstance(made, list) else [self.alice.get(i) for i in touched]
        self.pipe.send(("done", {c.id: [c.version, c.state.value, c.text] for c in cubes}))

    def add(self) -> None:
        texts = [self.text() for _ in range(self.chance.choice([1, 1, 3]))]
        ends = None
        if self.chance.random() < 0.2:
            ends = datetime.now(UTC) + timedelta(seconds=0.1)  # noqa: TID251 (the real clock runs here)
        self._tell("add", [], texts, lambda: self.alice.add(texts, expires_at=ends))

    def add_document(self) -> None:
        parts = "\n\n".join(f"# {n}\n\n{self.word()} {n}. " + "More. " * 60 for n in "abc")
        self._tell("document", [], [parts], lambda: self.alice.add(parts, type="document"))

    def update(self) -> None:
        some, text = self.some(), self.text()
        cube = self.alice.get(some)
        if cube.type == "document" and not cube.provenance.sources:
            return  # it would be cut anew, in as many parts as the new text has
        self._tell("update", [some], [text], lambda: self.alice.update(some, text=text))

    def forget(self) -> None:
        some = self.some()
        if self.alice.get(some).provenance.sources:  # its document's erasure would take it unseen
            return
        touched = [some, *(cube.id for cube in self.alice.derived(some))]
        self.pipe.send(("will", "forget", touched, []))
        self.alice.forget(some)
        self.pipe.send(("done", {each: ["+1", "forgotten", None] for each in touched}))

    def erase(self) -> None:
        targets = list(dict.fromkeys([self.some(), self.some()]))
        below = [cube.id for each in targets for cube in self.alice.derived(each)]
        touched = list(dict.fromkeys([*targets, *below]))
        self.pipe.send(("will", "erase", touched, []))
        self.alice.erase(targets)
        self.pipe.send(("done", dict.fromkeys(touched)))


CHANGES: list[Callable[[Doing], None]] = [
    Doing.add, Doing.add, Doing.add_document, Doing.update, Doing.update, Doing.forget, Doing.erase,
]  # fmt: skip


def life(folder: Path, pipe: Connection, seed: int) -> None:
    """What the process does that will be killed."""
    Doing(open_store(folder, worker=True), pipe, seed).run()


class Told(NamedTuple):
    """What the process said before it died."""

    done: list[Now]
    begun: tuple[str, list[str], list[str]] | None  # verb, ids and texts of the unfinished change


def kill_once(folder: Path, seed: int, wait_s: float) -> Told:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=life, args=(folder, theirs, seed))
    process.start()
    theirs.close()
    ours.recv()
    time.sleep(wait_s)
    process.kill()
    process.join()
    told = Told([], None)
    while True:
        try:
            said = ours.recv()
        except (EOFError, OSError):
            return told
        if said[0] == "will":
            told = told._replace(begun=said[1:])
        else:
            told = Told([*told.done, *([said[1]] if said[0] == "done" else [])], None)


class Ledger:
    """What was acknowledged so far, compared with what a store holds."""

    def __init__(self) -> None:
        self.known: Now = {}
        self.erased: list[str] = []  # first words of erased texts
        self.acknowledged = 0

    def take(self, done: list[Now]) -> None:
        self.acknowledged += len(done)
        for now in done:
            for cube_id, new in now.items():
                old = self.known.get(cube_id)
                if new is None and old is not None:
                    self.erased += re.findall(r"word\w+", old[2])[:1]
                if new is not None and old is not None and new[2] is None:
                    new = [old[0] + 1, new[1], old[2]]
                self.known[cube_id] = new

    def compare(self, found: dict[str, Held], told: Told) -> list[str]:
        verb, touched, texts = told.begun or ("nothing", [], [])
        wrong = [
            f"lost: {self.known[cube_id]!r:.100} {found.get(cube_id)!r:.300}"
            for cube_id in self.known.keys() - set(touched)
            if not _is(self.known[cube_id], found.get(cube_id))
        ]
        new = [held for cube_id, held in found.items() if cube_id not in self.known]
        wrong += self._half(verb, touched, texts, found, new)
        self.known |= {i: _now(found[i]) for i in touched if i in found}
        self.known |= {held.versions[0].id: _now(held) for held in new}
        self.known |= {i: None for i in touched if i not in found}
        return wrong

    def _half(
        self,
        verb: str,
        touched: list[str],
        texts: list[str],
        found: dict[str, Held],
        new: list[Held],
    ) -> list[str]:
        before = [_is(self.known[i], found.get(i)) for i in touched if i in self.known]
        if verb == "erase":
            changed = [i not in found for i in touched]
        elif verb == "forget":
            changed = [_now(found[i])[1] == "forgotten" for i in touched]
        elif verb == "update":
            changed = [_now(found[i])[2] == texts[0] for i in touched]
        else:
            wanted = {"add": len(texts), "document": 4, "nothing": 0}[verb]
            begun = all(any(held.texts[0][1] in text for text in texts) for held in new)
            fits = begun and len(new) in {0, wanted}
            return [] if fits else [f"half: {verb} of {texts!r:.80}, {len(new)} new"]
        extra = verb != "update" and new
        fits = not extra and (all(before) or all(changed))
        return [] if fits else [f"half: {verb} of {touched}"]


def _now(held: Held) -> list[Any]:
    last = held.versions[-1]
    return [last.version, last.state, dict(held.texts)[last.text_version]]


def _is(known: list[Any] | None, held: Held | None) -> bool:
    """Whether a store holds what was acknowledged; what ended by its time since is as well."""
    if known is None or held is None:
        return known is None and held is None
    now = _now(held)
    return now == known or (now[1] == "expired" and now[2] == known[2])


def judge(folder: Path, ledger: Ledger, told: Told) -> tuple[float, list[str]]:
    """Seconds to open again and find something, and what is wrong."""
    start = time.perf_counter()
    with open_store(folder, worker=False) as memory:
        memory.namespace("alice").search("and so on")
        opened_s = time.perf_counter() - start
        report = memory.verify()
        wrong = [] if report.ok else [f"corrupt: {report.problems}"]
        found = contents_of(memory)
        wrong += ledger.compare(found, told)
        memory.vault.upkeep.embed_missing(keep_on=lambda: True)
        if memory.stats().missing_vectors:
            wrong.append("vectors are missing")
        memory.vault.eraser.scrub()
        left = " ".join(text for held in found.values() for _, text in held.texts)
        gone = [word.encode() for word in ledger.erased if word not in left]
        if memory.vault.parts.store.occurrences(gone):
            wrong.append("erased text is still there")
    return opened_s, wrong


def main(folder: Path, seed: int, kills: int) -> dict[str, object]:
    multiprocessing.set_forkserver_preload(["mneme.wiring", "mneme.recall.search", "__main__"])
    chance, wrong, slowest_s, acknowledged = random.Random(seed), [], 0.0, 0
    ledger, store = Ledger(), folder
    for kill in range(kills):
        if kill % STORES_EVERY == 0:
            ledger, store = Ledger(), folder / f"store{kill}"
        told = kill_once(store, seed * 1000 + kill, chance.random() * LONGEST_LIFE_S)
        before = ledger.acknowledged
        ledger.take(told.done)
        acknowledged += ledger.acknowledged - before
        opened_s, problems = judge(store, ledger, told)
        slowest_s = max(slowest_s, opened_s)
        wrong += [f"{problem} (kill {kill})" for problem in problems]
    return {
        "kills": kills, "acknowledged": acknowledged, "slowest_open_s": slowest_s, "wrong": wrong,
    }  # fmt: skip


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(where), *map(int, numbers))))
