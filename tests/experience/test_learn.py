"""What a run leaves behind: itself, procedures and lessons, all in one transaction."""

from __future__ import annotations

from typing import Any

import pytest

from mneme import (
    CubeNotFoundError,
    IdempotencyConflictError,
    InvalidInputError,
    MemCube,
    Namespace,
)
from mneme.app.memory import MemoryOS
from mneme.testing.runs import booking, call, failed_booking


def of(agent: Namespace, *types: str) -> list[MemCube]:
    return list(agent.list(types=list(types)).items)


def record(cube: MemCube) -> dict[str, Any]:
    found: dict[str, Any] = cube.metadata["record"]
    return found


def learn(agent: Namespace, run: tuple[str, list[dict[str, Any]]], **more: Any) -> list[MemCube]:  # noqa: ANN401
    return agent.learn(run[1], task=run[0], **more)


def test_a_success_is_kept_verbatim_and_distilled(agent: Namespace) -> None:
    run, procedure = learn(agent, booking("Oslo", "Rome", "AB7"), at="2026-03-01")
    assert (run.type, run.provenance.origin, run.provenance.method) == ("event", "tool", "verbatim")
    assert "3. Action: pay(flight=AB7)\n   Observation: paid" in run.text
    assert run.metadata["outcome"] == 1.0
    assert (procedure.type, procedure.provenance.method) == ("procedure", "distilled")
    assert procedure.text.splitlines()[1:] == [
        "1. search(origin=Oslo, destination=Rome)",
        "2. reserve(flight=AB7)",
        "3. pay(flight=AB7)",
    ]
    span = procedure.provenance.sources[0]
    assert run.text[span.start : span.end].startswith("1. Action: search")
    assert agent.sources(procedure.id)[0].id == run.id


def test_a_second_like_run_refines_and_makes_a_script(agent: Namespace) -> None:
    first = learn(agent, booking("Oslo", "Rome", "AB7"))
    second = learn(agent, booking("Bergen", "New York", "QQ1"))
    third = learn(agent, booking("Paris", "Lima", "XY2"))
    assert [(c.type, c.version) for c in third] == [
        ("event", 1),
        ("procedure", 3),
        ("procedure", 2),
    ]
    steps, script = of(agent, "procedure")
    assert steps.id == first[1].id
    assert script.text.splitlines() == [
        "How to: Book the cheapest flight from {origin} to {destination}",
        "1. search(origin={origin}, destination={destination})",
        "2. reserve(flight={flight})",
        "3. pay(flight={flight})",
        "{flight} stood in the result of step 1.",
    ]
    runs = {first[0].id, second[0].id, third[0].id}
    for cube in (steps, script):
        assert {c.id for c in agent.sources(cube.id)} == runs
        assert (record(cube)["successes"], record(cube)["failures"]) == (3.0, 0.0)
        assert cube.provenance.method == "distilled"


def test_the_shortest_success_is_the_one_that_is_shown(agent: Namespace) -> None:
    task = "Water the plants"
    agent.learn([call("open"), call("wander"), call("water")], task=task)
    agent.learn([call("open"), call("water")], task=task)
    text = next(c.text for c in of(agent, "procedure") if c.metadata["level"] == "steps")
    assert text == "How this was done: Water the plants\n1. open()\n2. water()"


def test_tasks_with_another_verb_or_another_way_stay_apart(agent: Namespace) -> None:
    agent.learn([call("find", order="A17"), call("refund")], task="Refund order A17")
    agent.learn([call("find", order="B99"), call("cancel")], task="Cancel order B99")
    agent.learn([call("ask_boss"), call("write_letter")], task="Refund order C55")
    assert len({c.metadata["family"] for c in of(agent, "procedure")}) == 3


