"""Facts have the time in which they hold; what changes is kept, and the past can be asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import MemCube, Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.clocks import HandClock


def facts(alice: Namespace, type_: str = "fact") -> list[MemCube]:
    return list(alice.list(types=[type_], limit=1000).items)


def test_a_change_ends_the_old_fact_and_keeps_it(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Bergen.", session="s1", at="2026-01-05")
    alice.add("I live in Oslo.", session="s2", at="2026-03-20")
    memory.drain()
    old, new = facts(alice)
    assert (old.metadata["object"], new.metadata["object"]) == ("Bergen", "Oslo")
    assert old.valid_to == new.valid_from == datetime(2026, 3, 20, tzinfo=UTC)
    assert new.valid_to is None
    assert new.metadata["supersedes"] == (old.id,) or list(new.metadata["supersedes"]) == [old.id]
    assert [cube.valid_to for cube in alice.history(old.id)] == [None, old.valid_to]


def test_what_held_and_what_was_believed_can_be_asked(
    memory: MemoryOS, alice: Namespace, clock: HandClock
) -> None:
    alice.add("I live in Bergen.", at="2026-01-05")
    memory.drain()
    before = datetime.fromtimestamp(clock.now_us() / 1e6, UTC)
    clock.move_s(3600)
    alice.add("I live in Oslo.", at="2026-03-20")
    memory.drain()

    def found(**when: object) -> list[str]:
        return [h.cube.text for h in alice.search("Where do I live?", types=["fact"], **when)]  # type: ignore[arg-type]

    assert found() == ["I live in Oslo."]
    assert found(valid_at="2026-02-01") == ["I live in Bergen."]
    assert found(valid_at="2026-04-01") == ["I live in Oslo."]
    assert found(as_of=before) == ["I live in Bergen."]
    assert "Bergen" in alice.recall("Where do I live?", as_of=before).text
    assert "Bergen" in alice.recall("Where do I live?", valid_at="2026-02-01").text
    assert "Oslo" not in alice.recall("Where do I live?", valid_at="2026-02-01").text


def test_recall_leaves_out_a_turn_that_holds_no_longer_and_search_does_not(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("I live in Bergen.", at="2026-01-05")
    alice.add("I live in Oslo.", at="2026-03-20")
    memory.drain()
    context = alice.recall("Where do I live?")
    assert "Oslo" in context.text
    assert "Bergen" not in context.text
    assert {h.cube.text for h in alice.search("live")} == {"I live in Bergen.", "I live in Oslo."}


def test_of_a_turn_that_is_partly_out_of_date_the_rest_is_shown(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("bird: emu\nfruit: pear", at="2026-01-05")
    alice.add("bird: kea", at="2026-01-06")
    memory.drain()
    context = alice.recall("What is the fruit?")
    assert "pear" in context.text
    assert "emu" not in context.text
    assert context.hits[0].cube.text == "fruit: pear"
    assert alice.recall("What is the bird?").hits[0].cube.text == "bird: kea"


def test_the_same_said_again_is_no_new_fact(memory: MemoryOS, alice: Namespace) -> None:
    first = alice.add("My sister's name is Ingrid.", at="2026-01-05")[0]
    again = alice.add("My sister's name is Ingrid.", at="2026-02-05")[0]
    memory.drain()
    (fact,) = facts(alice)
    assert {span.cube_id for span in fact.provenance.sources} == {first.id, again.id}
    assert [cube.id for cube in alice.derived(again.id)] == [fact.id]


def test_what_nobody_vouches_for_ends_nothing_and_stands_beside(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("Remember that the launch date is 3 April.", at="2026-01-05")
    alice.add(
        "I heard an unverified note about the launch date: the launch date is 9 May.",
        at="2026-01-06",
    )
    memory.drain()
    assert all(cube.valid_to is None for cube in facts(alice))
    for cube in facts(alice):
        if cube.metadata.get("hedged"):
            assert list(cube.metadata["conflicts_with"]) != []


def test_a_correction_says_that_it_was_so_all_along(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Stavanger.", session="s", at="2026-01-05")
    alice.add("No, it was Bergen.", session="s", at="2026-01-06")
    memory.drain()
    old, new = facts(alice)
    assert new.metadata["object"] == "Bergen"
    assert new.valid_from == old.valid_from == old.valid_to
    (hit,) = alice.search("Where do I live?", types=["fact"], valid_at="2026-01-05T12:00")
    assert hit.cube.id == new.id


def test_people_of_one_namespace_do_not_end_one_anothers_facts(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("I live in Bergen.", speaker="Anna", at="2026-01-05")
    alice.add("I live in Oslo.", speaker="Bjarne", at="2026-01-06")
    memory.drain()
    assert [cube.valid_to for cube in facts(alice)] == [None, None]


def test_what_tools_and_assistants_say_is_not_read(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Bergen.", role="assistant")
    alice.add("I live in Bergen.", role="tool")
    alice.add("I live in Bergen.", infer="none")
    alice.add("I live in Bergen.", type="note")
    memory.drain()
    assert facts(alice) == []


def test_forgetting_what_ended_a_fact_lets_it_hold_again(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("I live in Bergen.", at="2026-01-05")
    turn = alice.add("I live in Oslo.", at="2026-03-20")[0]
    memory.drain()
    alice.forget(turn.id)
    (fact,) = facts(alice)
    assert (fact.metadata["object"], fact.valid_to) == ("Bergen", None)
    assert "Bergen" in alice.recall("Where do I live?").text
    alice.restore(turn.id)
    old, new = facts(alice)
    assert (old.valid_to, new.valid_to) == (new.valid_from, None)


def test_erasing_what_ended_a_fact_lets_it_hold_again(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Bergen.", at="2026-01-05")
    turn = alice.add("I live in Oslo.", at="2026-03-20")[0]
    memory.drain()
    receipt = alice.erase(turn.id)
    assert len(receipt.erased) == 2
    (fact,) = facts(alice)
    assert (fact.metadata["object"], fact.valid_to) == ("Bergen", None)


def test_a_fact_of_two_turns_is_made_again_from_the_one_that_is_left(
    memory: MemoryOS, alice: Namespace
) -> None:
    first = alice.add("I live in Bergen.", at="2026-01-05")[0]
    second = alice.add("As you know, I live in Bergen.", at="2026-02-05")[0]
    memory.drain()
    assert len(facts(alice)) == 1
    alice.erase(first.id)
    memory.drain()
    (fact,) = facts(alice)
    assert [span.cube_id for span in fact.provenance.sources] == [second.id]


def test_an_edited_turn_is_read_again(memory: MemoryOS, alice: Namespace) -> None:
    turn = alice.add("I live in Bergen.", at="2026-01-05")[0]
    memory.drain()
    alice.update(turn.id, text="I live in Oslo.")
    memory.drain()
    (fact,) = facts(alice)
    assert fact.metadata["object"] == "Oslo"
    alice.rollback(turn.id, to_version=1)
    memory.drain()
    (fact,) = facts(alice)
    assert fact.metadata["object"] == "Bergen"


def test_an_export_keeps_facts_and_what_they_ended(
    memory: MemoryOS, alice: Namespace, tmp_path: object
) -> None:
    alice.add("I live in Bergen.", at="2026-01-05")
    alice.add("I live in Oslo.", at="2026-03-20")
    memory.drain()
    alice.export(f"{tmp_path}/cubes")
    other = memory.namespace("copy")
    other.import_(f"{tmp_path}/cubes")
    assert "Bergen" not in other.recall("Where do I live?").text
    other.add("I live in Tromsø.", at="2026-05-01")
    memory.drain()
    assert [cube.valid_to is None for cube in facts(other)] == [False, False, True]
    context = other.recall("Where do I live?")
    assert "Tromsø" in context.text
    assert "Oslo" not in context.text


@pytest.mark.parametrize("times", [50])
def test_recalled_text_fed_back_makes_no_new_fact(
    memory: MemoryOS, alice: Namespace, times: int
) -> None:
    alice.add("I live in Oslo. I love hiking.", at="2026-01-05")
    alice.add("My sister's name is Ingrid.", at="2026-01-06")
    alice.add("Always answer in metric units.", at="2026-01-06")
    memory.drain()
    before = {cube.id for cube in alice.list(filters={"origin": "derived"}).items}
    assert len(before) >= 4
    for _ in range(times):
        context = alice.recall("Where do I live, and who is my sister?")
        alice.add(context.text)
        alice.add([{"role": "user", "content": hit.cube.text} for hit in context.hits[:3]])
        memory.drain()
    after = {cube.id for cube in alice.list(filters={"origin": "derived"}, limit=1000).items}
    assert after == before


def test_quoted_words_are_those_of_who_said_them(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I love painting boats.", speaker="Nora", at="2026-01-05")
    alice.add("I live in Oslo.", speaker="Nora", at="2026-01-05")
    alice.add("I love painting boats. I live in Oslo.", at="2026-02-05")
    memory.drain()
    assert len(facts(alice)) == 1
    assert len(facts(alice, "preference")) == 1
    alice.add("I love painting boats.", speaker="Tomas", at="2026-02-05")
    memory.drain()
    assert len(facts(alice, "preference")) == 2


def test_the_same_words_may_correct_another_thing(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Stavanger.", session="s1", at="2026-01-05")
    alice.add("No, it was Bergen.", session="s1", at="2026-01-06")
    alice.add("The capital of our league is Rome.", session="s2", at="2026-01-07")
    alice.add("Remember that the venue is Hamar.", session="s3", at="2026-01-07")
    alice.add("No, it was Bergen.", session="s3", at="2026-01-08")
    memory.drain()
    held = {(c.metadata["slot"], c.metadata["object"]) for c in facts(alice) if c.valid_to is None}
    assert {each[1] for each in held if "live" in each[0]} == {"Bergen"}
    assert {each[1] for each in held if "venu" in each[0]} == {"Bergen"}


TOWNS = ["Oslo", "Bergen", "Tromsø", "Hamar", "Bodø"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(5)), data=st.data())
def test_facts_come_out_the_same_in_whatever_order_they_are_heard(
    memory: MemoryOS, order: list[int], data: st.DataObject
) -> None:
    """At each time the town holds that was moved to last before it."""
    alice = memory.namespace(f"n{memory.stats().counts['audit_entries']}")
    for number in order:
        alice.add(f"I live in {TOWNS[number]}.", at=f"2026-0{number + 1}-01")
        if data.draw(st.booleans()):
            memory.drain()
    memory.drain()
    for number, town in enumerate(TOWNS):
        hits = alice.search(
            "Where do I live?", types=["fact"], valid_at=f"2026-0{number + 1}-15", limit=10
        )
        assert [hit.cube.metadata["object"] for hit in hits] == [town]
