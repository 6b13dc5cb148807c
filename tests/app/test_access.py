"""Access keys: made, recognised, rotated, revoked; and who acts is written down."""

import pytest

from mneme import CubeNotFoundError, InvalidInputError, Namespace
from mneme.app.memory import MemoryOS
from mneme.core.acting import acting_as
from mneme.core.clock import from_us
from mneme.testing.clocks import HandClock


def test_a_key_is_recognised_and_only_a_hash_of_it_is_kept(memory: MemoryOS) -> None:
    text, key = memory.make_key("alice", namespaces=["alice", "team/*"], verbs=["read", "add"])
    who = memory.principal(text)
    assert who is not None
    assert (who.id, who.name) == (key.id, "alice")
    assert who.may("read", "team/a")
    assert not who.may("read", "team")
    assert not who.may("erase", "alice")
    assert not who.is_admin
    with memory.vault.parts.store.read() as tx:
        assert text.split("_", 2)[2] not in str(tx.ledger.meta("access_keys"))


@pytest.mark.parametrize("spoiled", ["", "mneme_", "x", "mneme_000000000000_" + "a" * 43])
def test_what_is_no_key_is_nobody(memory: MemoryOS, spoiled: str) -> None:
    assert memory.principal(spoiled) is None


def test_one_changed_character_is_nobody(memory: MemoryOS) -> None:
    text, _ = memory.make_key("alice", namespaces=["alice"])
    assert memory.principal(text[:-1] + ("a" if text[-1] != "a" else "b")) is None


def test_a_rotated_key_works_and_the_old_one_ends(memory: MemoryOS, clock: HandClock) -> None:
    old, key = memory.make_key("alice", namespaces=["alice"])
    new, _ = memory.rotate_key(key.id, overlap_s=60)
    assert memory.principal(old) == memory.principal(new)
    clock.move_s(61)
    assert memory.principal(old) is None
    assert memory.principal(new) is not None


def test_a_key_ends_when_it_expires_and_when_it_is_revoked(
    memory: MemoryOS, clock: HandClock
) -> None:
    soon = from_us(clock.now_us() + 3_600_000_000)
    text, key = memory.make_key("alice", namespaces=["alice"], expires_at=soon)
    other, _ = memory.make_key("bob", namespaces=["*"])
    assert memory.principal(text) is not None
    clock.move_s(3601)
    assert memory.principal(text) is None
    memory.revoke_key(key.id)
    assert [each.name for each in memory.list_keys()] == ["bob"]
    assert memory.principal(other) is not None
    with pytest.raises(CubeNotFoundError, match="no key"):
        memory.revoke_key(key.id)


@pytest.mark.parametrize(
    "bad",
    [
        {"namespaces": []},
        {"namespaces": "alice"},
        {"namespaces": ["a b"]},
        {"namespaces": ["alice"], "verbs": ["write"]},
        {"namespaces": ["alice"], "expires_at": "2001-01-01"},
        {"namespaces": ["alice"], "requests_per_s": 0},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(memory: MemoryOS, bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        memory.make_key("alice", **bad)  # type: ignore[arg-type]
    assert memory.list_keys() == []


def test_changes_of_keys_and_who_acts_are_in_the_audit(memory: MemoryOS, alice: Namespace) -> None:
    memory.make_key("bob", namespaces=["alice"])
    with acting_as("bob"):
        [cube] = alice.add("I moved to Oslo in March.")
    said = [(entry.verb, entry.actor) for entry in memory.audit()]
    assert said == [("make_key", "local"), ("add", "bob")]
    assert cube.provenance.actor == "bob"
