"""Working memory on replayed conversations; JSON to `benchmarks/results/working.json`.

    nice -n 15 python benchmarks/working.py [--page | --long]

A conversation is added message by message to one session. After its middle and after its end,
questions are asked whose evidence was said by then, and each prompt is read: how much of the
evidence do its messages hold? A turn counts as held if half of it, counted in characters of whole
sentences, stands in the prompt. Arms, each within the same tokens by the same counter:

- window: the newest messages that fit, and nothing else;
- window + recall: half of the budget for one `recall`, the rest for the newest messages;
- low, middle, high: `context(budget_tokens=..., tier=...).messages(query)`;
- two searches: the middle tier with one more search for what is missing, to show what that gives.

Times are CPU milliseconds of this process, all threads: a busy machine cannot blur them.

The packaged ranking was fitted on these sets (docs/benchmarks-recall.md has figures out of fold);
both `recall` and the tiers rank with it, so compare arms, not figures with other pages.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import mneme
from measuring import load, machine_facts, percentile, save, timed
from mneme.core.tokens import EstimatedCounter
from mneme.recall.working import tiers
from mneme.recall.working.message import Message
from mneme.recall.working.unit import cost
from mneme.settings import Settings
from ranking_sets import Corpus, Turn, load_sets

BUDGETS = (1000, 2000, 4000, 8000)
TWO = "two searches"
TIERS = ("low", "middle", TWO, "high")
ARMS = ("window", "window + recall", *TIERS)
SETS = {"locomo": (3, 25), "beam100k": (1, 18)}  # conversations, questions of each
RESULT = "working.json"
SESSION = "talk"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SOUND = re.compile(r"[^\w]+")
_LEAST_CHARS = 12

Chats = list[dict[str, Any]]


@dataclass
class Tally:
    """What one arm reached with one budget."""

    held: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    recalls: list[int] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """As they are kept."""
        return {
            "questions": len(self.held),
            "evidence": 100 * statistics.mean(self.held),
            "all of it": 100 * statistics.mean(each == 1 for each in self.held),
            "tokens": statistics.mean(self.tokens),
            "most tokens": max(self.tokens),
            "ms": statistics.median(self.ms),
            "ms p95": percentile(self.ms, 95),
            "recalls": statistics.mean(self.recalls),
        }


def sound(text: str) -> str:
    """A text without what packing may change."""
    return _SOUND.sub(" ", text.casefold())


def share_held(turn: Turn, prompt: str) -> bool:
    """Whether half of a turn stands in a prompt, in whole sentences."""
    pieces = [sound(piece).strip() for piece in _SENTENCE.split(turn["text"])]
    long = [piece for piece in pieces if len(piece) >= _LEAST_CHARS] or [sound(turn["text"])]
    held = sum(len(piece) for piece in long if piece in prompt)
    return held >= sum(map(len, long)) / 2


def message_of(turn: Turn) -> dict[str, Any]:
    """A turn as a message; LoCoMo's speakers are two people."""
    if turn["speaker"] in {"user", "assistant"}:
        return {"role": turn["speaker"], "content": turn["text"], "at": turn["timestamp"]}
    return {
        "role": "user", "name": turn["speaker"], "content": turn["text"], "at": turn["timestamp"],
    }  # fmt: skip


def newest(turns: list[Turn], room: int, counter: EstimatedCounter) -> Chats:
    """The newest messages that fit."""
    chats: Chats = []
    for turn in reversed(turns):
        message = message_of(turn)
        del message["at"]
        chat = Message(**message).to_chat()
        room -= cost(chat, counter)
        if room < 0:
            break
        chats.insert(0, chat)
    return chats


