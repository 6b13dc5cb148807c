"""Files of blocks follow their rows: after a crash, past a place that is down, from any process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mneme import MemCube, Namespace
from mneme.core.rows import BlockRow
from mneme.memories.activation.eviction import order
from mneme.testing.blobs import MemoryBlobs
from mneme.testing.prefills import ENGINE, Places, header_of, rows_of
from mneme.vault.stale import SWEEP
from mneme.vault.sweep import GRACE_US, space_of
from mneme.vault.upkeep import Report

TEXT = "The parcel for Marta waits at the counter of the station in Bergen until Friday."
OTHER = "The key of the boat hangs behind the door of the kitchen at home."
GRACE_S = GRACE_US / 1e6


@pytest.fixture
def parcel(owner: Namespace) -> MemCube:
    return owner.add(TEXT)[0]


def by_start(rows: list[BlockRow]) -> list[BlockRow]:
    return sorted(rows, key=lambda row: row.start)


def names_of(text: str, space: str = "alice") -> set[str]:
    return {row.name for row in rows_of(space, text)}


def sweeps(places: Places) -> list[str | None]:
    with places.memory.vault.parts.store.read() as tx:
        return [job.error for job in tx.ledger.jobs() if job.kind == SWEEP]


def test_a_place_that_is_down_gets_its_turn(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    places.far.down = True
    receipt = owner.erase(parcel.id)
    assert receipt.pending == (
        "files in a place that does not answer, or is not set up here: remote",
    )
    assert not receipt.complete
    assert receipt.rows["block"] == len(names_of(TEXT))
    assert set(places.near.names()) == set()
    places.memory.drain()
    (error,) = sweeps(places)
    assert error is not None
    assert "remote" in error
    assert error.startswith("BackendUnavailableError")
    places.far.down = False
    assert set(places.far.names()) == names_of(TEXT)
    places.clock.move_s(3600)
    places.memory.drain()
    assert places.files() == set()
    assert sweeps(places) == []


def test_a_process_that_knows_fewer_places_says_what_is_left(
    places: Places, parcel: MemCube
) -> None:
    """Such as `mneme erase` in a shell that does not know the server."""
    places.promote(parcel)
    with places.open(places.near) as other:
        receipt = other.namespace("alice").erase(parcel.id)
        assert [each.rpartition(": ")[2] for each in receipt.pending] == ["remote"]
        assert set(places.near.names()) == set()
        assert set(places.far.names()) == names_of(TEXT)
    places.memory.drain()
    assert places.files() == set()


def test_an_edit_past_a_place_that_is_down_is_swept_by_a_job(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    places.near.down = True
    owner.update(parcel.id, text=OTHER)
    assert set(places.far.names()) == set()
    places.near.down = False
    assert set(places.near.names()) == names_of(TEXT)
    places.memory.drain()
    assert places.files() == set()


def test_what_is_put_again_is_not_swept(places: Places, owner: Namespace, parcel: MemCube) -> None:
    places.promote(parcel)
    places.far.down = True
    edited = owner.update(parcel.id, text=OTHER)
    places.far.down = False
    places.promote(owner.rollback(edited.id, to_version=1))  # before the job
    places.clock.move_s(3600)
    places.memory.drain()
    assert places.files() == names_of(TEXT)
    assert places.hits(TEXT) == len(names_of(TEXT))


def test_files_whose_rows_never_came_are_removed(places: Places, parcel: MemCube) -> None:
    places.put(rows_of("alice", TEXT))  # and then the process died
    assert places.memory.verify().ok
    with places.open(places.near, places.far) as other:
        assert places.files() == names_of(TEXT)  # somebody may be about to write the rows
        other.drain()
        assert places.files() == names_of(TEXT)
        places.clock.move_s(GRACE_S + 1)
        other.drain()
        assert places.files() == set()


def test_files_that_nobody_announced_are_found_by_verify(places: Places, parcel: MemCube) -> None:
    stray = rows_of("alice", OTHER)
    places.near.put({row.name: b"whatever" for row in stray})
    report = places.memory.verify()
    assert report.problems == (
        f"{len(stray)} files of blocks belong to no block; they are removed in ten minutes",
    )
    assert places.memory.verify().ok  # they are known
    places.promote(parcel)
    places.clock.move_s(GRACE_S + 1)
    places.memory.drain()
    assert places.files() == names_of(TEXT)


def test_files_that_nobody_announced_are_looked_for_once_a_day(
    places: Places, parcel: MemCube
) -> None:
    places.promote(parcel)

    def are_found() -> bool:
        places.near.put({row.name: b"whatever" for row in rows_of("alice", OTHER)})
        with places.open(places.near, places.far) as other:
            places.clock.move_s(GRACE_S + 1)
            other.drain()
        return places.files() == names_of(TEXT)

    assert are_found()
    assert not are_found()
    places.clock.move_s(86_400)
    assert are_found()


def test_what_a_crash_left_between_commit_and_removal_goes_on_opening(
    places: Places, parcel: MemCube
) -> None:
    places.promote(parcel)
    with places.memory.vault.parts.store.write() as tx:  # what an erasure commits
        tx.blocks.drop([row.number for row in tx.blocks.all()])
        tx.ledger.enqueue(SWEEP, SWEEP, "{}", 0)
    assert places.files() == names_of(TEXT)
    with places.open(places.near, places.far) as other:
        assert set(places.near.names()) == set()
        assert set(places.far.names()) == names_of(TEXT)  # opening waits for no server
        other.drain()
        assert places.files() == set()


def test_opening_waits_for_no_server_and_minds_none_that_is_down(
    places: Places, parcel: MemCube
) -> None:
    places.promote(parcel)
    far = MemoryBlobs(name="remote")
    far.down = places.near.down = True
    with places.open(places.near, far) as other:
        assert far.calls == []
        assert other.namespace("alice").get(parcel.id).text == TEXT
        assert "activation disk" not in other.stats().bytes


def test_room_is_made_before_it_is_needed(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    total = sum(row.size for row in places.rows())
    size = places.rows()[0].size
    make_room = places.blocks.make_room
    assert make_room(10, total + 10, by_start)
    assert len(places.rows()) == len(names_of(TEXT))
    assert not make_room(total + 1, total, by_start)  # it never fits
    assert len(places.rows()) == len(names_of(TEXT))
    assert make_room(size + 1, total, by_start)
    assert [row.start for row in by_start(places.rows())] == [8, 12]
    assert places.files() == {row.name for row in places.rows()}
    (carrier,) = places.blocks.carriers("alice", ENGINE)
    assert (carrier.blocks, carrier.bytes) == (2, 2 * size)
    assert make_room(total, total, by_start)
    assert (places.rows(), places.files()) == ([], set())
    assert len(places.carriers()) == 1  # still promoted, to be computed on use


@pytest.mark.parametrize("eviction", ["gdsf", "lru"])
def test_what_was_just_computed_is_not_the_first_to_make_room(
    places: Places, owner: Namespace, parcel: MemCube, eviction: str
) -> None:
    def worst(rows: list[BlockRow]) -> list[BlockRow]:
        return order(rows, places.clock.now_us(), eviction=eviction)

    places.promote(parcel)
    with places.memory.vault.parts.store.write() as tx:
        tx.blocks.used([(row.number, 1) for row in places.rows()], places.clock.now_us())
    places.clock.move_s(90 * 86_400)
    places.promote(owner.add(OTHER)[0])
    total = sum(row.size for row in places.rows())
    new = names_of(OTHER)
    assert places.blocks.make_room(sum(row.size for row in rows_of("alice", TEXT)), total, worst)
    assert {row.name for row in places.rows()} == new


def test_another_process_sees_at_once_that_blocks_went(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    with places.open(places.near, places.far) as other:
        blocks = other.vault.blocks
        drops, names = blocks.drops(), names_of(TEXT)
        assert blocks.present(names) == names
        owner.update(parcel.id, priority=0.1)
        assert blocks.drops() == drops
        owner.erase(parcel.id)
        assert blocks.drops() > drops
        assert blocks.present(names) == set()
        with blocks.matching("alice", ENGINE) as index:
            assert index.of_keys([row.key for row in rows_of("alice", TEXT)]) == []


def problems_after(places: Places, data: bytes | None) -> Report:
    """What `verify` says when the far file of the first block is this."""
    name = min(places.far.names())
    if data is None:
        places.near.drop([name])
        places.far.drop([name])
    else:
        places.far.put({name: data})
    return places.memory.verify()


def test_verify_finds_files_that_are_damaged_or_gone(places: Places, parcel: MemCube) -> None:
    pytest.importorskip("xxhash")
    places.promote(parcel)
    name = min(places.far.names())
    whole = bytes(places.far.get([name])[0] or b"")
    said = "1 files of blocks are not what was written; they are computed again"
    assert problems_after(places, whole[:-1]).problems == (said,)
    assert problems_after(places, whole[:5] + b"\0" + whole[6:]).problems == (said,)
    assert problems_after(places, whole).ok
    lost = "1 blocks have no whole file; they are computed again"
    assert problems_after(places, None).problems == (lost,)
    places.blocks.drop(row.number for row in places.rows() if row.name == name)
    assert places.memory.verify().ok
    places.far.down = True
    (problem,) = places.memory.verify().problems
    assert problem.startswith("files of blocks in remote were not checked: ")


def test_verify_finds_rows_that_hang_in_the_air(places: Places, parcel: MemCube) -> None:
    row = places.promote(parcel)
    with places.memory.vault.parts.store.write() as tx:
        number = tx.blocks.all()[0].number
        tx._run("DELETE FROM block_of WHERE block = ?", (number,))  # type: ignore[attr-defined]
        tx._run("INSERT INTO block_of VALUES (?, 999)", (row.key,))  # type: ignore[attr-defined]
    assert places.memory.verify().problems == (
        "1 blocks that no cube holds",
        "1 holders of blocks that are not there",
    )
    with places.memory.vault.parts.store.write() as tx:
        tx._run("DELETE FROM block_of WHERE block = 999")  # type: ignore[attr-defined]
        tx.blocks.drop([number])


def test_stats_count_blocks_and_their_bytes_by_place(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    stats, total = places.memory.stats(), sum(row.size for row in places.rows())
    assert stats.counts["blocks"] == len(names_of(TEXT))
    assert stats.bytes["activation"] == total
    assert stats.bytes["activation disk"] == stats.bytes["activation remote"] == total
    assert stats.bytes["disk"] > 0
    owner.erase(parcel.id)
    stats = places.memory.stats()
    assert [stats.counts["blocks"], stats.bytes["activation"], stats.bytes["activation disk"]] == [
        0, 0, 0
    ]  # fmt: skip


def test_erasing_needs_no_tensor_library(places: Places, parcel: MemCube) -> None:
    places.promote(parcel)
    said = subprocess.run(
        [sys.executable, "-c", _ERASE, str(places.folder), parcel.id],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["4", "[]"]
    assert places.rows() == []


_ERASE = """
import sys
import mneme

