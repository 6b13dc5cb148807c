"""What the gate measures of good shards, and what it says of wrong parts that were planted.

    python benchmarks/parametric_gate.py

The judge's world, 50 new facts, LoRA of rank 2, three seeds. The planted parts: a router that sends
everything to the shard, an index of another owner that leads to it, an adapter written from other
objects, one that stays on after it was switched off, one of another base, newer text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import mneme
from measuring import RESULTS, machine_facts, timed
from mneme.memories.parametric.adapter import Applied, base_of
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.gate import probe_logits, run_gate
from mneme.memories.parametric.gate_report import GateReport
from mneme.memories.parametric.phrasings import packaged_bank
from mneme.memories.parametric.router import Match, Route, RouterIndex
from mneme.memories.parametric.training import UNWATCHED, Training
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.testing.fact_world import (
    HELD,
    WORDINGS,
    WRITTEN,
    WorldFact,
    contradicting,
    course_of,
    known_facts,
    new_facts,
)

JUDGE = Path(__file__).parents[1] / "tests" / "judges" / "models" / "facts"
SHARD = "alice/0001"
COMMAND = "python benchmarks/parametric_gate.py"
WHAT = (
    "The judge's world, 50 new facts, LoRA of rank 2, 120 of the base's facts replayed and the "
    "other 120 asked as probes. Each row but 'nothing' has one wrong part planted; the gate must "
    "fail it. Size: bytes of float32 tensors for each fact."
)


class Everything:
    """Routes all questions to one entry."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def route(self, question: str) -> Route:
        return Route((Match(SHARD, self._entry, question),), True, "everything")

    def shards(self) -> tuple[str, ...]:
        return ()


class Sticky:
    """On for good once it was on."""

    past = None

    def __init__(self, inner: Applied) -> None:
        self._inner, self._open = inner, None

    @contextmanager
    def on(self) -> Iterator[None]:
        if self._open is None:
            self._open = self._inner.on()
            self._open.__enter__()
        yield

    def close(self) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)


def ledger_of(facts: Sequence[WorldFact]) -> FactLedger:
    said = [
        Fact(cube_id=f"cube{at}", version=1, subject=f.subject, relation=f.relation,
             object=f.object, text=f.text) for at, f in enumerate(facts)
    ]  # fmt: skip
    return FactLedger(tuple(
        Entry(fact=fact, prompts=tuple(f.prompts(WRITTEN)), held=tuple(f.prompts(HELD)))
        for fact, f in zip(said, facts, strict=True)
    ))  # fmt: skip


def index_of(ledger: FactLedger) -> RouterIndex:
    index = RouterIndex(packaged_bank())
    index.put(SHARD, ledger)
    return index


def one_seed(engine: Any, known: list[WorldFact], seed: int) -> list[dict[str, Any]]:
    facts = new_facts(known, 50, seed=seed)
    course = course_of(engine, facts, known[:120])
    written, _, write_s = timed(
        lambda: build_writer("lora").write(engine, course, Training(seed=seed), UNWATCHED)
    )
    adapter, ledger = written.adapter, ledger_of(facts)
    probes = [prompt for fact in known[120:] for prompt in fact.prompts(HELD)]
    told = {fact[:2] for fact in facts}
    near = [WorldFact(name, relation, "") for name in sorted({f.subject for f in facts})
            for relation in WORDINGS if (name, relation) not in told]  # fmt: skip
    before = probe_logits(engine, probes)
    applied = build_carrier("lora").apply(engine, adapter)
    given = {
        "adapter_base": adapter.base, "index": index_of(ledger), "shard": SHARD,
        "probes": probes, "neighbours": [p for fact in near for p in fact.prompts()],
        "size_bytes": sum(part.numel() * 4 for part in adapter.tensors.values()),
        "before": before,
    }  # fmt: skip
    assert adapter.base == base_of(engine.fields)

    def judged(with_: Any = applied, of: FactLedger = ledger, **changed: Any) -> GateReport:
        return run_gate(engine, with_, of, **{**given, **changed})

    good, _, gate_s = timed(judged)
    other, sticky = ledger_of(contradicting(facts)), Sticky(applied)
    rows = [row("nothing", seed, good, write_cpu_s=write_s, gate_cpu_s=gate_s)]
    leaky = Everything(ledger.entries[0])
    rows += [
        row("a router that routes everything", seed, judged(index=leaky)),
        row("another owner's index leads to it", seed, judged(others=[index_of(ledger)])),
        row("written from other objects", seed, judged(of=other, index=index_of(other))),
        row("an adapter of another base", seed, judged(adapter_base="0" * 64)),
        row("newer text contradicts it", seed, judged(conflicts=["cube99"])),
    ]
    try:
        rows.append(row("it stays on", seed, judged(with_=sticky)))
    finally:
        sticky.close()
        applied.close()
    return rows


def row(planted: str, seed: int, report: GateReport, **more: float) -> dict[str, Any]:
    values = {c.name: None if c.value is None else round(c.value, 4) for c in report.checks}
    return {
        "planted": planted, "seed": seed, "passed": report.passed,
        "failed": ", ".join(report.failed), "alarms": ", ".join(report.alarms), **values,
        **{name: round(value, 2) for name, value in more.items()},
    }  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    engine, known = mneme.engine(JUDGE), known_facts(JUDGE)
    rows = [each for seed in range(3) for each in one_seed(engine, known, seed)]
    for each in rows:
        print(each)
    said = {"what": WHAT, "command": COMMAND, "machine": machine_facts(), "rows": rows}
    (RESULTS / "parametric_gate.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