def test_a_failure_teaches_where_it_failed_and_what_a_success_did(agent: Namespace) -> None:
    learn(agent, booking("Oslo", "Rome", "AB7"))
    lesson = learn(agent, failed_booking("Bonn", "Kyiv", "ZZ9"), outcome="failure")[1]
    assert lesson.type == "lesson"
    assert lesson.text.splitlines() == [
        "What went wrong: Book the cheapest flight from Bonn to Kyiv",
        "It failed after step 2: pay(flight=ZZ9)",
        "Result then: Error: the seat is not reserved",
        "Before that, this gave no error:",
        "1. search(origin=Bonn, destination=Kyiv)",
        "Successes of a like task, before that: reserve(flight=AB7)",
    ]
    span = lesson.provenance.sources[0]
    assert agent.sources(lesson.id)[0].text[span.start : span.end].startswith("2. Action: pay")


def test_a_later_success_completes_an_earlier_lesson(agent: Namespace) -> None:
    early = learn(agent, failed_booking("Bonn", "Kyiv", "ZZ9"), outcome="failure")[1]
    assert "Successes" not in early.text
    learn(agent, booking("Oslo", "Rome", "AB7"))
    assert "before that: reserve(flight=AB7)" in agent.get(early.id).text
    assert [c.version for c in agent.history(early.id)] == [1, 2]


def test_the_same_failure_again_is_counted_not_repeated(agent: Namespace) -> None:
    for _ in range(3):
        learn(agent, failed_booking("Bonn", "Kyiv", "ZZ9"), outcome="failure")
    (lesson,) = of(agent, "lesson")
    assert lesson.metadata["seen"] == 3


def test_what_tools_said_taints_and_what_agents_did_does_not(agent: Namespace) -> None:
    tainted = learn(agent, booking("Oslo", "Rome", "AB7"))
    assert {c.trust for c in tainted} == {"untrusted"}
    clean = agent.learn([call("open"), call("water")], task="Water the plants")
    assert {c.trust for c in clean} == {"trusted"}
    agent.learn([call("open", "done"), call("water", "done")], task="Water the plants")
    assert agent.get(clean[1].id).trust == "untrusted"


def test_a_malformed_run_changes_nothing(memory: MemoryOS, agent: Namespace) -> None:
    learn(agent, booking("Oslo", "Rome", "AB7"))
    head = memory.audit_head()
    for bad in ([{"action": "a"}, {"thought": "b"}], [], "run", [{"action": "x" * (2 << 20)}]):
        with pytest.raises(InvalidInputError):
            agent.learn(bad, task="A task")
    for outcome in ("maybe", 1.5, -1, float("nan"), True, None):
        with pytest.raises(InvalidInputError, match="outcome"):
            agent.learn([call("a")], task="A task", outcome=outcome)  # type: ignore[arg-type]
    with pytest.raises(CubeNotFoundError):
        agent.learn([call("a")], task="A task", advice=["nobody"])
    assert memory.audit_head() == head


def test_a_retry_with_a_key_writes_nothing(memory: MemoryOS, agent: Namespace) -> None:
    first = learn(agent, booking("Oslo", "Rome", "AB7"), idempotency_key="run 1")
    head = memory.audit_head()
    again = learn(agent, booking("Oslo", "Rome", "AB7"), idempotency_key="run 1")
    assert [c.id for c in again] == [c.id for c in first]
    assert memory.audit_head() == head
    agent.forget(first[1].id)
    again = learn(agent, booking("Oslo", "Rome", "AB7"), idempotency_key="run 1")
    assert [c.id for c in again] == [first[0].id]
    with pytest.raises(IdempotencyConflictError, match="run 1"):
        learn(agent, booking("Oslo", "Lima", "AB7"), idempotency_key="run 1")


def test_an_outcome_between_counts_as_much_as_it_is(agent: Namespace) -> None:
    procedure = agent.learn([call("open")], task="Water the plants", outcome=0.75)[1]
    assert (record(procedure)["successes"], record(procedure)["failures"]) == (0.75, 0.25)
    assert agent.learn([call("shut")], task="Shut the gate", outcome=0.25)[1].type == "lesson"


def test_a_procedure_that_was_followed_and_failed_is_counted_so(agent: Namespace) -> None:
    task, steps = booking("Oslo", "Rome", "AB7")
    procedure = agent.learn(steps, task=task)[1]
    agent.learn([*steps, call("confirm", "Error: closed")], task=task, outcome="failure")
    assert record(agent.get(procedure.id))["failures"] == 1.0