with mneme.open(sys.argv[1], settings=mneme.Settings(worker=False)) as memory:
    receipt = memory.namespace("alice").erase(sys.argv[2])
print(receipt.rows["block"])
print([name for name in ("torch", "transformers", "safetensors") if name in sys.modules])
"""


def test_no_two_stores_share_their_space(places: Places) -> None:
    parts = places.memory.vault.parts
    space = space_of(parts.store, parts.random_bytes)
    assert space == space_of(parts.store, parts.random_bytes)
    places.memory.snapshot(places.folder.parent / "copy")
    with Places(places.folder.parent / "copy", places.clock).memory as copy:
        assert space_of(copy.vault.parts.store, parts.random_bytes) != space


def test_tokens_of_what_is_erased_are_looked_for(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    twin = places.memory.namespace("bob").add(TEXT)[0]
    places.promote(twin, space="bob")
    before = owner.erase(parcel.id).checked
    assert before["found"] > 0  # the twin says the same, in text
    after = places.memory.namespace("bob").erase(twin.id).checked
    assert after["patterns"] > before["patterns"]  # nobody else holds these tokens now
    assert after["found"] == 0


def test_a_build_that_fails_leaves_the_blocks_of_others(
    places: Places, owner: Namespace, parcel: MemCube
) -> None:
    places.promote(parcel)
    more = owner.add(OTHER)[0]
    rows = rows_of("alice", f"{TEXT}\n{OTHER}")
    places.put(rows)
    owner.erase(more.id)
    with pytest.raises(KeyError):
        places.blocks.keep("alice", header_of(parcel, more), rows)
    assert places.files() == names_of(TEXT)
    assert places.hits(TEXT) == len(names_of(TEXT))
