"""The gate lets a good shard through, and each planted wrong part fails it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, StoreCorruptError
from mneme.memories.parametric.adapter import Adapter, Applied, base_of
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.gate import probe_logits, run_gate
from mneme.memories.parametric.gate_report import GateLimits, GateReport
from mneme.memories.parametric.phrasings import packaged_bank
from mneme.memories.parametric.router import Match, Route, RouterIndex
from mneme.memories.parametric.training import UNWATCHED, Training
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.testing.fact_world import (
    HELD,
    WRITTEN,
    WorldFact,
    contradicting,
    course_of,
    new_facts,
)

SHARD = "alice/0001"
FACTS = 12


def ledger_of(facts: Sequence[WorldFact], *, held: bool = True) -> FactLedger:
    return FactLedger(
        tuple(
            Entry(
                fact=Fact(
                    cube_id=f"cube{at}", version=1, subject=fact.subject, relation=fact.relation,
                    object=fact.object, text=fact.text,
                ),
                prompts=tuple(fact.prompts(WRITTEN)),
                held=tuple(fact.prompts(HELD)) if held else (),
            )
            for at, fact in enumerate(facts)
        )
    )  # fmt: skip


def index_of(ledger: FactLedger, shard: str = SHARD) -> RouterIndex:
    index = RouterIndex(packaged_bank())
    index.put(shard, ledger)
    return index


class Leaky:
    """Sends every question to one entry."""

    def __init__(self, shard: str, entry: Entry) -> None:
        self._shard, self._entry = shard, entry

    def route(self, question: str) -> Route:
        return Route((Match(self._shard, self._entry, question),), True, "everything")

    def shards(self) -> tuple[str, ...]:
        return ()


class Sticky:
    """Stays on after `on()` was closed once."""

    def __init__(self, inner: Applied) -> None:
        self._inner, self._open = inner, False
        self.past = inner.past
        self._stuck: Any = None

    @contextmanager
    def on(self) -> Iterator[None]:
        if self._stuck is None:
            self._stuck = self._inner.on()
            self._stuck.__enter__()
        yield

    def close(self) -> None:
        if self._stuck is not None:
            self._stuck.__exit__(None, None, None)


class Absent:
    """Changes nothing, on or off."""

    past = None

    @contextmanager
    def on(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, FACTS)


@pytest.fixture(scope="module")
def written(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Adapter:
    course = course_of(engine, facts, world[:60])
    return build_writer("lora").write(engine, course, Training(), UNWATCHED).adapter


@pytest.fixture
def applied(engine: Engine, written: Adapter) -> Iterator[Applied]:
    made = build_carrier("lora").apply(engine, written)
    yield made
    made.close()


@pytest.fixture
def gate(
    engine: Engine, applied: Applied, world: list[WorldFact], facts: list[WorldFact]
) -> dict[str, Any]:
    """The arguments with which the gate passes."""
    ledger = ledger_of(facts)
    probes = [prompt for fact in world[-40:] for prompt in fact.prompts(HELD)]
    asked = {fact[:2] for fact in facts}
    near = [
        WorldFact(fact.subject, relation, "").prompts((3,))[0]
        for fact in facts
        for relation in ("city", "job", "food", "pet")
        if (fact.subject, relation) not in asked
    ]
    return {
        "engine": engine, "applied": applied, "ledger": ledger,
        "adapter_base": base_of(engine.fields), "index": index_of(ledger), "shard": SHARD,
        "probes": probes, "neighbours": near, "size_bytes": 8_000,
    }  # fmt: skip


def run(gate: dict[str, Any], **changed: object) -> GateReport:
    given: dict[str, Any] = {**gate, **changed}
    engine, applied, ledger = (given.pop(name) for name in ("engine", "applied", "ledger"))
    return run_gate(engine, applied, ledger, **given)


def value(report: GateReport, name: str) -> float | None:
    found = report.find(name)
    assert found is not None
    return found.value


def test_a_shard_that_knows_its_facts_passes(gate: dict[str, Any]) -> None:
    report = run(gate)
    assert report.passed, report.reason
    assert value(report, "efficacy") == 1.0
    assert (value(report, "paraphrase") or 0) >= 0.95
    assert value(report, "routed_locality") == 1.0
    assert value(report, "unchanged") == 0.0
    assert (value(report, "own_routing") or 0) >= 0.9
    assert SHARD in report.reason


def test_without_held_prompts_paraphrase_is_not_claimed(
    gate: dict[str, Any], facts: list[WorldFact]
) -> None:
    report = run(gate, ledger=ledger_of(facts, held=False))
    assert report.passed, report.reason
    found = report.find("paraphrase")
    assert found is not None
    assert found.value is None
    assert "no prompts were held back" in found.words


def test_a_router_that_routes_everything_fails(gate: dict[str, Any]) -> None:
    report = run(gate, index=Leaky(SHARD, gate["ledger"].entries[0]))
    assert {"routed_locality", "misrouted"} <= set(report.failed)
    assert "stays text" in report.reason


def test_the_index_of_another_owner_that_leads_to_it_fails(gate: dict[str, Any]) -> None:
    entry = gate["ledger"].entries[0]
    assert run(gate, others=[Leaky(SHARD, entry)]).failed == ("leaks",)
    renamed = index_of(gate["ledger"], "bob/0001")  # the same facts under a name of its own
    assert run(gate, others=[renamed]).failed == ("leaks",)


def test_another_owner_with_facts_of_the_same_slots_is_no_leak(
    gate: dict[str, Any], facts: list[WorldFact]
) -> None:
    told = ledger_of(contradicting(facts)).entries
    theirs = FactLedger(
        tuple(
            replace(entry, fact=replace(entry.fact, cube_id=f"bob{at}"))
            for at, entry in enumerate(told)
        )
    )
    assert run(gate, others=[index_of(theirs, "bob/0001")]).passed


def test_an_adapter_that_was_trained_on_other_objects_fails(
    gate: dict[str, Any], facts: list[WorldFact]
) -> None:
    ledger = ledger_of(contradicting(facts))
    report = run(gate, ledger=ledger, index=index_of(ledger))
    assert {"efficacy", "paraphrase"} <= set(report.failed)
    assert set(report.missed) == set(ledger.cube_ids)


def test_an_adapter_that_stays_on_fails(gate: dict[str, Any], applied: Applied) -> None:
    sticky = Sticky(applied)
    try:
        report = run(gate, applied=sticky)
    finally:
        sticky.close()
    assert "unchanged" in report.failed
    assert run(gate).passed  # and the model is the base again


def test_an_adapter_that_was_on_before_the_gate_fails(
    gate: dict[str, Any], applied: Applied
) -> None:
    with applied.on():
        report = run(gate, applied=Absent())
    assert report.failed == ("switches",)


def test_an_adapter_that_changed_the_base_when_it_was_applied_fails(
    gate: dict[str, Any], engine: Engine
) -> None:
    before = probe_logits(engine, gate["probes"])
    assert run(gate, before=before).passed
    bias = engine.model.get_decoder().norm.weight
    kept = bias.data.clone()
    try:
        bias.data += 1e-3
        report = run(gate, before=before)
    finally:
        bias.data.copy_(kept)
    assert report.failed == ("unchanged",)


def test_an_adapter_of_another_base_fails_without_being_asked(gate: dict[str, Any]) -> None:
    report = run(gate, adapter_base="0" * 64)
    assert report.failed == ("base",)
    assert report.find("efficacy") is None


def test_newer_text_that_contradicts_it_fails(gate: dict[str, Any]) -> None:
    report = run(gate, conflicts=["cube99"])
    assert report.failed == ("conflicts",)
    assert "cube99" in report.reason


def test_a_file_too_large_for_its_facts_fails(gate: dict[str, Any]) -> None:
    assert run(gate, size_bytes=FACTS * 801, limits=GateLimits(bytes_per_fact=800)).failed == (
        "size",
    )


def test_what_is_only_reported_never_fails_the_gate(gate: dict[str, Any]) -> None:
    report = run(gate, limits=GateLimits(always_on=1.01, in_conversation=1.01))
    assert report.passed
    assert set(report.alarms) == {"always_on_locality", "in_conversation"}
    assert not report.answers_in_conversation


def test_a_report_survives_its_file(gate: dict[str, Any]) -> None:
    report = run(gate)
    assert GateReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("text", ["", "[]", '{"shard": "a"}', '{"shard":1,"facts":"x"}'])
def test_a_broken_report_is_refused(text: str) -> None:
    with pytest.raises(StoreCorruptError, match="gate"):
        GateReport.from_json(text)


def test_nothing_to_prove_is_refused(gate: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="a ledger with facts"):
        run(gate, ledger=FactLedger())
    with pytest.raises(InvalidInputError, match="prompts to probe with"):
        run(gate, probes=[])


def test_the_gate_leaves_the_model_as_it_is(gate: dict[str, Any], engine: Engine) -> None:
    before = {name: part.clone() for name, part in engine.model.named_parameters()}
    run(gate)
    assert all(torch.equal(before[name], part) for name, part in engine.model.named_parameters())
