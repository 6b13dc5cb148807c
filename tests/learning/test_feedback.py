"""Feedback with a question teaches the ranking of one namespace, where the setting is on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mneme import Context, InvalidInputError, MemCube, Namespace
from mneme.app.memory import MemoryOS
from mneme.recall import learning
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

ASKED = "Which trip was it with the red bag?"


def prefer_assistant(space: Namespace, times: int) -> None:
    """A user who only ever uses what the assistant said."""
    for number in range(times):
        query = f"{ASKED} {number}"
        hits = space.search(query)
        used = [hit for hit in hits if hit.cube.role == "assistant"]
        space.feedback(hits, used=used, query=query)


def weights(memory: MemoryOS, path: str = "alice") -> learning.Weights:
    with memory.vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        assert known is not None
        return learning.read(tx, known.number)


def scores(space: Namespace) -> dict[str, float]:
    return {hit.cube.id: hit.score for hit in space.search(ASKED, limit=100)}


def fresh_pair(space: Namespace) -> tuple[MemCube, MemCube]:
    """Two turns on which no feedback was given."""
    mine, theirs = space.add(
        [
            {"role": "user", "content": "Trip 99: I packed the red bag for town 99."},
            {"role": "assistant", "content": "Trip 99: I packed the red bag for town 99."},
        ],
        infer="none",
    )
    return mine, theirs


def test_the_ranking_learns_whom_this_user_reads(memory: MemoryOS, alice: Namespace) -> None:
    bob = memory.namespace("bob")
    bob.add("The red bag is on the trip.", infer="none")
    prefer_assistant(alice, 20)
    learned = weights(memory)
    assert learned.updates > 5
    assert learned.values["by_assistant"] > 0 > learned.values["by_user"]
    assert weights(memory, "bob") == learning.Weights()
    mine, theirs = fresh_pair(alice)
    found = scores(alice)
    alice.reset_learning()
    plain = scores(alice)
    assert found[theirs.id] > plain[theirs.id]
    assert found[mine.id] < plain[mine.id]


def test_resetting_brings_the_fitted_ranking_back(
    folder: Path, alice: Namespace, memory: MemoryOS
) -> None:
    prefer_assistant(alice, 5)
    with build(
        folder,
        settings=Settings(worker=False),
        outside=Outside(clock=HandClock(), embedder=HashEmbedder(32)),
    ) as other:
        fitted = scores(other.namespace("alice"))
    assert scores(alice) != fitted
    assert alice.reset_learning() == 50
    assert scores(alice) == fitted
    assert weights(memory) == learning.Weights()
    assert alice.reset_learning() == 0
    assert memory.namespace("nobody").reset_learning() == 0


def test_off_by_default_and_without_a_question(tmp_path: Path) -> None:
    assert Settings().learn is False
    outside = Outside(clock=HandClock(), embedder=HashEmbedder(32))
    with build(tmp_path, settings=Settings(worker=False), outside=outside) as memory:
        space = memory.namespace("alice")
        for number in range(5):
            space.add(f"The red bag, trip {number}.", infer="none")
        prefer_assistant(space, 2)
        hits = space.search(ASKED)
        space.feedback(hits, used=hits[:1], query=ASKED)
        assert weights(memory) == learning.Weights()
        assert space.export_decisions(tmp_path / "none.jsonl") == 0


def test_feedback_without_a_question_teaches_no_weights(memory: MemoryOS, alice: Namespace) -> None:
    hits = alice.search(ASKED)
    alice.feedback(hits, used=hits[:1])
    assert weights(memory) == learning.Weights()


def test_weights_survive_a_restart_and_two_openers_do_not_clobber(
    folder: Path, memory: MemoryOS, alice: Namespace
) -> None:
    outside = Outside(clock=HandClock(), embedder=HashEmbedder(32))
    settings = Settings(worker=False, learn=True)
    with build(folder, settings=settings, outside=outside) as second:
        other = second.namespace("alice")
        for _ in range(5):
            prefer_assistant(alice, 1)
            prefer_assistant(other, 1)
        assert weights(second).updates == weights(memory).updates == 10
    with build(folder, settings=settings, outside=outside) as third:
        assert weights(third) == weights(memory)


def test_a_wrong_call_changes_nothing(memory: MemoryOS, alice: Namespace) -> None:
    head = memory.audit_head()
    hits = alice.search(ASKED)
    for used in ("nobody", 7, [3]):
        with pytest.raises(InvalidInputError):
            alice.feedback(hits, used=used, query=ASKED)
    with pytest.raises(InvalidInputError):
        alice.feedback(hits, used=True, query="")
    assert (memory.audit_head(), weights(memory)) == (head, learning.Weights())


def test_citations_of_an_answer_are_found(alice: Namespace) -> None:
    context = alice.recall(ASKED)
    by_number = {c.n: c.cube_id for c in context.citations}
    found = alice.cited(context, "It was trip 3 [2]; see also [1, 4]. Not [99], nor [x] or (3).")
    assert {hit.cube.id for hit in found} == {by_number[n] for n in (1, 2, 4)}
    assert [hit.rank for hit in found] == sorted(hit.rank for hit in found)
    assert alice.cited(context, "No idea.") == []
    assert alice.cited(Context(text=""), "[1]") == []
    for bad in (("text", "[1]"), (context, 1)):
        with pytest.raises(InvalidInputError):
            alice.cited(*bad)


def test_decisions_are_exported_without_content(
    tmp_path: Path, memory: MemoryOS, alice: Namespace
) -> None:
    prefer_assistant(alice, 3)
    path = tmp_path / "decisions.jsonl"
    assert alice.export_decisions(path) == 3
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert "bag" not in text
    for line in lines:
        assert set(line) == {"namespace", "time", "query", "state", "action", "reward"}
        assert len(line["action"]) == 10
        assert set(line["state"]) == set(line["action"]) == set(line["reward"])
        assert set(line["reward"].values()) == {0.0, 1.0}
        assert all(set(signals) == set(learning.LEARNED) for signals in line["state"].values())
    assert len({line["query"] for line in lines}) == 3
    assert not list(tmp_path.glob("*.part"))


def test_erasing_a_cube_takes_its_decisions_and_forgetting_hides_them(
    tmp_path: Path, alice: Namespace
) -> None:
    prefer_assistant(alice, 1)
    path = tmp_path / "decisions.jsonl"
    alice.export_decisions(path)
    first, second, *_ = json.loads(path.read_text(encoding="utf-8"))["action"]
    receipt = alice.erase(first)
    assert receipt.rows["decision"] == 1
    assert str(path.resolve()) in " ".join(receipt.not_reached)
    alice.forget(second)
    alice.export_decisions(path)
    text = path.read_text(encoding="utf-8")
    assert first not in text
    assert second not in text
    alice.restore(second)
    alice.export_decisions(path)
    assert second in path.read_text(encoding="utf-8")
