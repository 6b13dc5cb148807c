"""Files of adapters: there with their rows, gone with them, and told when they are not whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mneme
from mneme import BackendUnavailableError, CubeNotFoundError, InvalidInputError, MemCube, Namespace
from mneme.backends.blobs.folder import FolderBlobs
from mneme.backends.sqlite.raw_bytes import files_of as looked_into
from mneme.core.errors import FrozenCubeError
from mneme.settings import Settings
from mneme.testing.blobs import MemoryBlobs
from mneme.testing.clocks import HandClock
from mneme.testing.shards import Shelf, header_of
from mneme.testing.shards import files_of as made_of
from mneme.vault.stale import SWEEP, facts_of
from mneme.vault.sweep import GRACE_US
from mneme.wiring import Outside, build

OFFLINE = Settings(worker=False, embedder="none")
PARTS = 3  # files of an adapter


def problems(shelf: Shelf) -> tuple[str, ...]:
    return shelf.memory.verify().problems


def path_of(shelf: Shelf, name: str) -> Path:
    return shelf.folder / "parametric" / name[:2] / name


def test_files_lie_beside_the_store_and_are_counted(shelf: Shelf, facts: list[MemCube]) -> None:
    shelf.tune(*facts)
    files = made_of(*facts)
    size = sum(map(len, files.values()))
    assert all(path_of(shelf, file.name).read_bytes() == data for file, data in files.items())
    stats = shelf.memory.stats()
    assert stats.counts["adapter_files"] == PARTS
    assert (stats.bytes["parametric"], stats.bytes["parametric disk"]) == (size, size)


def test_files_whose_rows_never_come_are_removed_in_time(
    shelf: Shelf, facts: list[MemCube], clock: HandClock
) -> None:
    shelf.put(made_of(facts[0]))
    assert problems(shelf) == ()  # somebody may be at work
    shelf.adapters.sweep()
    assert len(shelf.files()) == PARTS
    clock.move_s(GRACE_US / 1e6 + 1)
    shelf.memory.drain()
    assert shelf.files() == set()


def test_files_that_went_before_their_row_came_are_noticed(
    shelf: Shelf, facts: list[MemCube], clock: HandClock
) -> None:
    files = made_of(facts[0])
    header = header_of(facts[0], digest=next(iter(files)).digest)
    shelf.put(files)
    clock.move_s(GRACE_US / 1e6 + 1)
    shelf.memory.drain()
    with pytest.raises(BackendUnavailableError, match="not there"):
        shelf.adapters.keep("alice", header, list(files))


def test_files_that_nobody_expects_are_found_and_removed(
    shelf: Shelf, facts: list[MemCube], clock: HandClock
) -> None:
    row = shelf.tune(facts[0])
    stray = made_of(facts[1])
    shelf.place.put({file.name: data for file, data in stray.items()})
    told = f"{PARTS} files of adapters belong to no adapter; they are removed in ten minutes"
    assert problems(shelf) == (told,)
    assert problems(shelf) == ()
    clock.move_s(GRACE_US / 1e6 + 1)
    shelf.memory.drain()
    assert shelf.files() == {file.name for file in made_of(facts[0])}
    assert list(shelf.usable()) == [row.id]


def test_files_of_others_in_the_same_folder_are_left_alone(
    shelf: Shelf, facts: list[MemCube], clock: HandClock
) -> None:
    other = shelf.folder / "parametric" / "runs" / "notes.txt"
    other.parent.mkdir(parents=True)
    other.write_text("Not ours.")
    shelf.tune(facts[0])
    assert problems(shelf) == ()
    clock.move_s(2 * 86_400)
    with build(shelf.folder, settings=OFFLINE, outside=Outside(clock=shelf.clock)) as memory:
        memory.drain()
    assert other.read_text() == "Not ours."
    other.unlink()


def test_what_a_crash_left_is_found_within_a_day(
    shelf: Shelf, facts: list[MemCube], clock: HandClock
) -> None:
    stray = made_of(facts[1])
    shelf.place.put({file.name: data for file, data in stray.items()})
    outside = Outside(clock=clock)
    clock.move_s(2 * 86_400)
    with build(shelf.folder, settings=OFFLINE, outside=outside):
        assert len(shelf.files()) == PARTS
    clock.move_s(GRACE_US / 1e6 + 1)
    with build(shelf.folder, settings=OFFLINE, outside=outside):
        assert shelf.files() == set()


def test_every_flipped_bit_and_every_lost_file_is_told(shelf: Shelf, facts: list[MemCube]) -> None:
    shelf.tune(*facts)
    flipped = "1 files of adapters are not what was written; texts answer instead"
    lost = "1 files of adapters are not there whole; texts answer instead"
    for file, data in made_of(*facts).items():
        for at in (0, len(data) // 2, len(data) - 1):
            for bit in (1, 128):
                wrong = bytearray(data)
                wrong[at] ^= bit
                shelf.place.put({file.name: bytes(wrong)})
                assert problems(shelf) == (flipped, lost)
        shelf.place.put({file.name: data[:-1]})
        assert problems(shelf) == (flipped, lost)
        shelf.place.drop([file.name])
        assert problems(shelf) == (lost,)
        shelf.place.put({file.name: data})
        assert problems(shelf) == ()


def test_an_older_version_comes_back_bit_by_bit(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    before = {name: bytes(path_of(shelf, name).read_bytes()) for name in shelf.files()}
    shelf.tune(*facts[1:4], into=row.id)
    back = owner.rollback(row.id, to_version=1)
    assert (back.version, back.state) == (3, "activated")
    digest, files = shelf.adapters.files_of("alice", row.id)
    assert digest == facts_of(row)["digest"]
    assert {f.name: path_of(shelf, f.name).read_bytes() for f in files} == before
    assert [each.id for each in owner.sources(row.id)] == [facts[0].id, facts[1].id]
    assert shelf.usable() == {row.id: (facts[0].id, facts[1].id)}
    assert owner.rollback(row.id, to_version=2).metadata["facts"] == 3
    receipt = owner.erase(facts[0].id)  # no version of it may stay
    assert row.id in receipt.erased
    assert shelf.files() == set()


def test_a_refused_or_stale_shard_goes_back_to_one_that_was_used(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    shelf.adapters.refuse("alice", row.id, "it failed a later check")
    with pytest.raises(InvalidInputError, match="held no adapter that was used"):
        owner.rollback(row.id, to_version=2)
    assert owner.rollback(row.id, to_version=1).state == "activated"
    assert list(shelf.usable()) == [row.id]
    owner.update(facts[0].id, text="The lamp is of another colour.")
    assert shelf.usable() == {}
    with pytest.raises(InvalidInputError, match="no longer true"):
        owner.rollback(row.id, to_version=1)
    owner.rollback(facts[0].id, to_version=1)  # the text says again what was written
    assert owner.rollback(row.id, to_version=1).state == "activated"
    every = {facts[0].id, facts[1].id}
    assert shelf.adapters.holds(
        "alice", shelf.adapters.shards("alice", "b" * 64)[0].row, every
    ) == (every)
    owner.archive(row.id)
    assert owner.rollback(row.id, to_version=1).state == "archived"  # as its user wants it


def test_no_version_comes_back_whose_sources_or_files_are_gone(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    shelf.tune(facts[1], into=row.id)
    promised = shelf.promise(facts[3])
    with pytest.raises(InvalidInputError, match="held no adapter"):
        owner.rollback(promised.id, to_version=1)
    with pytest.raises(InvalidInputError, match="versions 1 to 2"):
        owner.rollback(row.id, to_version=7)
    name = min(file.name for file in made_of(*facts[:2]))
    whole = path_of(shelf, name).read_bytes()
    for wrong in (whole[:-1], bytes(len(whole))):
        shelf.place.put({name: wrong})
        with pytest.raises(InvalidInputError, match="no longer there"):
            owner.rollback(row.id, to_version=1)
    shelf.place.put({name: whole})
    owner.freeze(row.id)
    with pytest.raises(FrozenCubeError):
        owner.rollback(row.id, to_version=1)
    owner.unfreeze(row.id)
    owner.archive(facts[0].id)  # its text is still the same
    assert owner.rollback(row.id, to_version=1).metadata["facts"] == 2
    shelf.adapters.demote("alice", row.id)
    with pytest.raises(InvalidInputError, match="no longer there"):
        owner.rollback(row.id, to_version=1)


def test_a_snapshot_holds_the_files_of_its_rows_and_no_others(
    shelf: Shelf, owner: Namespace, facts: list[MemCube], tmp_path: Path
) -> None:
    row = shelf.tune(*facts[:2])
    shelf.tune(facts[1], into=row.id)
    shelf.put(made_of(facts[3]))  # somebody is at work
    target = tmp_path / "copy"
    shelf.memory.snapshot(target)
    with build(target, settings=OFFLINE) as copy:
        place = copy.vault.parts.adapters
        assert place is not None
        assert set(place.names()) == shelf.rows()
        assert copy.verify().problems == ()
        assert [s.row.id for s in copy.vault.adapters.shards("alice", "b" * 64)] == [row.id]
        rolled = copy.namespace("alice").rollback(row.id, to_version=1)
        assert rolled.metadata["digest"] == facts_of(row)["digest"]
        receipt = owner.erase(facts[1].id)
        assert receipt.not_reached == (f"snapshot: {target}",)
        assert copy.namespace("alice").erase(facts[1].id).checked["files_found"] == 0
        assert set(place.names()) == set()
        assert copy.verify().problems == ()
    shelf.clock.move_s(GRACE_US / 1e6 + 1)


class Hurried(FolderBlobs):
    """A folder in which something happens just before a file is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.before: dict[str, Callable[[], None]] = {}

    def get(self, names: Sequence[str]) -> list[memoryview | None]:
        for happen in [self.before.pop(name) for name in names if name in self.before]:
            happen()
        return super().get(names)


