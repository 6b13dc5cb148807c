"""Taking facts back out of weights: the exact way, the approximate ways, and checks that can fail.

    nice python benchmarks/parametric_unlearn.py            # three seeds, some ten CPU minutes

Exact: 200 facts stand in four shards of 50; 20 are erased, five of each shard or all of one. The
shards concerned are dropped and written again, from the base and the rest of their ledgers.
"forgotten" is the share of the prompts about the 20 that are answered right (routed), "never
learned" the same of the base, which never saw them, and "with the shard on" the same of the
rewritten shards, were they on for these prompts. "difference" is the greatest difference of logits,
over all prompts, of a rewritten shard from one that was written in a process of its own by
somebody who never had the 20 facts.

Planted: the same checks where something is wrong. "continued": shards go on from the old ones
instead of from the base. "leaking router": what no shard has goes to some shard, not to the base.
"stale": the old shards stay on. "told" says whether a check failed, as it must.

Approximate: one adapter of 80 facts (rank 8), always on, 20 facts taken out by each unlearner;
"exact" is an adapter that was written without them. "log p" is the mean log-probability of the
forgotten answers. "come back": five of the 20 are told again, gently, and this share of the prompts
about the others is answered right then. Wordings to write with and those held back alike.

The judge is a model of 352k parameters: it ranks mechanisms, not products. Routing is by a
dictionary of (subject, relation). Writes benchmarks/results/parametric_unlearn.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from measuring import machine_facts, save
from mneme.core.engine import Engine
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.training import UNWATCHED, Lesson, Training
from mneme.memories.parametric.unlearn import NAMES, build_unlearner
from mneme.memories.parametric.unlearn.damage import Damage, damage
from mneme.memories.parametric.unlearn.opened import Opened
from mneme.memories.parametric.writers import build_writer
from mneme.memories.parametric.writers.loop import Pupil, train
from mneme.testing.fact_world import WRITTEN, WorldFact, course_of, new_facts, prompt_of
from parametric_world import EVERY, judge, world

SHARDS, EACH, ERASED = 4, 50, 20
ONE, ONE_RANK = 80, 8  # facts and rank of the adapter for the approximate ways
GOALS = {"forgotten_over_never_learned": 0.0, "others": 1.0, "base": 1.0, "difference": 0.0,
         "cpu_s_of_a_shard": 10.0}  # fmt: skip

Route = Callable[[WorldFact], Adapter | None]


class Written(NamedTuple):
    adapter: Adapter
    cpu_s: float


def write(engine: Engine, facts: Sequence[WorldFact], seed: int, rank: int = 2) -> Written:
    began = time.process_time()
    course = course_of(engine, facts, world()[:120])
    made = build_writer("lora").write(engine, course, Training(rank=rank, seed=seed), UNWATCHED)
    return Written(made.adapter, time.process_time() - began)


def write_elsewhere(like: Adapter, facts: Sequence[WorldFact], seed: int) -> Adapter:
    """By another process, which is told nothing but these facts; named like another adapter."""
    with tempfile.TemporaryDirectory() as folder:
        told = [part for fact in facts for part in fact]
        command = [sys.executable, __file__, "--alone", folder, str(seed), *told]
        subprocess.run(command, check=True)
        tensors = load_file(Path(folder, "adapter.safetensors"))
    return replace(like, tensors=tensors)


class Going:
    """An adapter that training goes on with: the wrong way."""

    past = None

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    @contextmanager
    def on(self) -> Iterator[None]:
        with self._opened.on():
            yield

    def close(self) -> None:
        """Nothing is held."""


def continued(
    engine: Engine, old: Adapter, facts: Sequence[WorldFact], seed: int
) -> Adapter:  # planted
    opened = Opened(engine, old)
    weights = {str(at): each for at, each in enumerate(opened.moving)}
    pupil = Pupil(weights, Going(opened), 1e-2, 0.03, "continued")
    course = course_of(engine, facts, world()[:120])
    train(engine, course, Training(seed=seed), UNWATCHED, pupil)
    return opened.closed()


def right(engine: Engine, facts: Sequence[WorldFact], route: Route) -> float:
    """Share of the prompts, in all wordings, that are answered right."""
    groups: dict[int, tuple[Adapter | None, list[WorldFact]]] = {}
    for fact in facts:
        adapter = route(fact)
        groups.setdefault(id(adapter), (adapter, []))[1].append(fact)
    good = 0
    for adapter, part in groups.values():
        best = logits(engine, adapter, part).argmax(-1)
        good += int((best == torch.tensor(objects(engine, part))).sum())
    return good / (len(facts) * len(EVERY))


def logits(engine: Engine, adapter: Adapter | None, facts: Sequence[WorldFact]) -> torch.Tensor:
    prompts = [prompt_of(engine, prompt) for fact in facts for prompt in fact.prompts()]
    if adapter is None:
        return next_logits(engine, prompts)
    applied = LoraCarrier().apply(engine, adapter)
    found = next_logits(engine, prompts, applied)
    applied.close()
    return found


def objects(engine: Engine, facts: Sequence[WorldFact]) -> list[int]:
    return [engine.encode(fact.object)[0] for fact in facts for _ in EVERY]


class Case(NamedTuple):
    """Shards, and what is erased of them."""

    shards: list[list[WorldFact]]
    gone: list[WorldFact]

    @property
    def kept(self) -> list[list[WorldFact]]:
        return [[fact for fact in shard if fact not in self.gone] for shard in self.shards]

    @property
    def concerned(self) -> list[int]:
        return [at for at, (a, b) in enumerate(zip(self.shards, self.kept, strict=True)) if a != b]


def checked(
    engine: Engine, case: Case, now: Mapping[int, Adapter], never: Mapping[int, Adapter],
    route: Route,
) -> dict[str, Any]:  # fmt: skip
    """The checks, whatever was planted."""
    others = [fact for shard in case.kept for fact in shard]
    facts = [*case.gone, *others, *world()]
    far = max(
        float((logits(engine, now[at], facts) - logits(engine, never[at], facts)).abs().max())
        for at in never
    )
    owner = {fact: now[at] for at, s in enumerate(case.shards) for fact in s if fact in case.gone}
    row = {
        "forgotten": right(engine, case.gone, route),
        "never_learned": right(engine, case.gone, lambda _: None),
        "forgotten_with_the_shard_on": right(engine, case.gone, owner.get),
        "others": right(engine, others, route),
        "base": right(engine, world(), route),
        "difference": far,
    }
    told = [
        name
        for name, failed in {
            "forgotten": row["forgotten"] > row["never_learned"],
            "others": row["others"] < 1,
            "base": row["base"] < 1,
            "difference": far > 0,
        }.items()
        if failed
    ]
    return {**row, "told": ", ".join(told) or "nothing"}


def by_slot(case: Case, shards: Mapping[int, Adapter], *, stale: bool = False) -> Route:
    held = case.shards if stale else case.kept
    owner = {fact[:2]: shards[at] for at, facts in enumerate(held) for fact in facts}
    return lambda fact: owner.get(fact[:2])


def leaking(route: Route, strange: Adapter) -> Route:  # planted
    return lambda fact: route(fact) or strange


def exact(engine: Engine, seed: int) -> list[dict[str, Any]]:
    facts = new_facts(world(), SHARDS * EACH, seed=seed)
    shards = [facts[at : at + EACH] for at in range(0, len(facts), EACH)]
    first = {at: write(engine, shard, seed).adapter for at, shard in enumerate(shards)}
    each = ERASED // SHARDS
    cases = {
        "five of each shard": Case(shards, [fact for shard in shards for fact in shard[:each]]),
        "twenty of one shard": Case(shards, shards[1][10 : 10 + ERASED]),
    }
    rows = []
    for name, case in cases.items():
        again = {at: write(engine, case.kept[at], seed) for at in case.concerned}
        now = first | {at: made.adapter for at, made in again.items()}
        one = case.concerned[-1]
        never = {one: write_elsewhere(again[one].adapter, case.kept[one], seed)}
        cost = {
            "shards_rewritten": len(again),
            "cpu_s_of_a_shard": max(w.cpu_s for w in again.values()),
        }
        row = checked(engine, case, now, never, by_slot(case, now))
        rows.append({"part": "exact", "case": name, "seed": seed, **row, **cost})
        if len(again) > 1:
            continue
        on = first | {one: continued(engine, first[one], case.kept[one], seed)}
        planted = {
            "continued": (on, by_slot(case, on)),
            "leaking router": (now, leaking(by_slot(case, now), now[one])),
            "stale": (first, by_slot(case, first, stale=True)),
        }
        for wrong, (shown, route) in planted.items():
            row = checked(engine, case, shown, never, route)
            rows.append({"part": "planted", "case": wrong, "seed": seed, **row})
    return rows


def lessons(engine: Engine, facts: Sequence[WorldFact], wordings: Sequence[int]) -> list[Lesson]:
    end = () if engine.end is None else (engine.end,)
    return [
        Lesson(prompt_of(engine, prompt), (*engine.encode(fact.object), *end), at)
        for at, fact in enumerate(facts)
        for prompt in fact.prompts(wordings)
    ]


def approximate(engine: Engine, seed: int) -> list[dict[str, Any]]:
    facts = new_facts(world(), ONE, seed=seed)
    gone, kept = facts[:ERASED], facts[ERASED:]
    whole, without = (write(engine, part, seed, ONE_RANK) for part in (facts, kept))
    probes = [prompt_of(engine, prompt) for fact in world()[120:] for prompt in fact.prompts()]
    asked = lessons(engine, gone, EVERY), lessons(engine, kept, EVERY)
    tried = {"exact": (without.adapter, without.cpu_s), "nothing done": (whole.adapter, 0.0)}
    for name in NAMES:
        done = build_unlearner(name).unlearn(
            engine, whole.adapter, lessons(engine, gone, WRITTEN), lessons(engine, kept, WRITTEN),
            seed=seed,
        )  # fmt: skip
        tried[name] = done.adapter, done.figures["cpu_s"]
    return [
        {"part": "approximate", "case": name, "seed": seed, "cpu_s": cpu_s,
         **told(damage(engine, whole.adapter, adapter, *asked, probes))}
        for name, (adapter, cpu_s) in tried.items()
    ]  # fmt: skip


def told(found: Damage) -> dict[str, Any]:
    return {
        "forgotten": found.after.forgotten,
        "retained": found.after.retained,
        "base_kept": found.after.base_kept,
        "base_kept_before": found.before.base_kept,
        "log_p": found.logp,
        "log_p_never_learned": found.never_logp,
        "come_back": found.relearned,
    }


LOW = {"others", "base", "retained", "base_kept", "base_kept_before"}  # the lowest is the worst


def worst(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the seeds of each case; of `told`, what every seed told."""
    found = []
    for part, case in dict.fromkeys((row["part"], row["case"]) for row in rows):
        mine = [row for row in rows if (row["part"], row["case"]) == (part, case)]
        row: dict[str, Any] = {"part": part, "case": case}
        for key in [key for key in mine[0] if key not in {"part", "case", "seed"}]:
            values = [each[key] for each in mine]
            if key == "told":
                sets = [set(value.split(", ")) for value in values]
                row[key] = ", ".join(sorted(set.intersection(*sets))) or "nothing in all seeds"
            else:
                row[key] = min(values) if key in LOW else max(values)
        found.append(row)
    return found