class Replay:
    """One conversation over a store of its own."""

    def __init__(self, corpus: Corpus, folder: str, questions: int) -> None:
        self.corpus, self.counter = corpus, EstimatedCounter()
        self.memory = mneme.open(folder, settings=Settings(worker=False))
        self.owner = self.memory.namespace("owner")
        self.agent = self.owner.context(budget_tokens=4000, session=SESSION)
        self.work = {
            (b, tier): self.owner.context(budget_tokens=b, session=SESSION, tier=tier)
            for b in BUDGETS
            for tier in TIERS
        }  # each with a pool of its own
        self.turn_of = {turn["id"]: turn for turn in corpus.turns}
        self.sample = random.Random(corpus.name).sample(
            corpus.cases, min(questions, len(corpus.cases))
        )
        self.add_ms: list[float] = []
        self.step_ms: list[float] = []

    def run(self, tallies: dict[tuple[int, str], Tally]) -> None:
        turns = self.corpus.turns
        middle = len(turns) // 2
        for number, turn in enumerate(turns, start=1):
            begun = time.process_time()
            self.agent.add(message_of(turn))
            added = time.process_time()
            self.agent.messages()
            self.add_ms.append((added - begun) * 1e3)
            self.step_ms.append((time.process_time() - added) * 1e3)
            if number in (middle, len(turns)):
                self.memory.drain()
                self.ask(turns[:number], tallies)
        self.memory.close()

    def ask(self, said: list[Turn], tallies: dict[tuple[int, str], Tally]) -> None:
        known = {turn["id"] for turn in said}
        for case in self.sample:
            wanted = case.question["evidence"]
            if not wanted or not set(wanted) <= known:
                continue
            for budget in BUDGETS:
                for arm in ARMS:
                    tally = tallies[budget, arm]
                    begun = time.process_time()
                    chats, recalls = self.prompt(arm, budget, case.question, said)
                    tally.ms.append((time.process_time() - begun) * 1e3)
                    tally.tokens.append(sum(cost(chat, self.counter) for chat in chats))
                    tally.recalls.append(recalls)
                    prompt = sound(" ".join(chat["content"] for chat in chats))
                    held = [share_held(self.turn_of[i], prompt) for i in wanted]
                    tally.held.append(statistics.mean(held))

    def prompt(
        self, arm: str, budget: int, question: dict[str, Any], said: list[Turn]
    ) -> tuple[Chats, int]:
        now = question["now"]
        if arm in TIERS:
            work = self.work[budget, arm]
            return work.messages(question["text"], now=now), work.cost.recalls
        chats: Chats = []
        if arm == "window + recall":
            context = self.owner.recall(question["text"], budget_tokens=budget // 2 - 8, now=now)
            chats = context.to_messages()
        room = budget - sum(cost(chat, self.counter) for chat in chats)
        return [*chats, *newest(said, room, self.counter)], len(chats)


def measure() -> dict[str, Any]:
    tiers.TIERS = MappingProxyType(
        {**tiers.TIERS, TWO: replace(tiers.TIERS["middle"], name=TWO, rounds=2)}
    )
    kept: dict[str, Any] = {"machine": machine_facts(), "sets": {}}
    for name, (most, questions) in SETS.items():
        tallies: dict[tuple[int, str], Tally] = defaultdict(Tally)
        add_ms: list[float] = []
        step_ms: list[float] = []
        corpora = load_sets((name,))[:most]
        for corpus in corpora:
            with tempfile.TemporaryDirectory() as folder:
                replay = Replay(corpus, folder, questions)
                replay.run(tallies)
            add_ms += replay.add_ms
            step_ms += replay.step_ms
            print(name, corpus.name, len(corpus.turns), "turns", flush=True)
        kept["sets"][name] = {
            "conversations": [corpus.name for corpus in corpora],
            "turns": len(add_ms),
            "add ms": {"median": statistics.median(add_ms), "p95": percentile(add_ms, 95)},
            "messages ms": {"median": statistics.median(step_ms), "p95": percentile(step_ms, 95)},
            "budgets": {str(b): {arm: tallies[b, arm].figures() for arm in ARMS} for b in BUDGETS},
        }
        save(RESULT, kept)
    return kept


def long_session(messages: int = 10_000) -> dict[str, Any]:
    """CPU milliseconds of one step in a long session of made-up messages."""
    talk = [
        {"role": "user", "content": f"Message {n}: town{n % 97}, stone {n * 7}, {n % 30} km."}
        for n in range(messages)
    ]
    figures: dict[str, Any] = {"messages": messages}
    with (
        tempfile.TemporaryDirectory() as folder,
        mneme.open(folder, settings=Settings(worker=False)) as memory,
    ):
        owner = memory.namespace("owner")
        owner.add_many([{"content": each, "session": SESSION} for each in talk])
        work, _, opened = timed(lambda: owner.context(session=SESSION))
        work.messages("Which stone was near town41?")  # builds the index
        figures["open ms"] = opened * 1e3
        for name, step in {
            "add ms": lambda: work.add("Next, please."),
            "messages ms": work.messages,
            "query ms": lambda: work.messages("Which stone was near town41?"),
        }.items():
            figures[name] = statistics.median(timed(step)[2] * 1e3 for _ in range(7))
    return figures


def table(kept: dict[str, Any]) -> str:
    """The figures as a page shows them."""
    lines = ["| set | tokens | " + " | ".join(ARMS) + " |", "|---" * (len(ARMS) + 2) + "|"]
    for name, found in kept["sets"].items():
        for budget, arms in found["budgets"].items():
            cells = [f"{arms[arm]['evidence']:.1f}" for arm in ARMS]
            lines.append(f"| {name} | {budget} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| set | add, CPU ms | " + " | ".join(f"{arm}, CPU ms (recalls)" for arm in ARMS) + " |",
    ]
    lines.append("|---" * (len(ARMS) + 2) + "|")
    for name, found in kept["sets"].items():
        arms = found["budgets"]["4000"]
        cells = [f"{arms[arm]['ms']:.0f} ({arms[arm]['recalls']:.1f})" for arm in ARMS]
        lines.append(f"| {name} | {found['add ms']['median']:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="only print the kept figures")
    parser.add_argument("--long", action="store_true", help="only measure a long session anew")
    arguments = parser.parse_args()
    kept = load(RESULT) if arguments.page or arguments.long else measure()
    if not arguments.page:
        kept["long session"] = long_session()
        save(RESULT, kept)
    print(table(kept))


if __name__ == "__main__":
    main()