@pytest.mark.parametrize("moment", ["files", "rows"])
def test_a_snapshot_during_an_erasure_and_a_new_shard_is_whole(
    tmp_path: Path, clock: HandClock, moment: str
) -> None:
    place = Hurried(tmp_path / "store" / "parametric")
    shelf = Shelf(tmp_path / "store", clock, place)
    with shelf.memory:
        owner = shelf.memory.namespace("alice")
        facts = [owner.add(f"The fact of number {n} stands.", type="fact")[0] for n in range(3)]
        shelf.tune(facts[0])
        shelf.tune(facts[1])

        def change() -> None:
            shelf.tune(facts[2])  # its files are copied after the rows
            if moment == "files":
                owner.erase(facts[0].id)
            else:
                last = max(file.name for file in made_of(facts[2]))
                place.before[last] = lambda: _erase(owner, facts[2])

        place.before[max(shelf.files())] = change
        shelf.memory.snapshot(tmp_path / "copy")
        assert place.before == {}
        rows = shelf.rows()
        assert len(rows) == 2 * PARTS
    with build(tmp_path / "copy", settings=OFFLINE) as copy:
        found = copy.vault.parts.adapters
        assert found is not None
        assert set(found.names()) == rows
        assert copy.verify().problems == ()


def _erase(owner: Namespace, fact: MemCube) -> None:
    owner.erase(fact.id)


