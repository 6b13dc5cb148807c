"""Does experience help? A small world of tools with hidden rules, with and without memory.

    nice -n 15 python benchmarks/experience.py

The world is ours and made by a seed: eight kinds of office tasks, some worded alike, each solved by
a hidden sequence of three to five tool calls out of sixteen tools. A call that is not the next one
gives an error that does not say why; four tools always answer "ok" and do nothing, so that records
of runs hold useless steps without an error. Some calls need a token that an earlier result held.

The agent is the same in all rows: it follows advice as long as that works, and else tries tools at
random, never the same one twice between two calls that worked. It knows the tools and the names
in the task, and not the rules. It reads the advice as text: the steps of the best procedure, or
without one, of the lesson that tells of most steps that gave no error.

none: no memory. replay: the most similar run that succeeded, found by `search`, step by step
without those that gave an error (retrieval of whole runs, as in ExpRAG). memory: `learn` and
`advise`; procedures: the same, but the agent does not read lessons. "drift": at half time, half of
the kinds of tasks get new rules.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mneme
from mneme.settings import Settings

RESULTS = Path(__file__).parent / "results" / "experience.json"
SEEDS, EPISODES, MOST_STEPS = 10, 120, 25

TASKS = (
    "Refund order {order} for customer {customer}",
    "Cancel order {order} for customer {customer}",
    "Ship order {order} to warehouse {site}",
    "Move the stock of item {item} to warehouse {site}",
    "Count the stock of item {item} in warehouse {site}",
    "Send the invoice of order {order} to customer {customer}",
    "Open an account for customer {customer}",
    "Close the account of customer {customer}",
)
TOOLS = (
    "find_record", "lock_record", "check_balance", "approve", "notify", "print_label", "archive",
    "sign", "transfer", "verify_identity", "update_ledger", "book_slot",
)  # fmt: skip
IDLE = ("refresh", "ping", "list_users", "show_calendar")
NAMES = ("Avila", "Berg", "Castro", "Dahl", "Egede", "Frank", "Gupta", "Holm", "Ito", "Jansen")
LINE = re.compile(r"^\s*>?\s*\d+\. (?:Action: )?(\w+)\((.*?)\)(?: \(usually\))?$", re.MULTILINE)
ARGUMENT = re.compile(r"(\w+)=([^,)]*)")


@dataclass
class World:
    """Hidden rules: by kind of task, the tools in order; which of them give and need a token."""

    draw: random.Random
    plans: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plans = [self.new_plan() for _ in TASKS]

    def new_plan(self) -> list[str]:
        return self.draw.sample(TOOLS, self.draw.randint(3, 5))

    def drift(self) -> None:
        for kind in self.draw.sample(range(len(TASKS)), len(TASKS) // 2):
            self.plans[kind] = self.new_plan()

    def task(self) -> tuple[int, str, dict[str, str]]:
        kind = self.draw.randrange(len(TASKS))
        values = {
            "order": f"A{self.draw.randint(1000, 9999)}", "customer": self.draw.choice(NAMES),
            "site": f"W{self.draw.randint(1, 40)}", "item": f"I{self.draw.randint(100, 999)}",
        }  # fmt: skip
        names = re.findall(r"{(\w+)}", TASKS[kind])
        named = {name: values[name] for name in names}
        return kind, TASKS[kind].format(**named), named


class Episode:
    """One task being worked on."""

    def __init__(self, world: World, kind: int) -> None:
        self.plan, self.at = world.plans[kind], 0
        self.token = f"T{world.draw.randint(10000, 99999)}"

    @property
    def done(self) -> bool:
        return self.at == len(self.plan)

    def call(self, tool: str, arguments: dict[str, str]) -> str:
        if tool in IDLE:
            return '{"status": "ok"}'
        right = not self.done and self.plan[self.at] == tool
        if right and self.at > 1 and arguments.get("token") != self.token:
            right = False  # from the third call on, the token of the first result is asked for
        if not right:
            return "Error: not possible"
        self.at += 1
        told = {"status": "done" if self.done else "ok"}
        return json.dumps(told | ({"token": self.token} if self.at == 1 else {}))


class Agent:
    """Follows advice while it works, else tries."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def work(self, episode: Episode, entities: dict[str, str], advice: str) -> list[dict[str, Any]]:
        """The steps of a run."""
        steps: list[dict[str, Any]] = []
        known = dict(entities)
        planned = [(name, dict(ARGUMENT.findall(given))) for name, given in LINE.findall(advice)]
        tried: set[str] = set()
        while not episode.done and len(steps) < MOST_STEPS:
            if planned:
                tool, asked = planned.pop(0)
            else:
                left = [t for t in (*TOOLS, *IDLE) if t not in tried] or list(TOOLS)
                tool, asked = self.draw.choice(left), known
            arguments = {name: known[name] for name in asked if name in known}
            seen = episode.call(tool, arguments)
            steps.append({"action": {"name": tool, "arguments": arguments}, "observation": seen})
            tried.add(tool)
            if not seen.startswith("Error"):
                found = json.loads(seen)
                known |= {"token": found["token"]} if "token" in found else {}
                tried = tried if tool in IDLE else set()
            elif planned:
                planned = []  # it does not hold any more: explore
        return steps


