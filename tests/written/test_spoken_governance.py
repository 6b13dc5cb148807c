"""What a speaker asks of the memory is done with the verbs of the life cycle."""

from __future__ import annotations

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.clocks import HandClock


def texts(alice: Namespace) -> str:
    return "\n".join(cube.text for cube in alice.list(limit=1000).items)


def test_do_not_remember_this_hides_the_turn_and_erases_nothing(
    memory: MemoryOS, alice: Namespace
) -> None:
    turn = alice.add("Don't remember this: my salary is 70,000 crowns.", session="s")[0]
    memory.drain()
    assert "70,000" not in texts(alice)
    assert "70,000" not in alice.recall("What is my salary?").text
    assert alice.restore(turn.id).text == turn.text


def test_forget_that_means_what_was_said_just_before(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("My cat is called Pusur.", session="s", at="2026-01-05")
    alice.add("I live in Oslo.", session="s", at="2026-01-05")
    alice.add("Forget that.", session="s", at="2026-01-05")
    memory.drain()
    assert "Pusur" in texts(alice)
    assert "Oslo" not in texts(alice)


def test_forget_by_name_finds_the_fact_and_says_so_without_its_content(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("Remember that the door code is 4711 hash.", session="s1", at="2026-01-05")
    alice.add("Remember that the wifi name is Skogheim.", session="s1", at="2026-01-05")
    alice.add("Please forget the door code.", session="s2", at="2026-01-06")
    memory.drain()
    context = alice.recall("What is the door code?")
    assert "4711" not in context.text
    assert "not available" in context.text
    assert "Skogheim" in alice.recall("What is the wifi name?").text


def test_until_a_day_gives_the_memory_an_end(
    memory: MemoryOS, alice: Namespace, clock: HandClock
) -> None:
    turn = alice.add(
        "Keep this only until 1 February 2027: the spare key is under the mat.",
        session="s",
        at="2026-01-05",
    )[0]
    memory.drain()
    expires = alice.get(turn.id).expires_at
    assert expires is not None
    clock.move_s(10 * 366 * 86400)
    assert "mat" not in alice.recall("Where is the spare key?").text


@pytest.mark.parametrize(
    "line",
    [
        "I'll never forget that day in Bergen.",
        "Don't forget to water the plants.",
        "I forgot my umbrella in Oslo.",
        "Did you forget that I live in Oslo?",
        "He told me to forget that whole affair.",
    ],
)
def test_talk_of_forgetting_is_no_request(memory: MemoryOS, alice: Namespace, line: str) -> None:
    alice.add("I live in Oslo.", session="s", at="2026-01-05")
    alice.add(line, session="s", at="2026-01-05")
    memory.drain()
    assert "I live in Oslo." in texts(alice)
    assert line in texts(alice)


def test_what_is_held_is_not_hidden(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Oslo.", session="s", at="2026-01-05", hold=True)
    alice.add("Forget that.", session="s", at="2026-01-05")
    memory.drain()
    assert "Oslo" in texts(alice)


def test_what_waits_to_be_asked_for_is_given_where_it_is_named(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add(
        "Only bring this up if I ask: my brother Lars owes me 4,000 crowns.",
        session="s",
        at="2026-01-05",
    )
    alice.add("I bought a green bicycle.", session="s", at="2026-01-06")
    memory.drain()
    assert "Lars" not in alice.recall("What did I buy?").text
    assert "Lars" in alice.recall("What does my brother Lars owe me?").text


def test_what_says_only_that_something_is_over_goes_out_of_contexts(
    memory: MemoryOS, alice: Namespace
) -> None:
    turn = alice.add("This temporary context has expired: the cabin is ours in week 7.")[0]
    kept = alice.add("I bought a green bicycle for the cabin.")[0]
    memory.drain()
    assert "week 7" not in alice.recall("When is the cabin ours?").text
    assert alice.get(kept.id).state == "activated"
    assert alice.restore(turn.id).text == turn.text


@pytest.mark.parametrize("speaker", [None, "Nora"])
def test_what_is_ones_own_is_forgotten_by_name(
    memory: MemoryOS, alice: Namespace, speaker: str | None
) -> None:
    for text in ("My phone number is 555-1234.", "My phone number is now 555-9876."):
        alice.add(text, session="s1", speaker=speaker)
    alice.add("My favourite colour is red.", session="s1", speaker=speaker)
    alice.add("Please forget my phone number.", session="s2", speaker=speaker)
    memory.drain()
    assert "555" not in texts(alice)
    assert "red" in texts(alice)


@pytest.mark.parametrize("speaker", [None, "Nora"])
def test_what_is_stated_in_the_request_goes_with_the_request(
    memory: MemoryOS, alice: Namespace, speaker: str | None
) -> None:
    alice.add("I live in Bergen.", session="s1", at="2026-01-05", speaker=speaker)
    alice.add("I live in Oslo.", session="s1", at="2026-02-05", speaker=speaker)
    alice.add("Please forget that I live in Oslo.", session="s2", speaker=speaker)
    memory.drain()
    assert "Oslo" not in texts(alice)
    assert "Oslo" not in alice.recall("Where do I live?").text
    assert "Bergen" in alice.recall("Where do I live?").text


def test_another_ones_words_are_not_forgotten(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("My phone number is 555-1234.", session="s1", speaker="Tomas")
    alice.add("Please forget my phone number.", session="s2", speaker="Nora")
    memory.drain()
    assert "555-1234" in texts(alice)
