"""The verbs on one owner's memories, as the public contract states them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mneme import (
    CubeNotFoundError,
    ForbiddenError,
    FrozenCubeError,
    InvalidInputError,
    LifecycleError,
    MemCube,
    Namespace,
    VersionConflictError,
)
from mneme.app.memory import MemoryOS
from mneme.testing.clocks import HandClock

DOCUMENT = "# Cooking\n\nThe soup needs fennel.\n\n# Garden\n\nThe hedge needs cutting."


def test_a_string_becomes_a_turn_of_its_own_session(alice: Namespace) -> None:
    cube = alice.add("I moved to Oslo.", at="2026-03-20", metadata={"a": [1]}, labels=["home"])[0]
    assert (cube.version, cube.type, cube.kind, cube.state) == (1, "turn", "plaintext", "activated")
    assert (cube.role, cube.session, cube.namespace) == ("user", cube.id, "alice")
    assert cube.event_at == datetime(2026, 3, 20, tzinfo=UTC)
    assert cube.payload == cube.text == "I moved to Oslo."
    assert (cube.metadata["a"], cube.labels, cube.trust) == ([1], ("home",), "trusted")
    assert cube.provenance.method == "verbatim"
    assert alice.get(cube.id) == cube
    with pytest.raises(FrozenInstanceError):
        cube.text = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        cube.metadata["a"] = 2  # type: ignore[index]


def test_messages_become_one_cube_each_in_one_session(alice: Namespace) -> None:
    cubes = alice.add(
        [
            {"role": "user", "content": "Hello.", "name": "Alice", "at": "2026-01-01T10:00"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
            "And a plain string.",
            {"role": "tool", "content": "Result: 5."},
        ]
    )
    assert [cube.role for cube in cubes] == ["user", "assistant", "user", "tool"]
    assert {cube.session for cube in cubes} == {cubes[0].id}
    assert cubes[0].speaker == "Alice"
    assert cubes[1].text == "Hi."
    assert [cube.trust for cube in cubes] == ["trusted", "trusted", "trusted", "untrusted"]


def test_a_document_comes_whole_and_in_sections(alice: Namespace) -> None:
    whole, *parts = alice.add(DOCUMENT, type="document")
    assert whole.text == DOCUMENT
    assert [alice.sources(part.id)[0].id for part in parts] == [whole.id, whole.id]
    assert [part.id for part in alice.derived(whole.id)] == [part.id for part in parts]
    for part in parts:
        span = part.provenance.sources[0]
        assert DOCUMENT[span.start : span.end] == part.text
        assert part.trust == whole.trust == "untrusted"
    assert alice.search("fennel soup")[0].cube.id == parts[0].id


def test_a_retry_writes_nothing(memory: MemoryOS, alice: Namespace) -> None:
    first = alice.add("Hello.", session="s", at="2026-01-01")
    head = memory.audit_head()
    assert alice.add("Hello.", session="s", at="2026-01-01")[0].id == first[0].id
    keyed = alice.add("Pay.", idempotency_key="k")
    assert alice.add("Pay.", idempotency_key="k")[0].id == keyed[0].id
    assert alice.add("Hello.", session="s")[0].id != first[0].id
    assert head in {entry.hash for entry in memory.audit()}
    assert memory.stats().counts["cubes"] == 3


def test_a_near_repeat_is_kept_and_linked(alice: Namespace) -> None:
    text = "My sister Maria lives in the old town of Porto with her two cats and a dog."
    first = alice.add(text)[0]
    second = alice.add(text.replace("two cats", "three cats"))[0]
    assert [cube.id for cube in alice.repeats(first.id)] == [second.id]


def test_add_many_reports_each_item(alice: Namespace) -> None:
    seen: list[tuple[int, int | None]] = []
    items = [
        "One.",
        {"role": "assistant", "content": "Two."},
        {"content": "Three.", "type": "fact"},
    ]
    report = alice.add_many(items, progress=lambda done, total: seen.append((done, total)))
    assert (report.added, report.repeated, report.refused) == (3, 0, ())
    assert seen[-1] == (3, 3)
    assert alice.list(types=["fact"]).items[0].text == "Three."


def test_search_limits_and_orders(alice: Namespace, clock: HandClock) -> None:
    alice.add("Tea in spring.", session="a", at="2026-03-01", type="fact")
    alice.add("Tea in summer.", session="b", at="2026-07-01", metadata={"mood": "glad"})
    alice.add("Tea in autumn.", session="b", at="2026-10-01")
    hits = alice.search("tea")
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    def found(**options: object) -> set[str]:
        return {hit.cube.text.split()[2] for hit in alice.search("tea", **options)}  # type: ignore[arg-type]

    assert len(alice.search("tea", limit=2)) == 2
    assert found(types=["fact"]) == {"spring."}
    assert found(session="b") == {"summer.", "autumn."}
    assert found(since="2026-06-01") == {"summer.", "autumn."}
    assert found(until="2026-06-01") == {"spring."}
    assert found(filters={"metadata.mood": "glad"}) == {"summer."}
    assert found(filters={"event_at": {"gte": "2026-07-01", "lt": "2026-08-01"}}) == {"summer."}
    assert found(kinds=["activation"]) == set()
    assert found(min_score=2.0) == set()
    assert found(as_of="2020-01-01") == set()
    assert alice.search("tea", explain=True)[0].scores
    assert alice.search("tea")[0].scores is None


def test_validity_and_the_past_can_be_asked_for(alice: Namespace, clock: HandClock) -> None:
    cube = alice.add("Alice lives in Oslo.")[0]
    alice.update(cube.id, valid_from="2026-01-01", valid_to="2026-06-01")
    then = alice.get(cube.id).recorded_at
    clock.move_s(60)
    alice.update(cube.id, text="Alice lives in Bergen.")
    assert alice.search("Alice", valid_at="2026-03-01")
    assert not alice.search("Alice", valid_at="2026-06-01")
    assert alice.search("Oslo", as_of=then)[0].cube.text == "Alice lives in Oslo."
    assert alice.get(cube.id, as_of=then).version == 2
    assert alice.get(cube.id, version=1).text == "Alice lives in Oslo."
    with pytest.raises(CubeNotFoundError):
        alice.get(cube.id, version=9)
    with pytest.raises(CubeNotFoundError):
        alice.get(cube.id, as_of="2020-01-01")


def test_recall_packs_within_the_budget_and_cites(alice: Namespace) -> None:
    for number in range(30):
        alice.add(f"On day {number} the harbour was calm.", at=f"2026-03-{number % 28 + 1:02d}")
    context = alice.recall("How was the harbour?", budget_tokens=120)
    assert 0 < context.tokens <= 120
    assert len(context.citations) == len(context.hits) > 1
    assert "[1]" in context.text
    assert context.to_messages()[0]["content"] == context.text
    for citation in context.citations:
        text = alice.get(citation.cube_id, version=citation.version).text
        assert text[citation.start : citation.end]
    assert alice.recall("How was the harbour?", budget_tokens=0).text == ""


def test_what_recall_gave_counts_as_used(memory: MemoryOS, alice: Namespace) -> None:
    cube = alice.add("The key lies under the mat.")[0]
    alice.recall("key")
    memory.drain()
    assert alice.get(cube.id).uses == 1
    alice.feedback(alice.search("key"), used=True, query="key")
    assert alice.get(cube.id).uses == 2
    alice.feedback([cube.id], used=False)
    alice.feedback(cube.id, used=[cube.id])
    assert alice.get(cube.id).version == 1


def test_list_goes_page_by_page(alice: Namespace) -> None:
    ids = [cube.id for number in range(7) for cube in alice.add(f"Line {number}.", session="s")]
    page = alice.list(limit=3)
    found: list[MemCube] = []
    found += page.items
    while page.next_cursor:
        page = alice.list(limit=3, cursor=page.next_cursor)
        found += page.items
    assert [cube.id for cube in found] == ids
    assert alice.list(session="none").items == ()
    assert alice.list(filters={"session": {"exists": True}}, limit=2).next_cursor


def test_update_writes_a_version_and_checks_the_expected_one(alice: Namespace) -> None:
    cube = alice.add("Old.", metadata={"a": 1}, priority=0.5)[0]
    new = alice.update(
        cube.id, text="New.", metadata={"b": 2}, type="fact", labels=["x"], priority=1,
        expected_version=1,
    )  # fmt: skip
    assert (new.version, new.text, new.type, dict(new.metadata)) == (2, "New.", "fact", {"b": 2})
    assert (new.labels, new.priority) == (("x",), 1)
    with pytest.raises(VersionConflictError) as refused:
        alice.update(cube.id, text="Newer.", expected_version=1)
    assert (refused.value.expected, refused.value.actual) == (1, 2)
    assert [each.text for each in alice.history(cube.id)] == ["Old.", "New."]
    assert alice.search("New.")[0].cube.version == 2


def test_rollback_is_a_new_version_with_the_old_payload(alice: Namespace) -> None:
    cube = alice.add("First.", metadata={"a": 1})[0]
    alice.update(cube.id, text="Second.", metadata={}, valid_to="2026-01-01")
    alice.archive(cube.id)
    back = alice.rollback(cube.id, to_version=1)
    assert (back.version, back.text, dict(back.metadata)) == (4, "First.", {"a": 1})
    assert (back.valid_to, back.state) == (None, "archived")
    with pytest.raises(InvalidInputError):
        alice.rollback(cube.id, to_version=9)


def test_the_life_cycle_has_only_its_edges(alice: Namespace) -> None:
    cube = alice.add("A line about herons.")[0]
    assert alice.archive(cube.id).state == "archived"
    assert alice.search("herons") == []
    assert alice.search("herons", include_archived=True)
    assert alice.list().items == ()
    assert alice.list(include_archived=True).items
    with pytest.raises(CubeNotFoundError):
        alice.get(cube.id, include_archived=False)
    with pytest.raises(LifecycleError):
        alice.archive(cube.id)
    with pytest.raises(LifecycleError):
        alice.freeze(cube.id)
    assert alice.activate(cube.id).state == "activated"
    assert alice.freeze(cube.id).state == "frozen"
    with pytest.raises(FrozenCubeError):
        alice.update(cube.id, text="x")
    with pytest.raises(FrozenCubeError):
        alice.rollback(cube.id, to_version=1)
    with pytest.raises(FrozenCubeError):
        alice.archive(cube.id)
    assert alice.search("herons")[0].cube.state == "frozen"
    assert alice.unfreeze(cube.id).state == "activated"


@pytest.mark.parametrize("at_once", [True, False])
def test_what_two_hidden_sources_say_comes_back_with_the_last_of_them(
    alice: Namespace, at_once: bool
) -> None:
    ids = [alice.add(text)[0].id for text in ("The flat costs 900 euros.", "Ida pays the flat.")]
    both = alice.summarise("The flat costs 900 euros. Ida pays the flat.", of=ids)
    for target in [ids] if at_once else ids:
        alice.forget(target)
    alice.restore(ids[0])
    with pytest.raises(CubeNotFoundError):
        alice.get(both.id)
    alice.restore(ids[1])
    assert alice.get(both.id).text == both.text
    alice.forget(both.id)  # by itself: it does not come back with a source
    alice.forget(ids[0])
    alice.restore(ids[0])
    with pytest.raises(CubeNotFoundError):
        alice.get(both.id)


def test_forget_hides_from_every_read_and_restore_undoes_it(alice: Namespace) -> None:
    whole, *parts = alice.add(DOCUMENT, type="document")
    assert alice.forget(whole.id) == 3
    for cube_id in (whole.id, parts[0].id):
        for read in (alice.get, alice.history, alice.sources, alice.derived):
            with pytest.raises(CubeNotFoundError):
                read(cube_id)
    assert alice.search("fennel") == alice.search("fennel", include_archived=True) == []
    assert alice.list(include_archived=True).items == ()
    with pytest.raises(CubeNotFoundError):
        alice.forget(whole.id)
    assert alice.restore(whole.id).state == "activated"
    assert alice.search("fennel")[0].cube.id == parts[0].id
    with pytest.raises(LifecycleError):
        alice.restore(whole.id)
    assert alice.forget(filters={"type": "document"}) == 3
    assert alice.forget(filters={"type": "document"}) == 0


def test_erase_leaves_nothing_and_says_so(memory: MemoryOS, alice: Namespace) -> None:
    whole, *parts = alice.add(DOCUMENT, type="document")
    kept = alice.add("This stays.")[0]
    receipt = alice.erase(whole.id, reason="asked for")
    assert set(receipt.erased) == {whole.id, *(part.id for part in parts)}
    assert receipt.complete
    assert receipt.rows["text"] == 3
    assert receipt.checked["patterns"] > 0
    assert receipt.checked["found"] == 0
    assert receipt.reason == "asked for"
    assert receipt.audit_hash == memory.audit_head()
    with pytest.raises(CubeNotFoundError):
        alice.erase(whole.id)
    with pytest.raises(CubeNotFoundError):
        alice.restore(whole.id)
    assert [cube.id for cube in alice.list().items] == [kept.id]
    assert alice.erase(filters={"type": "document"}).erased == ()


def test_a_held_cube_is_not_erased(alice: Namespace) -> None:
    held, free = alice.add("Held.", hold=True)[0], alice.add("Free.")[0]
    with pytest.raises(ForbiddenError, match="hold"):
        alice.erase([free.id, held.id])
    assert len(alice.list().items) == 2
    alice.freeze(held.id)
    alice.update(held.id, hold=False)
    assert alice.erase([free.id, held.id]).complete


def test_forgotten_cubes_can_be_erased(alice: Namespace) -> None:
    cube = alice.add("To be forgotten first.")[0]
    alice.forget(cube.id)
    assert alice.erase(cube.id).erased == (cube.id,)


def test_an_export_comes_back_with_its_past(
    memory: MemoryOS, alice: Namespace, tmp_path: Path
) -> None:
    cube = alice.add("First.", metadata={"a": 1}, at="2026-01-01")[0]
    alice.update(cube.id, text="Second.")
    whole, part, _ = alice.add(DOCUMENT, type="document")
    seen: list[tuple[int, int]] = []
    assert alice.export(tmp_path / "cubes") == 4
    copy = memory.namespace("copy")
    report = copy.import_(tmp_path / "cubes", progress=lambda done, all_: seen.append((done, all_)))
    assert (report.format, report.added, report.repeated) == ("mneme", 4, 0)
    assert copy.import_(tmp_path / "cubes").repeated == 4
    assert alice.import_(tmp_path / "cubes", format="mneme").repeated == 4
    twin = copy.list().items[0]
    assert [each.text for each in copy.history(twin.id)] == ["First.", "Second."]
    assert twin.id != cube.id
    assert copy.search("fennel")[0].cube.text == part.text
    assert copy.sources(copy.search("fennel")[0].cube.id)[0].text == whole.text
    assert f"export: {tmp_path / 'cubes'}" in alice.erase(cube.id).not_reached
    assert "Namespace('alice')" in repr(alice)


def test_feedback_moves_what_helped_up_and_what_did_not_down(alice: Namespace) -> None:
    lines = [f"The garden has a pond number {n} with fish." for n in range(8)]
    for line in lines:
        alice.add(line, session=line)
    before = [hit.cube.id for hit in alice.search("garden pond with fish", limit=8)]
    for _ in range(4):
        alice.feedback([before[-1]], used=True)
        alice.feedback([before[0]], used=False)
    after = [hit.cube.id for hit in alice.search("garden pond with fish", limit=8)]
    assert after.index(before[-1]) < before.index(before[-1])
    assert after.index(before[0]) > before.index(before[0])
    assert sorted(after) == sorted(before)
