"""Kill a process that consolidates a memory, again and again, and see what came of it.

python consolidations.py FOLDER SEED TURNS KILLS prints JSON. A memory of plain sentences is made
and copied. One copy is consolidated without a break. In the other, a process that consolidates is
killed by SIGKILL at random moments, and another goes on. In the end both must say the same, every
fact that was found before must be found still, and an undo must bring back the first state.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import mneme.recall.search  # noqa: F401 (loaded once, before the processes are made)
from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.state import state_hash
from mneme.transform.ground import SLEEP
from mneme.wiring import build

OWNER = "alice"
SESSION_TURNS = 20
FACTS = ("fact", "preference", "event", "instruction", "profile", "procedure")
FOUND_WITHIN = 10
PEOPLE = (
    "Marta", "Peter", "Olga", "Jonas", "Ines", "Tariq", "Bela", "Sanna", "Viktor", "Amara", "Luis",
    "Freya", "Kenji", "Nadia", "Pavel", "Rosa", "Edvin", "Mirela", "Hugo", "Zora",
)  # fmt: skip
FAMILIES = (
    "Lind", "Okoro", "Varga", "Nowak", "Silva", "Moreau", "Petrov", "Haddad", "Sato", "Berg",
    "Costa", "Ivers", "Kask", "Duarte", "Falk", "Rossi", "Thorne", "Ulrich", "Weiss", "Yilmaz",
)  # fmt: skip
PLACES = ("Oslo", "Bergen", "Turku", "Gdansk", "Porto", "Ghent", "Split", "Aarhus", "Lviv", "Cork")
THINGS = (
    "oven", "boat", "piano", "bicycle", "tent", "camera", "loom", "stove", "telescope", "canoe",
    "lathe", "violin", "kettle", "ladder", "drum", "printer", "saddle", "globe", "radio", "sledge",
)  # fmt: skip
LINES = (
    "My {kin} {person} lives in {place}.",
    "I bought a {colour} {thing} for {number} euros.",
    "{person} paid {number} euros for the {thing} in {place}.",
    "I prefer the {colour} {thing} to the old one.",
    "{person} and I meet in {place} every {day}.",
    "My {thing} is broken since {day}.",
    "{person} works at the {colour} {thing} shop in {place}.",
    "I will visit {person} in {place} on day {number}.",
    "I like to repair a {colour} {thing} with {person} in the yard.",
    "The {colour} {thing} of {person} weighs {number} kilos.",
)
KIN = ("sister", "brother", "cousin", "aunt", "uncle", "neighbour")
COLOURS = ("red", "green", "blue", "grey", "white", "black", "yellow", "brown")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def line(chance: random.Random) -> str:
    pick = chance.choice
    person = f"{pick(PEOPLE)} {pick(FAMILIES)}"
    return pick(LINES).format(
        kin=pick(KIN), person=person, place=pick(PLACES), thing=pick(THINGS),
        colour=pick(COLOURS), day=pick(DAYS), number=chance.randrange(2, 5000),
    )  # fmt: skip


def turns(count: int, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    said: list[dict[str, Any]] = []
    for number in range(count):
        text = line(chance)
        if said and chance.random() < 0.05:  # somebody says it again
            text = chance.choice(said[-200:])["content"].replace(".", " again.")
        day = 1 + number // SESSION_TURNS % 28
        month = 1 + number // SESSION_TURNS // 28 % 12
        minute = number % SESSION_TURNS
        said.append(
            {
                "content": text, "session": f"s{number // SESSION_TURNS}",
                "at": f"2025-{month:02d}-{day:02d}T10:{minute:02d}:00Z",
            }
        )  # fmt: skip
    return said


def open_store(folder: Path) -> MemoryOS:
    return build(folder, settings=Settings(worker=False))


def sleeper(folder: Path, pipe: Connection) -> None:
    """What the process does that will be killed."""
    with open_store(folder) as memory:
        pipe.send("ready")
        memory.namespace(OWNER).consolidate(quiet_s=0)
        pipe.send("done")


def kill_once(folder: Path, wait_s: float) -> bool:
    """Whether the process was killed at work."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=sleeper, args=(folder, theirs))
    process.start()
    theirs.close()
    ours.recv()
    at_work = not ours.poll(wait_s)
    process.kill()
    process.join()
    return at_work


def all_of(alice: Namespace, types: tuple[str, ...], *, archived: bool = False) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = alice.list(types=types, limit=1000, cursor=cursor, include_archived=archived)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def facts_of(alice: Namespace) -> list[Any]:
    return [c for c in all_of(alice, FACTS) if c.provenance.method == "extracted"]