def test_a_place_that_is_down_keeps_nothing_and_owes_the_removal(
    tmp_path: Path, clock: HandClock
) -> None:
    place = MemoryBlobs(name="disk")
    shelf = Shelf(tmp_path / "store", clock, place)
    with shelf.memory:
        owner = shelf.memory.namespace("alice")
        facts = [owner.add(f"The fact of number {n} stands.", type="fact")[0] for n in range(2)]
        row = shelf.tune(facts[0])
        files = made_of(facts[1])
        shelf.put(files)
        place.down = True
        header = header_of(facts[1], digest=next(iter(files)).digest)
        with pytest.raises(BackendUnavailableError):
            shelf.adapters.keep("alice", header, list(files))
        receipt = owner.erase(facts[0].id)
        assert receipt.erased == (facts[0].id, row.id)
        assert receipt.pending == (
            "files in a place that does not answer, or is not set up here: parametric disk",
        )
        assert any("were not checked" in problem for problem in problems(shelf))
        place.down = False
        assert len(shelf.files()) == 2 * PARTS
        clock.move_s(60)
        shelf.memory.drain()
        assert shelf.files() == set()
        with shelf.memory.vault.parts.store.read() as tx:
            assert [job for job in tx.ledger.jobs() if job.kind == SWEEP] == []
        assert problems(shelf) == ()


