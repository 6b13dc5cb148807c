"""An adapter gives back text: what its ledger holds is verified, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Applied
from mneme.memories.parametric.externalise import _plain, externalise, probe, unwritten
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.phrasings import Bank
from mneme.memories.parametric.templates import phrasing_of
from mneme.memories.parametric.training import UNWATCHED, Training
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.testing.fact_world import (
    HELD,
    WORDINGS,
    WRITTEN,
    WorldFact,
    contradicting,
    course_of,
    new_facts,
)

torch = pytest.importorskip("torch", reason="parametric memory needs the extra 'local'")

BANK = Bank(
    [
        phrasing_of(relation, [f"{said} {{o}}" for said in wordings[:3]], wordings[3:])
        for relation, wordings in WORDINGS.items()
    ]
)


class Nothing:
    """The base, as an adapter that changes nothing."""

    past = None

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def on(self) -> Iterator[None]:
        with self._engine.lock:
            yield

    def close(self) -> None:
        pass


def entry_of(number: int, fact: WorldFact) -> Entry:
    return Entry(
        fact=Fact(
            cube_id=f"c{number}", version=1, subject=fact.subject, relation=fact.relation,
            object=fact.object, text=f"{fact.text} .",
        ),
        prompts=tuple(fact.prompts(WRITTEN)),
        held=tuple(fact.prompts(HELD)),
    )  # fmt: skip


def ledger_of(facts: Sequence[WorldFact]) -> FactLedger:
    return FactLedger(tuple(entry_of(number, fact) for number, fact in enumerate(facts)))


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 30)


@pytest.fixture(scope="module")
def applied(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Iterator[Applied]:
    """Ten of the facts in weights."""
    training = Training(steps=60, batch=40)
    course = course_of(engine, facts[:10], world[:20])
    written = build_writer("lora").write(engine, course, training, UNWATCHED)
    made = build_carrier("lora").apply(engine, written.adapter)
    yield made
    made.close()


def test_what_was_written_comes_back_verified(
    engine: Engine, facts: list[WorldFact], applied: Applied
) -> None:
    found = externalise(engine, applied, ledger_of(facts[:10]))
    assert len(found.verified) == 10
    assert not found.quarantined
    first = found.verified[0]
    assert (first.cube_id, first.text) == ("c0", f"{facts[0].text} .")
    assert first.asked == 6
    assert first.agreement > 0.5


def test_a_ledger_that_says_otherwise_admits_nothing_of_it(
    engine: Engine, facts: list[WorldFact], applied: Applied
) -> None:
    wrong = contradicting(facts[:3])
    found = externalise(engine, applied, ledger_of([*wrong, *facts[3:10]]))
    assert [claim.cube_id for claim in found.quarantined] == ["c0", "c1", "c2"]
    for claim, planted, true in zip(found.quarantined, wrong, facts, strict=False):
        assert claim.text == f"{true.text} ."  # what the weights say
        assert planted.object not in claim.text
        assert "another object" in claim.why
    assert len(found.verified) == 7


def test_nothing_that_was_never_written_is_admitted(
    engine: Engine, facts: list[WorldFact], applied: Applied
) -> None:
    planted = [fact.prompts() for fact in facts[10:]]
    found = externalise(engine, applied, ledger_of(facts[:10]), questions=planted)
    assert len(found.verified) == 10
    assert len(found.quarantined) == 20
    sure = [claim for claim in found.quarantined if claim.agreement == 1]
    assert len(sure) >= 5  # it agrees with itself on what it never learned
    assert all(claim.cube_id is None and claim.said for claim in sure)


def test_a_right_answer_is_not_admitted_without_the_ledger(
    engine: Engine, facts: list[WorldFact], applied: Applied
) -> None:
    found = externalise(engine, applied, FactLedger(), questions=[facts[0].prompts()[0]])
    assert not found.verified
    (claim,) = found.quarantined
    assert claim.said == facts[0].object
    assert claim.why == "no ledger holds it"


def test_with_a_bank_subjects_are_asked_for_what_was_not_written_of_them(
    engine: Engine, facts: list[WorldFact], applied: Applied
) -> None:
    ledger = ledger_of(facts[:10])
    slots = {(fact.subject, fact.relation) for fact in facts[:10]}
    asked = unwritten(ledger, BANK)
    subjects = len({fact.subject for fact in facts[:10]})
    relations = len({fact.relation for fact in facts[:10]})
    assert len(asked) == subjects * relations - len(slots)
    assert not {w for each in asked for w in each} & {p for e in ledger.entries for p in e.prompts}
    found = externalise(engine, applied, ledger, bank=BANK)
    assert [claim.question for claim in found.quarantined] == [each[0] for each in asked]


def test_without_a_majority_nothing_is_verified(engine: Engine, world: list[WorldFact]) -> None:
    own, other = world[0], next(f for f in world[1:] if f.object != world[0].object)
    entry = entry_of(0, own)
    split = replace(entry, prompts=entry.prompts[:1], held=(other.prompts()[0],))
    found = externalise(engine, Nothing(engine), FactLedger((split,)))
    (claim,) = found.quarantined
    assert claim.said == own.object
    assert claim.agreement == 0.5
    assert "majority" in claim.why


def test_an_entry_without_prompts_is_not_taken_as_said(
    engine: Engine, world: list[WorldFact]
) -> None:
    mute = replace(entry_of(0, world[0]), prompts=(), held=())
    found = externalise(engine, Nothing(engine), FactLedger((mute,)))
    assert not found.verified
    assert "no prompt" in found.quarantined[0].why
    assert found.quarantined[0].agreement == 0


@pytest.mark.parametrize("question", ["", "  ", [], ["x", ""]])
def test_an_empty_question_is_refused(engine: Engine, question: str | list[str]) -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        probe(engine, Nothing(engine), [question])


def test_a_question_beyond_the_window_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInputError, match="window of 64"):
        probe(engine, Nothing(engine), ["F1 " * 60])


def test_case_and_spaces_do_not_matter_but_signs_do() -> None:
    assert _plain(" New  York") == _plain("new york")
    assert _plain("C++") != _plain("C")