def advice_of(space: mneme.Namespace, way: str, task: str) -> tuple[str, Any]:
    """What the agent is told, and what its run shall be counted for."""
    if way in {"memory", "procedures"}:
        hits = space.advise(task).hits
        lessons = [h for h in hits if h.cube.type == "lesson" and way == "memory"]
        furthest = max(lessons, key=lambda h: len(LINE.findall(h.cube.text)), default=None)
        best = next((h for h in hits if h.cube.type == "procedure"), furthest)
        return (best.cube.text, [best]) if best else ("", None)
    if way == "replay":
        hits = space.search(task, types=["event"], limit=20)
        best = next((h for h in hits if "\nOutcome: success\n" in h.cube.text), None)
        return (without_errors(best.cube.text) if best else ""), None
    return "", None


def without_errors(record: str) -> str:
    """The steps of a run that did not give an error."""
    steps = re.split(r"\n(?=\d+\. Action: )", record)
    return "\n".join(step for step in steps if "Observation: Error" not in step)


def run(way: str, seed: int, *, drifts: bool) -> list[tuple[bool, int]]:
    """By episode, whether it succeeded and in how many steps."""
    world, agent = World(random.Random(f"world {seed}")), Agent(random.Random(f"agent {seed}"))
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        mneme.open(folder, settings=Settings(worker=False)) as memory,
    ):
        space = memory.namespace("agent")
        for number in range(EPISODES):
            if drifts and number == EPISODES // 2:
                world.drift()
            kind, task, entities = world.task()
            told, counted = advice_of(space, way, task)
            episode = Episode(world, kind)
            steps = agent.work(episode, entities, told)
            found.append((episode.done, len(steps)))
            if way != "none":
                outcome = "success" if episode.done else "failure"
                space.learn(steps, task=task, outcome=outcome, advice=counted)
    return found


def figures(runs: list[list[tuple[bool, int]]], first: int, last: int) -> dict[str, Any]:
    """Success and steps of some episodes, mean and standard deviation over seeds."""
    won = [100 * statistics.mean(done for done, _ in found[first:last]) for found in runs]
    steps = [statistics.mean(count for _, count in found[first:last]) for found in runs]
    return {
        "success": round(statistics.mean(won), 1), "success_sd": round(statistics.stdev(won), 1),
        "steps": round(statistics.mean(steps), 2), "steps_sd": round(statistics.stdev(steps), 2),
    }  # fmt: skip


def main() -> None:
    rows = []
    for drifts in (False, True):
        for way in ("none", "replay", "procedures", "memory"):
            runs = [run(way, seed, drifts=drifts) for seed in range(SEEDS)]
            parts = {
                "episodes 1-30": (0, 30),
                "31-60": (30, 60),
                "61-90": (60, 90),
                "91-120": (90, 120),
            }
            told = {name: figures(runs, *part) for name, part in parts.items()}
            rows.append({"way": way, "drift": drifts, "all": figures(runs, 0, EPISODES)} | told)
            print(json.dumps(rows[-1]), flush=True)
    kept = {
        "seeds": SEEDS, "episodes": EPISODES, "most_steps": MOST_STEPS,
        "kinds_of_tasks": len(TASKS), "tools": len(TOOLS) + len(IDLE), "rows": rows,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