def test_a_block_place_that_is_down_owes_nothing_of_adapters(
    tmp_path: Path, clock: HandClock
) -> None:
    far = MemoryBlobs(name="remote")
    outside = Outside(clock=clock, blobs=(MemoryBlobs(name="disk"), far))
    with build(tmp_path / "store", settings=OFFLINE, outside=outside) as memory:
        shelf = Shelf.__new__(Shelf)
        shelf.folder, shelf.clock, shelf.memory = tmp_path / "store", clock, memory
        owner = memory.namespace("alice")
        fact = owner.add("The fact of this test stands.", type="fact")[0]
        shelf.tune(fact)
        far.down = True
        receipt = owner.erase(fact.id)
        assert (receipt.pending, shelf.files()) == ((), set())
        far.down = False


def test_nothing_of_a_shard_is_readable_in_another_namespace(
    shelf: Shelf, facts: list[MemCube]
) -> None:
    row = shelf.tune(facts[0])
    bob = shelf.memory.namespace("bob")
    bob.add("A fact of Bob's.", type="fact")
    for read in (
        lambda: shelf.adapters.files_of("bob", row.id),
        lambda: shelf.adapters.header_of("bob", row.id),
        lambda: shelf.adapters.demote("bob", row.id),
        lambda: shelf.tune(facts[0], into=row.id, space="bob"),
        lambda: shelf.tune(facts[1], space="bob"),
        lambda: bob.erase(row.id),
    ):
        with pytest.raises(CubeNotFoundError):
            read()
    assert shelf.adapters.holds("bob", row, [facts[0].id]) == set()
    assert shelf.usable("bob") == {}
    assert list(shelf.usable()) == [row.id]


def test_writers_at_one_time_get_numbers_of_their_own(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(shelf.tune, facts))
    assert sorted(facts_of(row)["shard"] for row in rows) == [1, 2, 3, 4]
    assert set(shelf.usable()) == {row.id for row in rows}


def test_texts_are_looked_for_beside_tensors_and_not_in_them(
    shelf: Shelf, facts: list[MemCube]
) -> None:
    shelf.tune(*facts)
    seen = {file.name[65:] for file in looked_into(shelf.folder) if "parametric" in file.parts}
    assert seen == {"facts.jsonl", "gate.json"}


def test_another_process_sees_what_went(shelf: Shelf, facts: list[MemCube]) -> None:
    row = shelf.tune(facts[0])
    digest = facts_of(row)["digest"]
    with mneme.open(shelf.folder, settings=OFFLINE) as other:
        drops = other.vault.adapters.drops()
        assert other.vault.adapters.present([digest]) == {digest}
        shelf.memory.namespace("alice").erase(facts[0].id)
        assert other.vault.adapters.drops() > drops
        assert other.vault.adapters.present([digest]) == set()
        assert other.vault.adapters.shards("alice", "b" * 64) == []
