"""Activation cubes: one for each set of sources, as true as these, and gone when they change."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mneme import (
    CubeNotFoundError,
    ForbiddenError,
    FrozenCubeError,
    InvalidInputError,
    MemCube,
    Namespace,
    VersionConflictError,
)
from mneme.core.rows import JobRow
from mneme.testing.clocks import HandClock
from mneme.testing.prefills import ENGINE, Places, data_of, header_of, rows_of
from mneme.vault.draft import Prefilled
from mneme.vault.stale import PREFILL, is_to_build

REFUND = "The refund period of this shop is thirty days from the day of the order."
OPENING = "The shop in Oslo opens at nine and closes at six on all working days."


@pytest.fixture
def refund(owner: Namespace) -> MemCube:
    return owner.add(REFUND, session="shop", labels=["policy"])[0]


@pytest.fixture
def opening(owner: Namespace) -> MemCube:
    return owner.add(OPENING, session="hours", labels=["hours"])[0]


def waiting(places: Places, kind: str = PREFILL) -> list[JobRow]:
    with places.memory.vault.parts.store.read() as tx:
        return [job for job in tx.ledger.jobs() if job.kind == kind]


def test_a_cube_says_what_it_carries_and_for_whom(
    places: Places, owner: Namespace, refund: MemCube, opening: MemCube
) -> None:
    row = places.promote(refund, opening)
    cube = owner.get(row.id)
    assert (cube.kind, cube.type, cube.session, cube.text) == ("activation", "turn", "shop", "")
    assert (cube.provenance.origin, cube.provenance.method) == ("derived", "prefill")
    assert cube.provenance.model == ENGINE
    assert cube.labels == ("hours", "policy")
    rows = rows_of("alice", f"{REFUND}\n{OPENING}")
    sizes = sum(len(data_of(each)) for each in rows)
    assert cube.payload == cube.metadata == {
        "form": "raw", "tokens": 9, "blocks": len(rows), "bytes": sizes, "engine": ENGINE
    }  # fmt: skip
    assert [each.id for each in owner.sources(row.id)] == [refund.id, opening.id]
    assert [each.id for each in owner.derived(opening.id)] == [row.id]
    (carrier,) = places.blocks.carriers("alice", ENGINE)
    assert carrier.source_ids == (refund.id, opening.id)
    assert (carrier.form, carrier.tokens) == ("raw", 9)
    assert (carrier.blocks, carrier.bytes) == (len(rows), sizes)


def test_taint_labels_and_the_end_of_time_come_from_the_sources(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    said = owner.add("Said a tool.", role="tool", expires_at="2027-01-01")[0]
    cube = owner.get(places.promote(refund, said).id)
    assert cube.trust == "untrusted"
    assert cube.expires_at == said.expires_at


def test_the_same_sources_engine_and_form_are_one_cube(
    places: Places, refund: MemCube, opening: MemCube
) -> None:
    first = places.promote(refund)
    assert places.promote(refund) == first  # nothing of it is new
    others = [
        places.promote(refund, form="int8"),
        places.promote(refund, opening),
        places.promote(opening, refund),
    ]
    assert len({first.id, *(each.id for each in others)}) == 4
    rows = rows_of("alice", REFUND)[:2]
    again = places.blocks.keep("alice", header_of(refund, tokens=8), rows)[0]
    assert (again.id, again.version) == (first.id, 2)
    with places.memory.vault.parts.store.read() as tx:
        assert [each.name for each in tx.blocks.of_cube(first.key)] == [r.name for r in rows]


def test_what_is_searched_and_listed_stays_as_it_was(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    assert [each.id for each in owner.list().items] == [refund.id]
    assert [each.id for each in owner.list(types=["turn"]).items] == [refund.id]
    assert [each.id for each in owner.list(filters={"origin": "derived"}).items] == []
    assert [each.id for each in owner.list(kinds=["activation"]).items] == [row.id]
    both = owner.list(kinds=["plaintext", "activation"]).items
    assert [each.id for each in both] == [refund.id, row.id]
    assert [hit.cube.id for hit in owner.search("refund period")] == [refund.id]
    assert owner.search("refund", kinds=["activation"]) == []
    assert places.memory.stats().types == {"turn": 1}


def test_matching_is_of_one_namespace_and_engine(places: Places, refund: MemCube) -> None:
    places.promote(refund)
    rows = rows_of("alice", REFUND)
    with places.blocks.matching("alice", ENGINE) as index:
        found = index.of_keys([row.key for row in rows])
        assert [row.tokens for row in found] == [row.tokens for row in rows]
        assert [row.key for row in index.children(rows[0].key)] == [rows[1].key]
    for space, engine in (("bob", ENGINE), ("nobody", ENGINE), ("alice", "f" * 64)):
        places.memory.namespace("bob").add("Another owner.")
        with places.blocks.matching(space, engine) as index:
            assert index.of_keys([rows[0].key]) == []
            assert index.children(rows[0].key) == []
        assert places.blocks.carriers(space, engine) == []


def test_two_owners_of_one_text_share_nothing(places: Places, refund: MemCube) -> None:
    places.promote(refund)
    twin = places.memory.namespace("bob").add(REFUND)[0]
    assert places.hits(REFUND, "bob") == 0
    places.promote(twin, space="bob")
    assert places.hits(REFUND, "bob") == places.hits(REFUND) == len(rows_of("bob", REFUND))
    places.memory.namespace("bob").erase(twin.id)
    assert places.hits(REFUND, "bob") == 0
    assert places.hits(REFUND) == len(places.rows()) > 0


def test_a_text_that_changed_meanwhile_keeps_nothing(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    owner.update(refund.id, text="The refund period is ten days.")
    with pytest.raises(VersionConflictError):
        places.promote(refund)
    owner.forget(refund.id)
    with pytest.raises(CubeNotFoundError):
        places.promote(refund)
    with pytest.raises(InvalidInputError):
        places.promote()
    assert (places.rows(), places.files()) == ([], set())
    owner.restore(refund.id)
    assert owner.list(kinds=["activation"], include_archived=True).items == ()


def test_what_another_change_left_as_it_was_is_kept(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    owner.update(refund.id, priority=0.5)
    row = places.promote(refund)  # it was read before
    assert places.carriers() == [row.id]


Edit = Callable[[Namespace, MemCube], object]


@pytest.mark.parametrize(
    "edit",
    [
        lambda owner, cube: owner.update(cube.id, text="The refund period is ten days."),
        lambda owner, cube: owner.update(cube.id, type="note"),  # its title says so
        lambda owner, cube: owner.rollback(cube.id, to_version=1),
    ],
)
def test_an_edit_leaves_no_block_file_or_hit(
    places: Places, owner: Namespace, refund: MemCube, opening: MemCube, edit: Edit
) -> None:
    refund = owner.update(refund.id, text=REFUND.replace("thirty", "twenty"))
    rows = [places.promote(refund), places.promote(refund, opening, form="int8")]
    stays = places.promote(opening)
    drops = places.blocks.drops()
    edit(owner, refund)
    assert places.hits(refund.text) == 0
    assert places.carriers() == [stays.id]
    assert places.files() == {row.name for row in rows_of("alice", OPENING)}
    assert places.blocks.drops() > drops
    for row in rows:
        cube = owner.get(row.id)
        assert (cube.state, cube.metadata["stale"], cube.metadata["blocks"]) == (
            "archived",
            True,
            0,
        )
        assert len(owner.history(row.id)) == 2
    told = [json.loads(job.payload) for job in waiting(places)]
    assert told == [{"namespace": "alice", "cube": row.id} for row in rows]
    names = [job.unique_key for job in waiting(places)]
    assert names == [f"prefill alice {row.id}" for row in rows]


def test_what_is_built_again_after_an_edit_is_the_next_version(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    edited = owner.update(refund.id, text="The refund period is ten days.")
    again = places.promote(edited)
    assert (again.id, again.version, again.state) == (row.id, 3, "activated")
    assert "stale" not in owner.get(row.id).metadata
    assert places.carriers() == [row.id]
    assert places.hits(edited.text) == 2
    assert [span.version for span in owner.get(row.id).provenance.sources] == [2]
    assert [span.version for span in owner.get(row.id, version=1).provenance.sources] == [1]


def test_other_changes_of_a_text_leave_its_blocks(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    owner.update(refund.id, metadata={"a": 1})
    owner.rollback(refund.id, to_version=1)
    owner.freeze(refund.id)
    assert places.carriers() == [row.id]
    assert places.hits(REFUND) == len(rows_of("alice", REFUND))


def test_sections_lose_their_blocks_if_their_words_change(places: Places, owner: Namespace) -> None:
    text = "# One\n\nThe first part is about tea.\n\n# Two\n\nThe second part is about rye."
    whole, one, two = owner.add(text, type="document")
    rows = [places.promote(cube) for cube in (whole, one, two)]
    owner.update(whole.id, text=text.replace("rye", "oats"))
    assert places.carriers() == [rows[1].id]
    owner.update(whole.id, text=text.split("# Two")[0].strip())  # a section is left
    assert places.carriers() == []
    assert places.rows() == []
    assert places.files() == set()


def test_a_document_and_its_parts_leave_and_come_back_together(
    places: Places, owner: Namespace
) -> None:
    whole, one, _ = owner.add("# One\n\nAbout tea.\n\n# Two\n\nAbout rye.", type="document")
    rows = [places.promote(cube) for cube in (whole, one)]
    owner.archive(whole.id)
    assert places.carriers() == []
    owner.activate(whole.id)
    assert places.carriers() == [row.id for row in rows]


def test_changes_of_the_rows_of_a_table_are_edits(places: Places, owner: Namespace) -> None:
    table = owner.table("prices", columns={"item": "text", "euros": "integer"})
    cube = owner.get(table.id)
    row = places.promote(cube)
    table.insert({"item": "tea", "euros": 3})
    assert places.carriers() == []
    assert owner.get(row.id).metadata["stale"] is True
    with pytest.raises(VersionConflictError):
        places.promote(cube)


def test_what_is_archived_hidden_or_not_in_force_is_not_carried(
    places: Places, owner: Namespace, refund: MemCube, opening: MemCube, clock: HandClock
) -> None:
    row = places.promote(refund, opening)
    owner.archive(opening.id)
    assert places.carriers() == []
    assert places.hits(f"{REFUND}\n{OPENING}") > 0  # archived is out of the way, not hidden
    owner.activate(opening.id)
    assert places.carriers() == [row.id]
    owner.forget(opening.id)
    assert places.carriers() == []
    assert places.hits(f"{REFUND}\n{OPENING}") == 0
    with pytest.raises(CubeNotFoundError):
        owner.get(row.id)
    owner.restore(opening.id)
    assert places.carriers() == [row.id]
    assert places.hits(f"{REFUND}\n{OPENING}") > 0
    owner.update(refund.id, valid_from="2030-01-01")
    assert places.carriers() == []
    owner.update(refund.id, valid_from="2020-01-01", valid_to="2021-01-01")
    assert places.carriers() == []
    owner.update(refund.id, valid_to="2031-01-01")
    assert places.carriers() == [row.id]
    owner.archive(row.id)
    assert places.carriers() == []
    owner.activate(row.id)
    owner.freeze(row.id)
    assert places.carriers() == [row.id]


def test_what_is_given_on_request_alone_is_not_carried(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    owner.update(refund.id, labels=["policy", "on_request"])
    assert places.carriers() == []
    owner.update(refund.id, labels=["policy"])
    assert places.carriers() == [row.id]


def test_what_was_said_and_holds_no_longer_is_not_carried(places: Places, owner: Namespace) -> None:
    old = owner.add("I live in Oslo.", at="2025-01-01")[0]
    places.memory.drain()
    row = places.promote(owner.get(old.id))
    assert places.carriers() == [row.id]
    new = owner.add("I live in Bergen now.", at="2025-06-01")[0]
    places.memory.drain()
    (fact,) = [each for each in owner.derived(old.id) if each.kind == "plaintext"]
    assert fact.valid_to is not None
    assert places.carriers() == []
    assert owner.get(row.id).state == "activated"
    owner.erase(new.id)
    assert places.carriers() == [row.id]  # it holds again


def test_a_cube_that_went_stale_while_it_was_hidden_is_built_when_it_is_back(
    places: Places, owner: Namespace, refund: MemCube, opening: MemCube
) -> None:
    row = places.promote(refund, opening)
    owner.forget(refund.id)
    owner.update(opening.id, text="It opens at ten.")
    assert (places.rows(), waiting(places)) == ([], [])
    owner.restore(refund.id)
    assert (owner.get(row.id).state, places.carriers()) == ("archived", [])
    assert [job.unique_key for job in waiting(places)] == [f"prefill alice {row.id}"]
    again = places.promote(owner.get(refund.id), owner.get(opening.id))
    assert again.id == row.id
    assert places.carriers() == [row.id]


def test_what_expires_lets_go_of_its_blocks(
    places: Places, owner: Namespace, refund: MemCube, clock: HandClock
) -> None:
    places.promote(refund)
    soon = clock.now_us() + 10_000_000
    owner.update(refund.id, expires_at=soon_iso(soon))
    assert len(places.carriers()) == 1
    clock.move_s(11)
    assert places.carriers() == []
    assert places.hits(REFUND) == 0  # hidden by the clock, before any job
    places.memory.drain()
    assert (places.rows(), places.files()) == ([], set())


def soon_iso(us: int) -> str:
    from mneme.core.clock import from_us

    return from_us(us).isoformat()


def test_a_promise_is_kept_or_refused(
    places: Places, owner: Namespace, refund: MemCube, opening: MemCube
) -> None:
    row, _ = places.blocks.promise("alice", header_of(refund))
    assert row.state == "generated"
    assert places.carriers() == []
    assert [job.unique_key for job in waiting(places)] == [f"prefill alice {row.id}"]
    assert places.blocks.header_of("alice", row.id) == (row, (refund.id,), "raw")
    with pytest.raises(InvalidInputError, match="promote"):
        owner.activate(row.id)  # nobody proved it yet
    kept = places.promote(refund)
    assert (kept.id, kept.version, kept.state) == (row.id, 2, "activated")
    assert places.blocks.promise("alice", header_of(refund))[0] == kept
    other, _ = places.blocks.promise("alice", header_of(opening, form="int4"))
    refused, _ = places.blocks.refuse("alice", other.id, "it answers otherwise")
    assert refused.state == "archived"
    assert owner.get(other.id).metadata["refused"] == "it answers otherwise"
    assert [job.unique_key for job in waiting(places)] == [f"prefill alice {row.id}"]
    with pytest.raises(InvalidInputError, match="promote"):
        owner.activate(other.id)
    again, _ = places.blocks.promise("alice", header_of(opening, form="int4"))
    assert (again.id, again.version, again.state) == (other.id, 3, "generated")
    assert "refused" not in owner.get(other.id).metadata


def test_an_edit_before_a_promise_is_kept_changes_what_is_promised(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row, _ = places.blocks.promise("alice", header_of(refund))
    edited = owner.update(refund.id, text="The refund period is ten days.")
    assert owner.get(row.id).state == "generated"
    assert len(waiting(places)) == 1
    with pytest.raises(VersionConflictError):
        places.promote(refund)
    assert places.promote(edited).id == row.id


def test_a_demoted_cube_holds_nothing_and_the_text_stays(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    with pytest.raises(InvalidInputError):
        places.blocks.demote("alice", refund.id)
    with pytest.raises(CubeNotFoundError):
        places.blocks.demote("bob", row.id)
    owner.freeze(row.id)
    with pytest.raises(FrozenCubeError):
        places.blocks.demote("alice", row.id)
    owner.unfreeze(row.id)
    owner.update(row.id, hold=True)
    with pytest.raises(FrozenCubeError, match="held"):
        places.blocks.demote("alice", row.id)
    assert places.carriers() == [row.id]
    owner.update(row.id, hold=False)
    demoted, _ = places.blocks.demote("alice", row.id)
    assert demoted.state == "archived"
    assert (places.rows(), places.files(), places.hits(REFUND)) == ([], set(), 0)
    assert owner.get(refund.id).text == REFUND
    owner.update(refund.id, text="The refund period is ten days.")
    assert waiting(places) == []  # nobody wants it back
    again = places.promote(owner.get(refund.id))
    assert (again.id, again.state) == (row.id, "activated")


def test_what_its_user_archived_is_not_built_again(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    owner.archive(row.id)
    owner.update(refund.id, text="The refund period is ten days.")
    assert waiting(places) == []
    assert places.rows() == []


def test_an_activation_cube_is_changed_by_its_sources_alone(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    for change in ({"text": "Other."}, {"metadata": {"form": "int4"}}, {"type": "note"}):
        with pytest.raises(InvalidInputError, match="sources"):
            owner.update(row.id, **change)
    with pytest.raises(InvalidInputError):
        owner.rollback(row.id, to_version=1)
    with pytest.raises(InvalidInputError):
        places.promote(owner.get(row.id))
    owner.update(row.id, priority=0.5)
    assert places.carriers() == [row.id]


def test_what_a_frozen_cube_carries_does_not_change_while_its_text_does_not(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    owner.freeze(row.id)
    rows = rows_of("alice", REFUND)
    with pytest.raises(FrozenCubeError):
        places.blocks.keep("alice", header_of(refund, tokens=1), rows[:1])
    assert places.hits(REFUND) == len(rows)
    owner.update(refund.id, text="The refund period is ten days.")
    assert owner.get(row.id).state == "archived"


def test_blocks_that_went_come_back_to_the_cube_as_it_is(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    rows = rows_of("alice", REFUND)
    places.blocks.drop([each.number for each in places.rows()[1:]])
    assert places.files() == {rows[0].name}
    (carrier,) = places.blocks.carriers("alice", ENGINE)
    assert carrier.blocks == 1
    known = places.rows()  # read before, with their numbers
    places.put(rows[1:])
    again = places.blocks.keep("alice", header_of(refund, tokens=9), [*known, *rows[1:]])[0]
    assert again == row
    assert places.hits(REFUND) == len(rows)


def test_a_cube_that_was_forgotten_by_itself_comes_back_when_it_is_promoted(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    owner.forget(row.id)
    assert (places.carriers(), places.hits(REFUND)) == ([], 0)
    assert owner.get(refund.id).text == REFUND
    again = places.promote(refund)
    assert (again.id, again.state) == (row.id, "activated")
    assert places.carriers() == [row.id]
    owner.forget(refund.id)
    owner.restore(refund.id)
    assert places.carriers() == [row.id]


def test_rebuilding_the_indexes_leaves_blocks_alone(places: Places, refund: MemCube) -> None:
    row = places.promote(refund)
    places.memory.rebuild()
    assert places.carriers() == [row.id]
    assert places.hits(REFUND) == len(rows_of("alice", REFUND))
    assert places.memory.verify().ok


def test_only_what_is_promised_or_stale_is_to_be_built(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.blocks.promise("alice", header_of(refund))[0]
    assert is_to_build(row)
    row = places.promote(refund)
    assert not is_to_build(row)
    edited = owner.update(refund.id, text="The refund period is ten days.")
    assert is_to_build(places.blocks.header_of("alice", row.id)[0])
    places.promote(edited)
    assert not is_to_build(places.blocks.demote("alice", row.id)[0])
    assert waiting(places) == []


def test_a_build_keeps_what_an_earlier_one_found_out(places: Places, refund: MemCube) -> None:
    rows = rows_of("alice", REFUND)
    places.put(rows)
    header = Prefilled(
        sources=((refund.id, 1),), engine=ENGINE, form="raw", tokens=9, extra={"error": 0.0}
    )
    first, _ = places.blocks.keep("alice", header, rows)
    again, _ = places.blocks.keep("alice", header_of(refund, tokens=9), rows)
    assert again == first


def test_an_erased_text_takes_its_blocks_along(
    places: Places, owner: Namespace, refund: MemCube, opening: MemCube
) -> None:
    both, alone = places.promote(refund, opening), places.promote(opening)
    held = len({row.name for row in rows_of("alice", f"{REFUND}\n{OPENING}")})
    receipt = owner.erase(refund.id)
    assert set(receipt.erased) == {refund.id, both.id}
    assert receipt.rows["block"] == held
    assert (receipt.checked["files"], receipt.checked["files_found"]) == (held, 0)
    assert receipt.checked["found"] == 0
    assert receipt.complete
    assert places.files() == {row.name for row in rows_of("alice", OPENING)}
    assert places.carriers() == [alone.id]
    assert owner.erase(alone.id).rows["block"] == len(rows_of("alice", OPENING))
    assert owner.get(opening.id).text == OPENING
    assert (places.rows(), places.files()) == ([], set())


def test_what_two_cubes_hold_stays_while_one_of_them_does(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    longer = owner.add("Ask at the counter.")[0]
    places.promote(refund)
    both = places.promote(refund, longer)
    shared = set(rows_of("alice", REFUND)) & set(rows_of("alice", f"{REFUND}\n{longer.text}"))
    assert len(shared) == 3
    receipt = owner.erase(longer.id)
    assert set(receipt.erased) == {longer.id, both.id}
    assert receipt.checked["found"] == 0
    assert places.hits(REFUND) == len(rows_of("alice", REFUND))
    assert places.files() == {row.name for row in rows_of("alice", REFUND)}


def test_a_hold_on_an_activation_cube_keeps_its_text(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    owner.update(row.id, hold=True)
    with pytest.raises(ForbiddenError):
        owner.erase(refund.id)
    assert places.hits(REFUND) > 0
    owner.update(row.id, hold=False)
    owner.erase(refund.id)
    assert places.rows() == []


def test_a_thousand_uses_change_nothing_but_counters(places: Places, refund: MemCube) -> None:
    places.promote(refund)
    before, numbers = places.memory.stats(), [row.number for row in places.rows()]
    for _ in range(1000):
        with places.blocks.matching("alice", ENGINE) as index:
            found = index.of_keys([row.key for row in rows_of("alice", REFUND)])
        places.memory._usage.count_blocks(row.number for row in found)
    places.memory.drain()
    assert {row.uses for row in places.rows()} == {1000}
    assert [row.number for row in places.rows()] == numbers
    assert places.memory.stats().bytes["activation"] == before.bytes["activation"]
    places.memory._usage.count_blocks([numbers[0] + 999])  # gone meanwhile
    places.memory.drain()


def test_exports_hold_no_activation_cubes(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    places.promote(refund)
    file = places.folder.parent / "cubes"
    assert owner.export(file) == 1
    bob = places.memory.namespace("carol")
    bob.import_(file)
    assert bob.list(kinds=["activation"]).items == ()


def test_a_snapshot_is_whole_and_computes_its_own(
    places: Places, owner: Namespace, refund: MemCube
) -> None:
    row = places.promote(refund)
    places.memory.snapshot(places.folder.parent / "copy")
    other = Places(places.folder.parent / "copy", places.clock)
    with other.memory as memory:
        assert memory.verify().ok
        (carrier,) = other.blocks.carriers("alice", ENGINE)
        assert (carrier.row.id, carrier.blocks, other.hits(REFUND)) == (row.id, 0, 0)
        again = memory.namespace("alice").get(refund.id)
        assert other.promote(again).id == row.id
        assert other.hits(REFUND) > 0
        memory.namespace("alice").erase(refund.id)
    assert places.hits(REFUND) > 0
