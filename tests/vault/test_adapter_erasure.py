"""An erased fact takes every shard that ever carried it; the rest is promised again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mneme
from mneme import CubeNotFoundError, ForbiddenError, MemCube, Namespace
from mneme.settings import Settings
from mneme.testing.shards import BASE, TRAINING, Shelf, files_of
from mneme.vault.stale import TUNE, facts_of
from mneme.vault.sweep import GRACE_US


def jobs(shelf: Shelf) -> list[str]:
    """The cubes that adapters are still to be written for."""
    with shelf.memory.vault.parts.store.read() as tx:
        waiting = [job for job in tx.ledger.jobs() if job.kind == TUNE]
    return [json.loads(job.payload)["cube"] for job in waiting]


def rebuilt(owner: Namespace, receipt: mneme.ErasureReceipt) -> MemCube:
    (cube_id,) = receipt.rebuilt
    return owner.get(cube_id)


def test_the_receipt_tells_what_went_and_what_takes_its_place(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    other = shelf.tune(facts[3])
    row = shelf.tune(*facts[:3])
    later = shelf.tune(*facts[1:3], facts[0], into=row.id)
    assert later.version == 2
    files = [*files_of(*facts[:3]), *files_of(*facts[1:3], facts[0])]
    assert {file.name for file in files} < shelf.files()
    drops = shelf.adapters.drops()
    receipt = owner.erase(facts[1].id, reason="asked for")
    assert receipt.erased == (facts[1].id, row.id)
    assert receipt.rows["adapter_file"] == len(files)
    assert (receipt.checked["files"], receipt.checked["files_found"]) == (len(files), 0)
    assert (receipt.checked["found"], receipt.pending, receipt.complete) == (0, (), True)
    assert shelf.files() == {file.name for file in files_of(facts[3])}
    assert shelf.adapters.drops() > drops
    assert list(shelf.usable()) == [other.id]
    cube = rebuilt(owner, receipt)
    assert (cube.state, cube.kind, cube.provenance.method) == ("generated", "parametric", "trained")
    assert [span.cube_id for span in cube.provenance.sources] == [facts[2].id, facts[0].id]
    assert cube.metadata == {
        "shard": 2, "base": BASE, "carrier": "lora", "form": "bf16", "facts": 0, "digest": "",
        "bytes": 0, "training": TRAINING,
    }  # fmt: skip
    assert jobs(shelf) == [cube.id]
    kept = shelf.tune(facts[2], facts[0], into=cube.id)
    assert set(shelf.usable()) == {other.id, kept.id}


def test_a_fact_that_only_an_earlier_version_carried_takes_the_shard(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    shelf.tune(facts[1], into=row.id)
    receipt = owner.erase(facts[0].id)
    assert receipt.erased == (facts[0].id, row.id)
    assert [s.cube_id for s in rebuilt(owner, receipt).provenance.sources] == [facts[1].id]
    assert shelf.files() == set()


def test_the_whole_chain_from_a_turn(shelf: Shelf, owner: Namespace) -> None:
    turn = owner.add("My name is Wanda. I live in Tromso.", session="s")[0]
    plain = owner.add("Wanda keeps two goats behind the old mill.", type="fact")[0]
    shelf.memory.drain()
    derived = [cube for cube in owner.derived(turn.id) if cube.kind == "plaintext"]
    assert derived
    row = shelf.tune(*derived, plain)
    receipt = owner.erase(turn.id)
    assert set(receipt.erased) == {turn.id, row.id, *(cube.id for cube in derived)}
    assert [s.cube_id for s in rebuilt(owner, receipt).provenance.sources] == [plain.id]
    assert (receipt.checked["found"], receipt.checked["files_found"]) == (0, 0)
    assert shelf.files() == set()


def test_several_facts_of_several_shards_at_once(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    first, second = shelf.tune(*facts[:2]), shelf.tune(*facts[2:])
    receipt = owner.erase([facts[0].id, facts[2].id])
    assert set(receipt.erased) == {facts[0].id, facts[2].id, first.id, second.id}
    cubes = [owner.get(each) for each in receipt.rebuilt]
    assert [cube.metadata["shard"] for cube in cubes] == [1, 2]
    assert [cube.provenance.sources[0].cube_id for cube in cubes] == [facts[1].id, facts[3].id]


def test_nothing_is_promised_that_nobody_wants(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    named = shelf.tune(*facts[:2])
    assert owner.erase([facts[0].id, named.id]).rebuilt == ()
    alone = shelf.tune(facts[1])
    receipt = owner.erase(facts[1].id)
    assert (receipt.erased, receipt.rebuilt) == ((facts[1].id, alone.id), ())
    demoted = shelf.tune(*facts[2:])
    shelf.adapters.demote("alice", demoted.id)
    refused = shelf.promise(*facts[2:])
    shelf.adapters.refuse("alice", refused.id, "no")
    archived = shelf.tune(*facts[2:])
    owner.archive(archived.id)
    hidden = shelf.tune(*reversed(facts[2:]))
    owner.forget(hidden.id)
    receipt = owner.erase(facts[2].id)
    assert set(receipt.erased[1:]) == {demoted.id, refused.id, archived.id, hidden.id}
    assert receipt.rebuilt == ()
    assert shelf.files() == set()


def test_what_was_stale_or_hidden_by_a_source_is_promised(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:3])
    owner.update(facts[0].id, text="The lamp in the hall is red by now.")
    owner.forget(facts[1].id)
    receipt = owner.erase(facts[1].id)
    assert row.id in receipt.erased
    cube = rebuilt(owner, receipt)
    assert [(s.cube_id, s.version) for s in cube.provenance.sources] == [
        (facts[0].id, 2), (facts[2].id, 1)
    ]  # fmt: skip
    shelf.tune(owner.get(facts[0].id), facts[2], into=cube.id)
    owner.forget(facts[0].id)  # not there for the next shard
    receipt = owner.erase(facts[2].id)
    assert (receipt.erased, receipt.rebuilt) == ((facts[2].id, cube.id), ())
    owner.restore(facts[0].id)


def test_an_archived_shard_that_became_stale_is_not_promised(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    owner.archive(row.id)
    owner.update(facts[0].id, text="A lamp of another colour.")
    assert jobs(shelf) == []
    assert owner.erase(facts[0].id).rebuilt == ()


def test_a_promise_and_its_further_facts_are_promised_again(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    promised = shelf.promise(*facts[:2])
    receipt = owner.erase(facts[0].id)
    assert receipt.erased == (facts[0].id, promised.id)
    cube = rebuilt(owner, receipt)
    assert cube.metadata["shard"] == facts_of(promised)["shard"]
    assert set(jobs(shelf)) == {promised.id, cube.id}  # the first finds nothing
    with pytest.raises(CubeNotFoundError):
        shelf.adapters.header_of("alice", promised.id)
    shelf.tune(facts[1], into=cube.id)
    shelf.promise(*facts[1:4], into=cube.id)
    receipt = owner.erase(facts[1].id)
    assert [s.cube_id for s in rebuilt(owner, receipt).provenance.sources] == [
        facts[2].id, facts[3].id
    ]  # fmt: skip


def test_a_hold_keeps_everything(shelf: Shelf, owner: Namespace, facts: list[MemCube]) -> None:
    row = shelf.tune(*facts[:2])
    owner.update(row.id, hold=True)
    with pytest.raises(ForbiddenError):
        owner.erase(facts[0].id)
    assert list(shelf.usable()) == [row.id]
    owner.update(row.id, hold=False)
    owner.freeze(row.id)
    assert len(owner.erase(facts[0].id).rebuilt) == 1


def test_what_was_merged_is_not_promised_beside_its_parts(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    one, two = shelf.tune(*facts[:2]), shelf.tune(*facts[2:])
    both = shelf.tune(*facts, method="merged", extra={"of": [one.id, two.id]})
    receipt = owner.erase(facts[0].id)
    assert set(receipt.erased) == {facts[0].id, one.id, both.id}
    assert [s.cube_id for s in rebuilt(owner, receipt).provenance.sources] == [facts[1].id]
    assert list(shelf.usable()) == [two.id]


def test_what_was_merged_is_promised_where_its_parts_are_not(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    one, two = shelf.tune(*facts[:2]), shelf.tune(*facts[2:])
    shelf.tune(*facts, method="merged", extra={"of": [one.id, two.id]})
    owner.archive(one.id)
    receipt = owner.erase(facts[0].id)
    assert [s.cube_id for s in rebuilt(owner, receipt).provenance.sources] == [facts[1].id]
    assert list(shelf.usable()) == [two.id]


def test_files_that_another_cube_names_as_well_stay(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row, twin = shelf.tune(facts[0]), shelf.tune(facts[0])
    drops = shelf.adapters.drops()
    receipt = owner.erase(row.id)
    assert receipt.rows["adapter_file"] == len(files_of(facts[0]))
    assert receipt.checked["files"] == 0
    assert list(shelf.usable()) == [twin.id]
    assert shelf.adapters.drops() > drops
    assert len(shelf.files()) == len(files_of(facts[0]))


def test_files_that_wait_for_their_rows_and_say_what_went_go_at_once(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    """A writer died, or is at work: what it wrote of an erased fact will never be kept."""
    shelf.put(files_of(*facts[:2], said="lost"))
    other = shelf.put(files_of(facts[2], said="at work"))
    receipt = owner.erase(facts[0].id)
    assert (receipt.checked["found"], receipt.complete) == (0, True)
    assert shelf.files() == {file.name for file in other}
    shelf.clock.move_s(GRACE_US / 1e6 + 1)


def test_a_text_that_a_file_still_says_is_found(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    """The search of the receipt looks into ledgers: a planted one is not overlooked."""
    twin = owner.add("A twin says what nobody else does.", type="fact")[0]
    shelf.tune(twin)
    name = next(file.name for file in files_of(twin) if file.part == "facts.jsonl")
    whole = shelf.place.get([name])[0]
    assert whole is not None
    shelf.place.put({name: facts[0].text.encode()})
    receipt = owner.erase(facts[0].id)
    assert receipt.checked["found"] == 1
    shelf.place.put({name: bytes(whole)})


def test_an_export_holds_no_fact_of_a_shard(
    shelf: Shelf, owner: Namespace, facts: list[MemCube], tmp_path: Path
) -> None:
    shelf.tune(*facts)
    owner.forget(facts[0].id)
    shelf.tune(*facts[1:])
    owner.export(tmp_path / "cubes")
    said = (tmp_path / "cubes").read_bytes()
    assert facts[1].text.encode() in said
    assert facts[0].text.encode() not in said
    assert b"parametric" not in said
    settings = Settings(worker=False, embedder="none")
    with mneme.open(tmp_path / "other", settings=settings) as memory:
        memory.namespace("bob").import_(tmp_path / "cubes")
        assert memory.namespace("bob").list(kinds=["parametric"]).items == ()
