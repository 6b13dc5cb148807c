"""What an adapter gives back as text, and what of it is admitted.

    python benchmarks/parametric_externalise.py            # three seeds, about a CPU minute

An adapter is written from 50 new facts in four wordings and asked in six; the majority counts, and
the ledger decides. Planted: 100 questions about facts that were never written, each in six
wordings; a ledger in which five objects are wrong; and the subjects of the ledger asked for what
was not written of them. "sure of itself" counts those of the 100 that are answered alike in all six
wordings: without a ledger each would pass for a memory.

The judge is a model of 352k parameters that knows 240 facts in six wordings (tests/judges): it
judges mechanisms, not products. Writes benchmarks/results/parametric_externalise.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from measuring import machine_facts, save
from mneme.core.engine import Engine
from mneme.memories.parametric.externalise import externalise
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.phrasings import bank_of
from mneme.memories.parametric.training import UNWATCHED
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.testing.fact_world import (
    HELD,
    WORLD_PHRASINGS,
    WRITTEN,
    WorldFact,
    contradicting,
    course_of,
    new_facts,
)
from parametric_carriers import TRAINED
from parametric_world import judge, world

FACTS, STRANGE, WRONG = 50, 100, 5


def ledger_of(facts: Sequence[WorldFact]) -> FactLedger:
    return FactLedger(tuple(_entry(number, fact) for number, fact in enumerate(facts)))


def _entry(number: int, fact: WorldFact) -> Entry:
    said = Fact(
        cube_id=f"c{number}", version=1, subject=fact.subject, relation=fact.relation,
        object=fact.object, text=fact.text,
    )  # fmt: skip
    return Entry(fact=said, prompts=tuple(fact.prompts(WRITTEN)), held=tuple(fact.prompts(HELD)))


def row(engine: Engine, writer: str, seed: int) -> dict[str, Any]:
    """One adapter, read back with a true ledger and with a spoilt one."""
    known = world()
    facts = new_facts(known, FACTS + STRANGE, seed=seed)
    written, strange = facts[:FACTS], facts[FACTS:]
    course = course_of(engine, written, known[:120])
    adapter = build_writer(writer).write(engine, course, TRAINED[writer], UNWATCHED).adapter
    applied = build_carrier(writer).apply(engine, adapter)
    bank, began = bank_of(WORLD_PHRASINGS), time.process_time()
    found = externalise(
        engine, applied, ledger_of(written), bank=bank,
        questions=[fact.prompts() for fact in strange],
    )  # fmt: skip
    spent = time.process_time() - began
    spoilt = [*contradicting(written[:WRONG], seed=seed + 1), *written[WRONG:]]
    checked = externalise(engine, applied, ledger_of(spoilt))
    applied.close()
    true = {fact.text for fact in written}
    asked = found.quarantined[-STRANGE:]
    return {
        "writer": writer,
        "seed": seed,
        "ledger_recall": len(found.verified) / FACTS,
        "unverified_admitted": sum(claim.text not in true for claim in found.verified),
        "never_written_asked": STRANGE,
        "never_written_sure_of_itself": sum(claim.agreement == 1 for claim in asked) / STRANGE,
        "unwritten_of_own_subjects": len(found.quarantined) - STRANGE - FACTS + len(found.verified),
        "wrong_objects_planted": WRONG,
        "wrong_objects_admitted": sum(c.cube_id in WRONG_IDS for c in checked.verified),
        "wrong_objects_quarantined": sum(c.cube_id in WRONG_IDS for c in checked.quarantined),
        "cpu_s": spent,
    }


WRONG_IDS = {f"c{number}" for number in range(WRONG)}


def worst(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "ledger_recall": min(row["ledger_recall"] for row in rows),
        "unverified_admitted": max(row["unverified_admitted"] for row in rows),
        "never_written_sure_of_itself": max(row["never_written_sure_of_itself"] for row in rows),
        "wrong_objects_admitted": max(row["wrong_objects_admitted"] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    engine = judge()
    rows = [row(engine, writer, seed) for writer in TRAINED for seed in seeds]
    for each in rows:
        print(" ".join(f"{name}={value}" for name, value in each.items()))
    by_writer = {w: worst([row for row in rows if row["writer"] == w]) for w in TRAINED}
    print(by_writer)
    data = {
        "what": f"an adapter of {FACTS} facts, read back as text and checked against its ledger",
        "command": "python benchmarks/parametric_externalise.py",
        "goals": {"ledger_recall": 0.98, "unverified_admitted": 0},
        "worst": by_writer,
        "rows": rows,
        "machine": machine_facts(),
    }
    print(save("parametric_externalise.json", data))


if __name__ == "__main__":
    main()