def found_again(alice: Namespace, facts: list[Any]) -> set[str]:
    """The facts whose text finds them, or what they were merged into.

    That derives from all their turns: it names eight with a span, and is linked to the rest.
    """
    found = set()
    for fact in facts:
        hits = {h.cube.id for h in alice.search(fact.text, types=[fact.type], limit=FOUND_WITHIN)}
        turns = {span.cube_id for span in fact.provenance.sources}
        if fact.id not in hits:
            for turn in turns:
                hits &= {cube.id for cube in alice.derived(turn)}
        if hits:
            found.add(fact.id)
    return found


def written(alice: Namespace) -> list[list[Any]]:
    """What consolidation wrote and changed, without ids of its own and without times."""
    rows = []
    for cube in all_of(alice, ("summary", "note", "profile", *FACTS), archived=True):
        slot = str(cube.metadata.get("slot", ""))
        own = slot.startswith(SLEEP)
        sources = [[s.cube_id, s.start, s.end] for s in cube.provenance.sources]
        links = sorted(str(c.metadata["slot"]) for c in alice.related(cube.id)) if own else []
        about = slot if own else cube.id
        rows.append([about, cube.type, cube.state.value, cube.version, cube.text, sources, links])
    return sorted(rows, key=lambda row: (row[0], row[1], row[4]))


class First(NamedTuple):
    """What was there before anything was consolidated."""

    hash: str
    facts: list[Any]
    findable: set[str]


def prepare(folder: Path, seed: int, count: int) -> First:
    """Write and read the turns, and copy the store."""
    with open_store(folder / "killed") as memory:
        alice = memory.namespace(OWNER)
        alice.add_many(turns(count, seed))
        memory.drain()
        facts = facts_of(alice)
        first = First(state_hash(memory, OWNER), facts, found_again(alice, facts))
        memory.snapshot(folder / "whole")
    return first


def without_a_break(folder: Path) -> tuple[float, dict[str, Any], list[list[Any]]]:
    """Seconds, what was done, and what came of it."""
    with open_store(folder / "whole") as memory:
        alice = memory.namespace(OWNER)
        start = time.perf_counter()
        report = alice.consolidate(quiet_s=0)
        taken_s = time.perf_counter() - start
        told = {"done": report.done, "dropped": len(report.dropped)}
        return taken_s, told, written(alice)


def kill_often(folder: Path, chance: random.Random, kills: int, longest_s: float) -> int:
    """Kill until it was at work so often, or was done; how often it was."""
    hit = 0
    while hit < kills and longest_s > 0.01:
        at_work = kill_once(folder / "killed", chance.random() * longest_s)
        hit += at_work
        longest_s *= 1 if at_work else 0.5
    return hit


def judge(folder: Path, first: First, expected: list[list[Any]]) -> dict[str, Any]:
    """Finish, compare, undo, and say what is wrong."""
    with open_store(folder / "killed") as memory:
        alice = memory.namespace(OWNER)
        left = alice.consolidate(quiet_s=0)
        runs = alice.consolidations()
        wrong = [f"runs: {[r.state for r in runs]}"] if [r.state for r in runs] != ["done"] else []
        wrong += [] if written(alice) == expected else ["an effect is missing, or came twice"]
        again = alice.consolidate(quiet_s=0).done
        wrong += [f"left to be done: {again}"] if again else []
        lost = first.findable - found_again(alice, first.facts)
        wrong += [f"lost: {fact.text}" for fact in first.facts if fact.id in lost]
        start = time.perf_counter()
        undone = [alice.undo(run.id) for run in reversed(alice.consolidations())]
        undo_s = time.perf_counter() - start
        restored = state_hash(memory, OWNER) == first.hash
        wrong += [] if restored else ["the undo did not restore the state"]
        wrong += [f"kept {kept}" for each in undone for kept in each.kept[:5]] + list(
            memory.verify().problems
        )
    return {
        "units": runs[-1].units, "done_after_the_last_kill": left.done, "facts_lost": len(lost),
        "turned_back": sum(each.turned_back for each in undone),
        "undo_restores_state_hash": restored, "undo_s": round(undo_s, 2), "wrong": wrong,
    }  # fmt: skip


def main(folder: Path, seed: int, count: int, kills: int) -> dict[str, Any]:
    multiprocessing.set_forkserver_preload(["mneme.wiring", "mneme.recall.search", "__main__"])
    first = prepare(folder, seed, count)
    taken_s, told, expected = without_a_break(folder)
    hit = kill_often(folder, random.Random(seed), kills, 2 * taken_s / max(kills, 1))
    return {
        "turns": count, "facts": len(first.facts), "facts_found_before": len(first.findable),
        "kills": hit, "consolidate_s": round(taken_s, 2), **told,
        **judge(folder, first, expected),
    }  # fmt: skip


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(where), *map(int, numbers))))