def test_advice_is_credited_by_how_the_run_went(agent: Namespace) -> None:
    task, steps = booking("Oslo", "Rome", "AB7")
    procedure = agent.learn(steps, task=task)[1].id
    other = agent.learn([call("open"), call("water")], task="Water the plants")[1].id
    agent.learn(steps, task=task, advice=[procedure, other])
    assert record(agent.get(procedure))["uses"] == 1
    assert record(agent.get(procedure))["successes"] == 2.0
    told = record(agent.get(other))
    assert (told["uses"], told["successes"], told["failures"]) == (1, 1.0, 0.0)  # not gone by
    gave_up = [steps[0], call("reserve", "Error: gone"), call("phone", "booked")]
    agent.learn(gave_up, task=task, advice=[procedure])
    assert record(agent.get(procedure))["failures"] == 1.0


def test_feedback_counts_for_experience(agent: Namespace) -> None:
    procedure = learn(agent, booking("Oslo", "Rome", "AB7"))[1].id
    agent.feedback([procedure], used=False)
    agent.feedback([procedure], used=True)
    told = record(agent.get(procedure))
    assert (told["uses"], told["successes"], told["failures"]) == (2, 2.0, 1.0)


def test_what_does_not_help_is_archived_and_can_come_back(
    memory: MemoryOS, agent: Namespace
) -> None:
    procedure = learn(agent, booking("Oslo", "Rome", "AB7"))[1].id
    good = agent.learn([call("open"), call("water")], task="Water the plants")[1].id
    for _ in range(6):
        agent.feedback([procedure], used=False)
        agent.feedback([good], used=True)
    would = agent.prune_experience(dry_run=True)
    assert [each.id for each in would] == [procedure]
    assert would[0].utility < 0.3
    assert agent.get(procedure).state == "activated"
    assert agent.prune_experience() == would
    assert agent.get(procedure).state == "archived"
    assert agent.advise("Book the cheapest flight from Oslo to Rome").hits == ()
    assert agent.prune_experience() == []
    agent.activate(procedure)
    assert agent.advise("Book the cheapest flight from Oslo to Rome").hits != ()
    assert memory.namespace("nobody").prune_experience() == []
    with pytest.raises(InvalidInputError):
        agent.prune_experience(dry_run="yes")  # type: ignore[arg-type]


def test_frozen_and_edited_experience_keeps_its_words(agent: Namespace) -> None:
    task, steps = booking("Oslo", "Rome", "AB7")
    procedure = agent.learn(steps, task=task)[1].id
    agent.update(procedure, text="Call the travel desk.")
    agent.learn(steps[:1] + steps[2:], task=task)  # shorter: would be shown
    assert agent.get(procedure).text == "Call the travel desk."
    assert record(agent.get(procedure))["successes"] == 2.0
    agent.freeze(procedure)
    version = agent.get(procedure).version
    agent.learn(steps, task=task)
    assert agent.get(procedure).version == version


def test_metadata_that_a_caller_wrote_over_is_left_alone(agent: Namespace) -> None:
    procedure = learn(agent, booking("Oslo", "Rome", "AB7"))[1].id
    agent.update(procedure, metadata={"record": 5, "template": []})
    learn(agent, booking("Oslo", "Rome", "AB7"))
    assert len(of(agent, "procedure")) == 2
    assert agent.advise("Book the cheapest flight from Oslo to Rome").hits


def test_erasing_and_forgetting_a_run_takes_what_was_distilled(
    memory: MemoryOS, agent: Namespace
) -> None:
    run, procedure = learn(agent, booking("Oslo", "Rome", "Zanzibar77"))
    agent.forget(run.id)
    assert of(agent, "procedure", "event") == []
    agent.restore(run.id)
    receipt = agent.erase(run.id)
    assert set(receipt.erased) == {run.id, procedure.id}
    assert receipt.checked["found"] == 0


def test_a_namespace_learns_alone(memory: MemoryOS, agent: Namespace) -> None:
    learn(agent, booking("Oslo", "Rome", "AB7"))
    other = memory.namespace("agent/other")
    assert other.advise("Book the cheapest flight from Oslo to Rome").text == ""