def alone(folder: str, seed: str, told: Sequence[str]) -> None:
    facts = [WorldFact(*told[at : at + 3]) for at in range(0, len(told), 3)]
    made = write(judge(), facts, int(seed))
    save_file(dict(made.adapter.tensors), Path(folder, "adapter.safetensors"))


def result(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    said = " ".join((__doc__ or "").split("\n\n", 2)[2].split())
    return {
        "what": f"{said} The worst of seeds {sorted({row['seed'] for row in seeds})}.",
        "command": "python benchmarks/parametric_unlearn.py",
        "goals": GOALS,
        "rows": worst(seeds),
        "seeds": list(seeds),
        "machine": machine_facts(),
    }


PARTS = {"exact": exact, "approximate": approximate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", nargs="+", default=[])
    parser.add_argument("--only", nargs=3, metavar=("PART", "SEED", "FILE"), help="rows of one run")
    parser.add_argument("--join", nargs="+", metavar="FILE", help="of what --only wrote")
    given = parser.parse_args()
    if given.alone:
        alone(given.alone[0], given.alone[1], given.alone[2:])
    elif given.only:
        part, seed, file = given.only
        Path(file).write_text(json.dumps(PARTS[part](judge(), int(seed))), encoding="utf-8")
    elif given.join:
        rows = [row for file in given.join for row in json.loads(Path(file).read_text("utf-8"))]
        save("parametric_unlearn.json", result(rows))
    else:
        engine = judge()
        seeds = [row for part in PARTS.values() for n in range(3) for row in part(engine, n)]
        save("parametric_unlearn.json", result(seeds))


if __name__ == "__main__":
    main()
