"""What a consolidation writes, rewrites and leaves alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mneme import GateFailedError, MemCube, Namespace, UnknownArgumentError
from mneme.app.memory import MemoryOS
from mneme.recall.context import Hit
from mneme.recall.statements import with_statements
from mneme.testing.clocks import HandClock
from mneme.testing.state import state_hash

State = Callable[..., str]
CAT = "I have a small grey cat and 2 old dogs at home."


def summaries(alice: Namespace, level: str) -> list[MemCube]:
    found = alice.list(types=["summary"]).items
    return [cube for cube in found if cube.metadata["level"] == level]


def about(alice: Namespace, type_: str) -> dict[str, MemCube]:
    return {str(cube.metadata["about"]): cube for cube in alice.list(types=[type_]).items}


def test_a_session_is_summed_up_in_its_own_sentences(told: Namespace) -> None:
    report = told.consolidate()
    assert report.finished
    (move, work) = summaries(told, "session")
    assert (move.session, work.session) == ("move", "work")
    for cube in (move, work):
        texts = [turn.text for turn in told.list(session=cube.session, types=["turn"]).items]
        assert set(cube.text.split("\n")) <= set(texts)
        assert cube.provenance.method == "summarised"
        lines = cube.text.split("\n")
        for span, line in zip(cube.provenance.sources, lines, strict=True):
            assert told.get(span.cube_id).text[span.start : span.end] == line


def test_what_users_wrote_stays_as_it_is(told: Namespace) -> None:
    before = list(told.list(limit=100).items)
    told.consolidate()
    after = {cube.id: cube for cube in told.list(limit=100).items}
    assert [after[cube.id] for cube in before] == before


def test_search_without_types_is_not_changed_by_it(told: Namespace) -> None:
    questions = ["Where does Marta work?", "When does Heron need a database?"]
    before = [[(h.cube.id, h.score) for h in told.search(q)] for q in questions]
    told.consolidate()
    assert [[(h.cube.id, h.score) for h in told.search(q)] for q in questions] == before
    assert {h.cube.type for h in told.search("Heron", types=["note", "summary"])} == {
        "note", "summary",
    }  # fmt: skip


def test_a_second_consolidation_does_nothing(told: Namespace, memory: MemoryOS) -> None:
    told.consolidate()
    before = state_hash(memory, "alice")
    again = told.consolidate()
    assert (again.run_id, again.done) == (None, {})
    assert state_hash(memory, "alice") == before


def test_a_session_that_is_not_over_waits(told: Namespace, clock: HandClock) -> None:
    for text in ("Our choir sings.", "It sings a requiem.", "The tenors lack two voices."):
        told.add(text, session="now", infer="none")
    told.consolidate()
    assert {cube.session for cube in summaries(told, "session")} == {"move", "work"}
    clock.move_s(601)
    told.consolidate()
    assert {cube.session for cube in summaries(told, "session")} == {"move", "work", "now"}


def test_a_session_that_grew_is_summed_up_anew_in_the_same_cube(
    told: Namespace, clock: HandClock
) -> None:
    told.consolidate()
    old = summaries(told, "session")[0]
    for text in ["The kitchen gets a red oven.", "The red oven costs 400 euros."]:
        told.add(text, session="move", infer="none")
    clock.move_s(3600)
    report = told.consolidate()
    new = summaries(told, "session")[0]
    assert report.done["summary rewritten"] >= 1
    assert (new.id, new.version) == (old.id, 2)
    assert "oven" in new.text
    assert new.metadata["turns"] == 6


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    told: Namespace, memory: MemoryOS
) -> None:
    before = state_hash(memory, "alice")
    promised = told.consolidate(dry_run=True)
    assert state_hash(memory, "alice") == before
    assert promised.run_id is None
    done = told.consolidate().done
    assert {key: n for key, n in done.items() if key != "note linked"} == promised.done


def test_notes_are_kept_on_names_that_recur_and_are_linked(told: Namespace) -> None:
    told.consolidate()
    notes = about(told, "note")
    assert set(notes) == {"heron", "marta"}
    assert [c.id for c in told.related(notes["heron"].id)] == [notes["marta"].id]
    assert [c.id for c in told.related(notes["marta"].id)] == [notes["heron"].id]


def test_notes_and_links_change_as_turns_come(told: Namespace, clock: HandClock) -> None:
    told.consolidate()
    first = about(told, "note")["marta"]
    told.add("Yesterday Marta met Pixel in Bergen.", session="later", infer="none")
    told.add("Now Pixel sleeps at the flat of Marta.", session="later", infer="none")
    told.add("In Bergen we saw the harbour with Pixel.", session="later", infer="none")
    clock.move_s(3600)
    told.consolidate()
    notes = about(told, "note")
    assert (notes["marta"].id, notes["marta"].version) == (first.id, 2)
    assert {c.metadata["about"] for c in told.related(notes["pixel"].id)} >= {"marta"}


def test_a_profile_holds_what_is_known_now_and_is_kept_up_to_date(
    told: Namespace, state: State
) -> None:
    turns = [cube.id for cube in told.list().items]
    old = state(turns[0], "I live in Oslo.", subject="user", relation="lives in", object="Oslo")
    state(turns[1], "My rent is 900 euros.", subject="user", relation="rent", object="900 euros")
    state(turns[2], "Marta works at the harbour.", subject="Marta", relation="works at")
    told.consolidate()
    profile = about(told, "profile")
    assert set(profile) == {"user"}
    assert profile["user"].text == "I live in Oslo.\nMy rent is 900 euros."
    state(turns[3], "I live in Bergen.", subject="user", relation="lives in", object="Bergen")
    told.update(old, valid_to="2020-01-01")
    told.consolidate()
    again = about(told, "profile")["user"]
    assert (again.id, again.version) == (profile["user"].id, 2)
    assert again.text == "My rent is 900 euros.\nI live in Bergen."


def test_a_profile_goes_when_too_little_is_known(told: Namespace, state: State) -> None:
    turns = [cube.id for cube in told.list().items]
    one = state(turns[0], "I live in Oslo.", subject="user", relation="lives in")
    state(turns[1], "My rent is 900 euros.", subject="user", relation="rent")
    told.consolidate()
    told.update(one, valid_to="2020-01-01")
    report = told.consolidate()
    assert report.done["profile archived"] == 1
    assert not told.list(types=["profile"]).items


def test_near_repeats_of_statements_become_one_with_all_sources(
    told: Namespace, state: State
) -> None:
    turns = [cube.id for cube in told.list().items]
    said = {"subject": "user", "relation": "owns", "slot": "user/owns"}
    one = state(turns[0], "I have a small grey cat and 2 old dogs at home.", **said)
    two = state(turns[1], "So I have a small grey cat and 2 old dogs at home.", **said)
    other = state(turns[2], "I have a small grey cat and 3 old dogs at home.", **said)
    report = told.consolidate()
    assert report.done["fact merged"] == 1
    assert told.get(two).state == "merged"
    assert told.get(other).state == "activated"
    assert {s.cube_id for s in told.get(one).provenance.sources} == {turns[0], turns[1]}
    assert one in {cube.id for cube in told.derived(turns[1])}
    found = [hit.cube.id for hit in told.search(told.get(two).text, types=["fact"])]
    assert one in found
    assert two not in found


def test_a_merge_of_many_closes_no_words_of_a_turn(
    told: Namespace, state: State, memory: MemoryOS, clock: HandClock
) -> None:
    said = {"subject": "user", "relation": "owns", "slot": "user/owns"}
    texts = [f"{CAT[:-1]}{' again' * (number % 2)}." for number in range(12)]
    turns = [told.add(text, session=f"t{i}", infer="none")[0].id for i, text in enumerate(texts)]
    for turn, text in zip(turns, texts, strict=True):
        state(turn, text, **said)
    assert told.consolidate().done["fact merged"] == 11
    with memory.vault.finder.indexes("alice") as found:
        for key in memory.vault.lives.keys_of("alice", turns):
            assert found.claims.closed_spans(key, clock.now_us()) == []
    assert told.consolidate().done == {}


def test_a_merge_that_would_lose_a_statement_is_dropped(
    told: Namespace, state: State, memory: MemoryOS
) -> None:
    turns = [cube.id for cube in told.list().items]
    said = {"subject": "user", "relation": "owns", "slot": "user/owns"}
    one = state(turns[0], "I have a small grey cat and 2 old dogs at home.", **said)
    two = state(turns[1], "So I have a small grey cat and 2 old dogs at home.", **said)
    memory.vault.lives.update("alice", one, {"valid_from": 1}, expected_version=1)
    from mneme.app.sleep import rules_of, sleep_of
    from mneme.transform.sleep import Sleep, payload_of

    blind = Sleep(memory.vault, lambda *_asked: [two])
    report = blind.run("alice", rules_of(0), payload=payload_of("alice", 0, archive=False))
    assert len(report.dropped) == 1
    assert told.get(two).state == "activated"
    assert sleep_of(memory.vault).preview("alice", rules_of(0)).dropped == ()


def test_a_forgotten_fact_that_was_merged_takes_its_twin_along(
    told: Namespace, state: State, memory: MemoryOS, clock: HandClock
) -> None:
    turns = [cube.id for cube in told.list().items]
    said = {"subject": "user", "relation": "owns", "slot": "user/owns"}
    one = state(turns[0], CAT, **said)
    state(turns[1], f"So {CAT}", **said)
    told.consolidate()
    told.forget(one)
    with memory.vault.finder.indexes("alice") as found:
        retired = set(found.claims.retired(clock.now_us()).tolist())
    keys = memory.vault.lives.keys_of("alice", turns[:2])
    assert retired == set(keys)


def test_untrusted_words_and_words_on_request_are_not_summed_up(
    told: Namespace, clock: HandClock
) -> None:
    told.add("The tool says that the moon is green.", session="move", role="tool", infer="none")
    told.add(
        "My locker code is 4711 and secret.", session="move", labels=["on_request"], infer="none"
    )
    clock.move_s(3600)
    told.consolidate()
    text = "".join(cube.text for cube in told.list(types=["summary", "note"]).items)
    assert "moon" not in text
    assert "4711" not in text


def test_labels_and_the_end_of_life_pass_on(told: Namespace, clock: HandClock) -> None:
    told.add(
        "The doctor in Bergen wants to see me in June.", session="move", labels=["health"],
        expires_at="2100-01-01", infer="none",
    )  # fmt: skip
    clock.move_s(3600)
    told.consolidate()
    held = [cube for cube in summaries(told, "session") if "doctor" in cube.text]
    assert [(cube.labels, str(cube.expires_at)[:4]) for cube in held] == [(("health",), "2100")]


def test_a_summary_goes_with_a_turn_that_is_forgotten_and_comes_back_without_it(
    told: Namespace,
) -> None:
    told.consolidate()
    turn = told.list(session="move").items[0]
    told.forget(turn.id)
    assert turn.text not in "".join(c.text for c in told.list(types=["summary"]).items)
    told.consolidate()
    (move,) = [c for c in summaries(told, "session") if c.session == "move"]
    assert turn.text not in move.text
    assert move.metadata["turns"] == 3


def test_a_summary_that_its_owner_forgot_stays_forgotten(told: Namespace) -> None:
    told.consolidate()
    cube = summaries(told, "session")[0]
    told.forget(cube.id)
    told.consolidate()
    assert [c.session for c in summaries(told, "session")] == ["work"]


def test_a_frozen_summary_is_not_rewritten(told: Namespace, clock: HandClock) -> None:
    told.consolidate()
    cube = told.freeze(summaries(told, "session")[0].id)
    told.add("The kitchen gets a red oven.", session="move", infer="none")
    clock.move_s(3600)
    told.consolidate()
    assert told.get(cube.id) == cube


def test_a_job_does_it_where_nobody_waits(told: Namespace, memory: MemoryOS) -> None:
    report = told.consolidate(wait=False)
    assert not report.finished
    assert summaries(told, "session") == []
    memory.drain()
    assert len(summaries(told, "session")) == 2
    assert [run.state for run in told.consolidations()] == ["done"]
    assert memory.stats().jobs == {}


def test_a_caller_may_sum_up_and_is_refused_where_it_is_not_so(
    told: Namespace, memory: MemoryOS
) -> None:
    ids = [cube.id for cube in told.list(session="move").items]
    kept = told.summarise("The flat costs 900 euros a month.", of=ids)
    assert (kept.type, kept.provenance.method) == ("summary", "summarised")
    assert {span.cube_id for span in kept.provenance.sources} == set(ids)
    before = state_hash(memory, "alice")
    for wrong in ("The flat costs 800 euros a month.", "Marta does not work at the harbour."):
        with pytest.raises(GateFailedError, match="refused"):
            told.summarise(wrong, of=ids)
    assert state_hash(memory, "alice") == before


def test_an_unknown_argument_is_refused(told: Namespace) -> None:
    with pytest.raises(UnknownArgumentError, match="dry_run"):
        told.consolidate(dryrun=True)  # type: ignore[call-arg]


def test_metadata_tells_the_run(told: Namespace) -> None:
    run = told.consolidate().run_id
    assert {cube.metadata["run"] for cube in told.list(types=["summary", "note"]).items} == {run}
    assert "run" not in told.list(session="move", types=["turn"]).items[0].metadata


def test_a_context_does_not_take_what_is_out_of_date_from_a_note(
    told: Namespace, state: State, clock: HandClock
) -> None:
    turn = told.add(
        "Marta works at the old mill. Marta sings in a choir.", session="move", infer="none"
    )[0].id
    mill = state(turn, "Marta works at the old mill.", subject="Marta", relation="works at")
    state(turn, "Marta sings in a choir.", subject="Marta", relation="sings in")
    clock.move_s(3600)
    told.consolidate()
    note = about(told, "note")["marta"]
    assert "old mill" in note.text
    told.update(mill, valid_to="2020-01-01")
    context = told.recall("Where does Marta work, and where does she sing?")
    assert "sings in a choir" in context.text
    assert "old mill" not in context.text
    ids = {span.cube_id for span in note.provenance.sources}
    parts = [Hit(cube=told.get(i), score=0.5, rank=1, elided=((0, 4),)) for i in sorted(ids)]
    summed_up = Hit(cube=note, score=0.9, rank=1)
    assert with_statements(parts, [summed_up], "Where is the old mill?") == parts
    told.consolidate()
    assert "old mill" not in about(told, "note")["marta"].text


def test_what_is_summed_up_is_out_of_date_only_until_the_next_night(
    told: Namespace, state: State
) -> None:
    turn = told.list(session="move").items[1]
    rent = state(turn.id, turn.text, subject="flat", relation="costs")
    told.consolidate()
    assert any("900 euros" in cube.text for cube in summaries(told, "session"))
    told.forget(rent)
    told.consolidate()
    assert not any("900 euros" in c.text for c in told.list(types=["summary", "note"]).items)
