"""What stays of what a model knew, against the number of facts written into it.

    python benchmarks/parametric_picture.py            # three seeds, some minutes
    python benchmarks/parametric_picture.py --draw     # only the picture, out of the result

Always on: one adapter with all the facts is on for every question, written with replay as it is by
default (KL to the base on prompts near the facts and on everyday ones; none of what is asked) and
without. Routed: shards of at most 50 facts, each on only for questions that are routed to it. The
judge is a model of 352k parameters that knows 240 facts. Needs matplotlib to draw. Writes
benchmarks/results/parametric_locality.json and docs/images/parametric-locality.svg.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch

from measuring import REPO, load, machine_facts, save
from mneme.core.engine import Engine
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.course import course_of, knows
from mneme.memories.parametric.facts import Fact, FactLedger
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.phrasings import Bank, bank_of
from mneme.memories.parametric.router import RouterIndex
from mneme.memories.parametric.synthesis import entries_of
from mneme.memories.parametric.training import UNWATCHED, Training
from mneme.memories.parametric.writers import build_writer
from mneme.testing.fact_world import (
    HELD,
    WORLD_PHRASINGS,
    WRITTEN,
    WorldFact,
    prompt_of,
)  # fmt: skip
from parametric_world import fresh, judge, world

PICTURE = REPO / "docs" / "images" / "parametric-locality.svg"
SIZES = (10, 50, 100, 200)
SHARD = 50
WAYS = {
    "routed": ("routed shards of 50", "#1e8449", "^"),
    "always_on_replay": ("always on, with KL replay", "#1f618d", "s"),
    "always_on": ("always on, without replay", "#b03a2e", "o"),
}


class Trial:
    """One model, and what it knew."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.probes = engine, world()
        self.bank: Bank = bank_of(WORLD_PHRASINGS)
        self._shards: dict[tuple[tuple[WorldFact, ...], int], Adapter] = {}

    def write(self, facts: Sequence[WorldFact], seed: int, *, replay: bool) -> Adapter:
        course = course_of(self.engine, self.ledger(facts, 0), bank=self.bank)
        training = Training(rank=2, seed=seed, replay=1.0 if replay else 0.0)
        return build_writer("lora").write(self.engine, course, training, UNWATCHED).adapter

    def right(
        self, adapter: Adapter | None, facts: Sequence[WorldFact], wordings: Sequence[int]
    ) -> float:
        """Share of right answers with an adapter on for every question."""
        applied = LoraCarrier().apply(self.engine, adapter) if adapter else None
        prompts = [prompt_of(self.engine, p) for fact in facts for p in fact.prompts(wordings)]
        best = next_logits(self.engine, prompts, applied).argmax(-1).tolist()
        if applied is not None:
            applied.close()
        wanted = [fact.object for fact in facts for _ in wordings]
        said = [self.engine.decode([token]).strip() for token in best]
        return sum(a == b for a, b in zip(said, wanted, strict=True)) / len(wanted)

    def always_on(self, facts: Sequence[WorldFact], seed: int, *, replay: bool) -> dict[str, float]:
        adapter = self.write(facts, seed, replay=replay)
        return {
            "efficacy": self.right(adapter, facts, WRITTEN),
            "paraphrase": self.right(adapter, facts, HELD),
            "locality": self.right(adapter, self.probes, range(6)),
        }

    def shard(self, facts: tuple[WorldFact, ...], seed: int) -> Adapter:
        """Written once, though several sizes have it."""
        if (facts, seed) not in self._shards:
            self._shards[facts, seed] = self.write(facts, seed, replay=True)
        return self._shards[facts, seed]

    def routed(self, facts: Sequence[WorldFact], seed: int) -> dict[str, float]:
        index, adapters = RouterIndex(self.bank), {}
        for at in range(0, len(facts), SHARD):
            part = facts[at : at + SHARD]
            adapters[str(at)] = self.shard(tuple(part), seed)
            index.put(str(at), self.ledger(part, at))
        return {
            "efficacy": self.by_route(index, adapters, facts, WRITTEN),
            "paraphrase": self.by_route(index, adapters, facts, HELD),
            "locality": self.by_route(index, adapters, self.probes, range(6)),
        }

    def ledger(self, facts: Sequence[WorldFact], first: int) -> FactLedger:
        said = [
            Fact(
                cube_id=f"{first + at}", version=1, subject=each.subject, relation=each.relation,
                object=each.object, text=each.text,
            )
            for at, each in enumerate(facts)
        ]  # fmt: skip
        found = entries_of(said, self.bank, known=lambda text: knows(self.engine, text))
        return FactLedger(tuple(found.entries))

    def by_route(
        self,
        index: RouterIndex,
        adapters: dict[str, Adapter],
        facts: Sequence[WorldFact],
        wordings: Sequence[int],
    ) -> float:
        """Share of right answers, each question with the shard that it is routed to, or none."""
        groups: dict[str | None, list[tuple[str, str]]] = {}
        for fact in facts:
            for prompt in fact.prompts(wordings):
                found = index.route(prompt)
                shard = found.matches[0].shard if found.covered and found.matches else None
                groups.setdefault(shard, []).append((prompt, fact.object))
        right = 0
        for shard, pairs in groups.items():
            applied = LoraCarrier().apply(self.engine, adapters[shard]) if shard else None
            prompts = [prompt_of(self.engine, prompt) for prompt, _ in pairs]
            best = next_logits(self.engine, prompts, applied).argmax(-1).tolist()
            if applied is not None:
                applied.close()
            said = [self.engine.decode([token]).strip() for token in best]
            right += sum(a == b for a, (_, b) in zip(said, pairs, strict=True))
        return right / (len(facts) * len(wordings))


