"""Turns wait in the store until they are read; nothing is read twice, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.errors import BackendUnavailableError
from mneme.ingest import listen
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.vault.write import RULES
from mneme.wiring import Outside, build


def waiting(memory: MemoryOS) -> int:
    with memory.vault.parts.store.read() as tx:
        return tx.written.heard_count(RULES)


def test_turns_wait_until_they_are_read(memory: MemoryOS, alice: Namespace) -> None:
    alice.add_many([f"Remember that item {n} is box {n}." for n in range(300)])
    assert waiting(memory) == 300
    assert memory.stats().types == {"turn": 300}
    memory.drain()
    assert waiting(memory) == 0
    assert memory.stats().types["fact"] == 300


def test_what_waited_is_read_by_the_next_to_open_the_store(tmp_path: Path) -> None:
    settings = Settings(worker=False, embedder="none")
    outside = Outside(clock=HandClock(), embedder=HashEmbedder(32))
    with build(tmp_path, settings=settings, outside=outside) as memory:
        memory.namespace("alice").add("I live in Oslo.")
    with build(tmp_path, settings=settings, outside=outside) as memory:
        memory.drain()
        assert memory.stats().types == {"turn": 1, "fact": 1}


def test_a_batch_that_fails_is_read_again_whole(
    memory: MemoryOS, alice: Namespace, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.add_many(["I live in Oslo.", "My cat is called Pusur."])
    real = listen.rules_readings
    monkeypatch.setattr(listen, "rules_readings", _down)
    memory.drain()
    assert waiting(memory) == 2
    assert memory.stats().types == {"turn": 2}
    monkeypatch.setattr(listen, "rules_readings", real)
    clock.move_s(600)
    memory.drain()
    assert waiting(memory) == 0
    assert memory.stats().types["fact"] == 2


def _down(*_: object) -> None:
    raise BackendUnavailableError("the reader is down")


def test_a_turn_that_was_erased_meanwhile_is_not_read(memory: MemoryOS, alice: Namespace) -> None:
    turn = alice.add("I live in Oslo.")[0]
    alice.erase(turn.id)
    memory.drain()
    assert memory.stats().types == {}


def test_an_erased_fact_leaves_no_mark(memory: MemoryOS, alice: Namespace) -> None:
    turn = alice.add("Remember that the code of the shed is four seven one one.")[0]
    memory.drain()
    receipt = alice.erase(turn.id)
    assert receipt.rows["mark"] >= 2
    assert receipt.checked["found"] == 0


def test_turns_with_many_statements_are_read_in_several_transactions(
    memory: MemoryOS, alice: Namespace
) -> None:
    alice.add_many(["\n".join(f"gauge {n} of {t}: {n}" for n in range(300)) for t in range(4)])
    memory.drain()
    assert waiting(memory) == 0
    assert memory.stats().types == {"turn": 4, "fact": 1200}


def test_a_context_waits_for_what_was_just_said(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("I live in Bergen.", at="2026-01-05")
    alice.add("I live in Oslo.", at="2026-03-05")
    alice.add("Don't remember this: the code is 4711.", at="2026-03-05")
    assert waiting(memory) == 3
    text = alice.recall("Where do I live, and what is the code?").text
    assert "Oslo" in text
    assert "Bergen" not in text
    assert "4711" not in text
    assert waiting(memory) == 0
    memory.drain()
    assert memory.stats().types == {"turn": 3, "fact": 2}


def test_a_context_does_not_wait_for_a_reader_that_is_down(
    memory: MemoryOS, alice: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.add("I live in Oslo.")
    monkeypatch.setattr(listen, "rules_readings", _down)
    assert "Oslo" in alice.recall("Where do I live?").text
    assert waiting(memory) == 1
