"""Requests that come again, alone and in bulk."""

from __future__ import annotations

import pytest

from mneme import IdempotencyConflictError, Namespace
from mneme.app.memory import MemoryOS

DOCUMENT = "# Cooking\n\nThe soup needs fennel.\n\n# Garden\n\nThe hedge needs cutting."


def test_the_same_words_said_twice_in_one_call_are_two_and_a_retry_finds_both(
    alice: Namespace,
) -> None:
    said = [{"role": "user", "content": "Yes.", "at": "2026-01-01T10:00"}] * 2
    first = alice.add(said, session="s")
    assert first[0].id != first[1].id
    assert [cube.id for cube in alice.add(said, session="s")] == [cube.id for cube in first]


def test_a_document_that_comes_again_is_recognised_with_its_sections(
    memory: MemoryOS, alice: Namespace
) -> None:
    first = alice.add(DOCUMENT, type="document", idempotency_key="doc")
    again = alice.add(DOCUMENT, type="document", idempotency_key="doc")
    assert [cube.id for cube in again] == [cube.id for cube in first]
    alice.erase(first[1].id)
    third = alice.add(DOCUMENT, type="document", idempotency_key="doc")
    assert [cube.id for cube in third] == [first[0].id, first[0].id, first[2].id]
    assert memory.stats().counts["cubes"] == 2


def test_one_key_for_two_contents_in_bulk_refuses_the_second_alone(alice: Namespace) -> None:
    report = alice.add_many(
        [
            {"content": "Pay the rent.", "idempotency_key": "k"},
            {"content": "Pay the rent.", "idempotency_key": "k"},
            {"content": "Pay the gas.", "idempotency_key": "k"},
            "Another line.",
        ]
    )
    assert [item.status for item in report.items] == ["added", "repeated", "refused", "added"]
    assert report.items[0].ids == report.items[1].ids
    assert (report.added, report.repeated) == (2, 1)


def test_documents_and_conversations_in_bulk_keep_their_own_parts(alice: Namespace) -> None:
    report = alice.add_many(
        [
            "First.",
            {"content": DOCUMENT, "type": "document"},
            {"content": ["Hello.", "Hi."]},
            {"content": DOCUMENT.replace("fennel", "leek"), "type": "document", "name": "Bob"},
        ]
    )
    assert [len(item.ids) for item in report.items] == [1, 3, 2, 3]
    for number in (1, 3):
        whole, *parts = report.items[number].ids
        assert [cube.id for cube in alice.derived(whole)] == parts
        assert {alice.get(part).session for part in parts} == {whole}
    hello, hi = report.items[2].ids
    assert alice.get(hi).session == alice.get(hello).session == hello
    assert alice.get(report.items[3].ids[0]).speaker == "Bob"


def test_an_item_of_bulk_needs_content_and_known_fields(alice: Namespace) -> None:
    report = alice.add_many([{"role": "user"}, {"content": "x", "sesion": "s"}])
    assert [item.status for item in report.items] == ["refused", "refused"]
    assert "content" in str(report.items[0].error)
    assert "'session'" in str(report.items[1].error)


def test_a_key_holds_per_namespace_and_goes_with_its_cube(
    memory: MemoryOS, alice: Namespace
) -> None:
    first = alice.add("Pay the rent.", idempotency_key="k")[0]
    memory.namespace("bob").add("Other content.", idempotency_key="k")
    with pytest.raises(IdempotencyConflictError):
        alice.add("Other content.", idempotency_key="k")
    alice.erase(first.id)
    assert alice.add("Other content.", idempotency_key="k")[0].id != first.id