def measured(seeds: int) -> list[dict[str, Any]]:
    trial, rows = Trial(judge()), []
    print(f"before: {trial.right(None, trial.probes, range(6)):.3f} of what it knew")
    for count in SIZES:
        for seed in range(seeds):
            facts = fresh(max(SIZES), seed)[:count]
            found = {
                "routed": trial.routed(facts, seed),
                "always_on_replay": trial.always_on(facts, seed, replay=True),
                "always_on": trial.always_on(facts, seed, replay=False),
            }
            for way, figures in found.items():
                rows.append({"facts": count, "seed": seed, "way": way, **figures})
                print(rows[-1], flush=True)
    return rows


def worst(rows: Sequence[dict[str, Any]], way: str, count: int, figure: str = "locality") -> float:
    return min(row[figure] for row in rows if (row["way"], row["facts"]) == (way, count))


def best(rows: Sequence[dict[str, Any]], way: str, count: int) -> float:
    return max(row["locality"] for row in rows if (row["way"], row["facts"]) == (way, count))


def draw(rows: Sequence[dict[str, Any]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mneme"
    import matplotlib.pyplot as plt

    counts = sorted({row["facts"] for row in rows})
    figure, axes = plt.subplots(figsize=(7, 4))
    for way, (label, colour, mark) in WAYS.items():
        low = [worst(rows, way, count) for count in counts]
        high = [best(rows, way, count) for count in counts]
        axes.plot(counts, low, label=label, color=colour, marker=mark, linewidth=1.5)
        axes.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(1.0, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="facts written (rank 2)", ylabel="of what the base knew, still right",
        xscale="log", ylim=(0, 1.05),
    )  # fmt: skip
    axes.set_xticks(counts)
    axes.set_xticklabels([str(count) for count in counts])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="center")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        "Locality of a model of 352k parameters (worst of three seeds; band: to the best)"
    )
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draw", action="store_true", help="only the picture, out of the result")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.draw:
        found = {
            "what": "share of right answers to new facts (efficacy, held paraphrase) and to those "
            "that the base knew (locality), by how the adapter is used",
            "command": "python benchmarks/parametric_picture.py",
            "machine": machine_facts(),
            "rows": measured(asked.seeds),
        }
        print("wrote", save("parametric_locality.json", found))
    draw(load("parametric_locality.json")["rows"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
