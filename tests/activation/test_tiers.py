"""Blocks come from the nearest tier that has them whole, and come nearer when they are used."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.errors import BackendUnavailableError, InvalidInputError, StoreFullError
from mneme.core.rows import BlockRow
from mneme.core.store import BlobStore
from mneme.memories.activation.behind import Behind
from mneme.memories.activation.kv import same
from mneme.memories.activation.tiers import Fetched, Tiers
from mneme.testing.blobs import MemoryBlobs
from mneme.testing.block_chains import Chain, block_chain

ROOM = 10**6


@pytest.fixture
def disk(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path)


@pytest.fixture
def remote() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def tiers(disk: FolderBlobs, remote: MemoryBlobs) -> Iterator[Tiers]:
    tiers = made([disk, remote])
    yield tiers
    tiers.close()


@pytest.fixture
def chain() -> Chain:
    return block_chain(6)


def made(blobs: Sequence[BlobStore], *, host_bytes: int = ROOM, eviction: str = "gdsf") -> Tiers:
    return Tiers(
        blobs, device="cpu", dtype=torch.float32, host_bytes=host_bytes, device_bytes=0,
        eviction=eviction,
    )  # fmt: skip


def whole(found: Fetched, chain: Chain) -> bool:
    """Whether all of a chain was found, bit by bit."""
    return len(found.held) == len(chain.kvs) and all(
        held is not None and same(held.kv, kv)
        for held, kv in zip(found.held, chain.kvs, strict=True)
    )


def spoil(folder: Path, row: BlockRow, at: int) -> None:
    path = folder / row.name[:2] / row.name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_was_kept_comes_from_host_memory(tiers: Tiers, chain: Chain) -> None:
    tiers.keep(chain.files, chain.rows)
    found = tiers.fetch(chain.rows)
    assert whole(found, chain)
    assert found.tier == ["host"] * 6
    assert (found.missing, found.damaged, found.failed) == ([], [], ())
    assert found.load_s >= 0
    assert found.decode_s > 0
    assert tiers.bytes() == {"host": sum(map(len, chain.files.values()))}


def test_what_another_process_kept_comes_from_disk_then_from_host(
    tiers: Tiers, disk: FolderBlobs, chain: Chain
) -> None:
    made([disk]).keep(chain.files, chain.rows)
    assert (tiers.fetch(chain.rows).tier, tiers.fetch(chain.rows).tier) == (
        ["disk"] * 6,
        ["host"] * 6,
    )


def test_what_is_only_remote_comes_from_there_in_one_request_and_goes_to_disk(
    tiers: Tiers, disk: FolderBlobs, remote: MemoryBlobs, chain: Chain
) -> None:
    remote.put(chain.files)
    remote.calls.clear()
    found = tiers.fetch(chain.rows)
    assert whole(found, chain)
    assert found.tier == ["remote"] * 6
    assert remote.calls == ["get"]
    assert tiers.fetch(chain.rows).tier == ["host"] * 6
    assert tiers.behind.flush(10)
    assert sorted(disk.names()) == sorted(chain.files)


def test_tiers_mix_within_a_chain(tiers: Tiers, disk: FolderBlobs, remote: MemoryBlobs) -> None:
    chain = block_chain(4)
    names = [row.name for row in chain.rows]
    tiers.keep({names[0]: chain.files[names[0]]}, chain.rows)
    disk.put({names[1]: chain.files[names[1]]})
    remote.put({names[2]: chain.files[names[2]]})
    found = tiers.fetch(chain.rows)
    assert found.tier == ["host", "disk", "remote", None]
    assert found.missing == [chain.rows[3]]
    assert found.held[3] is None


def test_nothing_asked_is_nothing_found(tiers: Tiers) -> None:
    assert tiers.fetch([]).held == []


@pytest.mark.parametrize("at", [0, 8, 100, -1])
def test_a_damaged_file_is_never_used(
    tmp_path: Path, tiers: Tiers, disk: FolderBlobs, chain: Chain, at: int
) -> None:
    disk.put(chain.files)
    spoil(tmp_path, chain.rows[2], at)
    found = tiers.fetch(chain.rows)
    assert found.held[2] is None
    assert found.tier[2] is None
    assert (found.damaged, found.missing) == ([chain.rows[2]], [])
    assert found.tier[3] == "disk"


def test_a_whole_copy_beneath_stands_in_for_a_damaged_file_and_mends_it(
    tmp_path: Path, tiers: Tiers, disk: FolderBlobs, remote: MemoryBlobs, chain: Chain
) -> None:
    disk.put(chain.files)
    remote.put(chain.files)
    spoil(tmp_path, chain.rows[2], -1)
    found = tiers.fetch(chain.rows)
    assert whole(found, chain)
    assert found.damaged == []
    assert found.tier[2] == "remote"
    tiers.behind.flush(10)
    tiers.clear()
    assert tiers.fetch(chain.rows).tier == ["disk"] * 6


def test_damage_to_a_file_after_it_was_read_does_not_reach_memory(
    tmp_path: Path, disk: FolderBlobs, chain: Chain
) -> None:
    tiers = made([disk])
    tiers.keep(chain.files, chain.rows)
    for row in chain.rows:
        spoil(tmp_path, row, -1)
    assert whole(tiers.fetch(chain.rows), chain)
    tiers.clear()
    assert tiers.fetch(chain.rows).damaged == chain.rows


def test_a_large_file_that_is_mapped_is_copied_into_memory(tmp_path: Path) -> None:
    chain = block_chain(1, tokens=64, shape=(4, 8, 320))
    assert len(chain.files[chain.rows[0].name]) > 4 << 20
    FolderBlobs(tmp_path).put(chain.files)
    tiers = made([FolderBlobs(tmp_path)], host_bytes=10 * ROOM)
    assert whole(tiers.fetch(chain.rows), chain)
    spoil(tmp_path, chain.rows[0], -1)
    found = tiers.fetch(chain.rows)
    assert found.tier == ["host"]
    assert whole(found, chain)


def test_a_block_that_was_built_anew_is_not_taken_from_the_memory_of_the_old_one(
    tiers: Tiers, disk: FolderBlobs
) -> None:
    old, new = block_chain(1, shape=(2, 2, 8)), block_chain(1, shape=(2, 2, 4))
    row = new.rows[0]
    assert old.rows[0].name == row.name
    tiers.keep(old.files, old.rows)
    disk.put(new.files)  # as another process would
    found = tiers.fetch([row])
    assert whole(found, new)
    assert found.tier == ["disk"]


def test_a_file_of_another_block_is_not_used(tiers: Tiers, disk: FolderBlobs) -> None:
    mine, other = block_chain(1, seed=1), block_chain(1, seed=2)
    disk.put({mine.rows[0].name: other.files[other.rows[0].name]})
    assert tiers.fetch(mine.rows).damaged == mine.rows


def test_a_place_that_does_not_answer_is_named_and_nothing_is_called_missing(
    tiers: Tiers, remote: MemoryBlobs, chain: Chain
) -> None:
    tiers.keep({row.name: chain.files[row.name] for row in chain.rows[:3]}, chain.rows)
    tiers.behind.flush(10)
    remote.down = True
    found = tiers.fetch(chain.rows)
    assert found.tier == ["host"] * 3 + [None] * 3
    assert found.missing == []
    assert len(found.failed) == 1
    assert "remote" in found.failed[0]


def test_a_disk_that_does_not_answer_is_done_without(chain: Chain) -> None:
    disk, remote = MemoryBlobs(name="disk"), MemoryBlobs()
    remote.put(chain.files)
    disk.down = True
    found = made([disk, remote]).fetch(chain.rows)
    assert whole(found, chain)
    assert found.tier == ["remote"] * 6


def test_a_form_of_another_version_is_left_alone(
    tiers: Tiers, disk: FolderBlobs, chain: Chain
) -> None:
    row = chain.rows[0]._replace(form="int2")
    disk.put({row.name: chain.files[chain.rows[0].name]})
    found = tiers.fetch([row])
    assert found.held == [None]
    assert (found.missing, found.damaged) == ([], [])
    assert "int2" in found.failed[0]


def test_a_full_disk_is_said_and_nothing_stays_in_memory(chain: Chain) -> None:
    disk, remote = MemoryBlobs(name="disk", room_bytes=10), MemoryBlobs()
    tiers = made([disk, remote])
    with pytest.raises(StoreFullError):
        tiers.keep(chain.files, chain.rows)
    tiers.behind.flush(10)
    assert tiers.bytes() == {"host": 0}
    assert list(remote.names()) == []


def test_a_disk_that_is_down_is_said(chain: Chain) -> None:
    disk = MemoryBlobs(name="disk")
    disk.down = True
    with pytest.raises(BackendUnavailableError):
        made([disk]).keep(chain.files, chain.rows)


def test_without_any_place_for_blobs_memory_alone_keeps(chain: Chain) -> None:
    tiers = made([])
    tiers.keep(chain.files, chain.rows)
    assert tiers.fetch(chain.rows).tier == ["host"] * 6


def test_remote_copies_are_written_behind_and_trouble_there_is_only_counted(
    tiers: Tiers, remote: MemoryBlobs, chain: Chain
) -> None:
    remote.down = True
    tiers.keep(chain.files, chain.rows)
    assert tiers.behind.flush(10)
    assert tiers.behind.errors == 6
    remote.down = False
    tiers.keep(chain.files, chain.rows)
    assert tiers.behind.flush(10)
    assert (tiers.behind.written, sorted(remote.names())) == (6, sorted(chain.files))


@pytest.mark.parametrize("eviction", ["gdsf", "lru"])
def test_of_a_chain_too_long_for_the_memory_the_head_stays(
    disk: FolderBlobs, eviction: str
) -> None:
    chain = block_chain(6)
    size = chain.rows[0].size
    tiers = made([disk], host_bytes=3 * size + 10, eviction=eviction)
    tiers.keep(chain.files, chain.rows)
    for _ in range(3):
        assert tiers.fetch(chain.rows).tier == ["host"] * 3 + ["disk"] * 3
        assert tiers.bytes() == {"host": 3 * size}


@pytest.mark.parametrize("eviction", ["gdsf", "lru"])
def test_what_is_used_stays_and_what_is_not_makes_room(disk: FolderBlobs, eviction: str) -> None:
    used, unused, new = (block_chain(3, seed=seed) for seed in (1, 2, 3))
    tiers = made([disk], host_bytes=7 * used.rows[0].size, eviction=eviction)
    for chain in (used, unused):
        tiers.keep(chain.files, chain.rows)
    tiers.fetch(used.rows)
    tiers.keep(new.files, new.rows)
    assert tiers.fetch(unused.rows).tier[2] == "disk"
    assert tiers.fetch(used.rows).tier[0] == "host"


def test_no_memory_at_all_is_no_trouble(disk: FolderBlobs, chain: Chain) -> None:
    tiers = made([disk], host_bytes=0)
    tiers.keep(chain.files, chain.rows)
    assert tiers.fetch(chain.rows).tier == ["disk"] * 6
    assert tiers.bytes() == {"host": 0}


def test_what_is_forgotten_is_in_no_memory_and_not_written_any_more(
    tiers: Tiers, disk: FolderBlobs, remote: MemoryBlobs, chain: Chain
) -> None:
    names = [row.name for row in chain.rows]
    tiers.keep(chain.files, chain.rows)
    tiers.forget(names[2:4])
    disk.drop(names[2:4])  # as the owner of the rows does
    assert tiers.behind.flush(10)
    assert set(remote.names()) == {*names[:2], *names[4:]}
    assert tiers.fetch(chain.rows).tier == ["host", "host", None, None, "host", "host"]


def test_all_is_forgotten_but_what_is_present(
    tiers: Tiers, remote: MemoryBlobs, chain: Chain
) -> None:
    tiers.keep(chain.files, chain.rows)
    tiers.behind.flush(10)
    tiers.forget_all_but(lambda names: {name for name in names if name in list(chain.files)[:2]})
    tiers.behind.flush(10)
    assert tiers.bytes() == {"host": 2 * chain.rows[0].size}
    assert len(list(remote.names())) == 2


class Held(MemoryBlobs):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.on = threading.Event(), threading.Event()

    def get(self, names: Sequence[str]) -> list[memoryview | None]:
        self.asked.set()
        assert self.on.wait(10)
        return super().get(names)

    def put(self, blobs: object) -> None:
        self.asked.set()
        assert self.on.wait(10)
        super().put(blobs)  # type: ignore[arg-type]


def test_what_is_forgotten_while_it_is_read_does_not_come_to_stay(chain: Chain) -> None:
    slow = Held()
    slow._blobs.update(chain.files)
    tiers = made([slow])
    found: list[Fetched] = []
    thread = threading.Thread(target=lambda: found.append(tiers.fetch(chain.rows)))
    thread.start()
    slow.asked.wait(10)
    tiers.forget(chain.files)
    slow.on.set()
    thread.join()
    assert whole(found[0], chain)  # asked for before it was forgotten
    assert tiers.bytes() == {"host": 0}


def test_rows_that_were_read_before_something_was_forgotten_do_not_come_to_stay(
    tiers: Tiers, disk: FolderBlobs, chain: Chain
) -> None:
    disk.put(chain.files)
    epoch = tiers.epoch
    tiers.forget(["other"])
    assert whole(tiers.fetch(chain.rows, epoch=epoch), chain)
    assert tiers.bytes() == {"host": 0}
    tiers.fetch(chain.rows, epoch=tiers.epoch)
    assert tiers.bytes() != {"host": 0}


def test_what_is_forgotten_while_it_is_written_behind_is_removed_again(
    disk: FolderBlobs, chain: Chain
) -> None:
    slow = Held()
    tiers = made([disk, slow])
    tiers.keep(chain.files, chain.rows)
    slow.asked.wait(10)
    tiers.forget(chain.files)
    slow.on.set()
    assert tiers.behind.flush(10)
    assert list(slow.names()) == []


def test_what_could_not_be_removed_is_removed_when_the_place_answers_again(
    tiers: Tiers, remote: MemoryBlobs, chain: Chain
) -> None:
    tiers.keep(chain.files, chain.rows)
    tiers.behind.flush(10)
    remote.down = True
    tiers.forget(chain.files)
    tiers.behind.flush(10)
    remote.down = False
    assert len(list(remote.names())) == 6
    other = block_chain(1, seed=9)
    tiers.keep(other.files, other.rows)
    tiers.behind.flush(10)
    assert list(remote.names()) == list(other.files)


def test_what_does_not_fit_in_the_queue_is_left_out(chain: Chain) -> None:
    slow = Held()
    behind = Behind(room_bytes=chain.rows[0].size * 3)
    behind.put(slow, {chain.rows[0].name: chain.files[chain.rows[0].name]})
    slow.asked.wait(10)  # under way: no longer in the queue
    behind.put(slow, chain.files)
    assert behind.left_out == 3
    slow.on.set()
    behind.close(10)
    assert len(list(slow.names())) == 3
    behind.put(slow, chain.files)  # closed
    assert behind.left_out == 9


def test_closing_writes_what_waits_and_empties_the_memory(
    disk: FolderBlobs, remote: MemoryBlobs, chain: Chain
) -> None:
    tiers = made([disk, remote])
    tiers.keep(chain.files, chain.rows)
    tiers.close()
    assert sorted(remote.names()) == sorted(chain.files)
    assert tiers.bytes() == {"host": 0}
    assert disk.get([chain.rows[0].name])[0] is not None  # the place itself stays open


def test_an_unknown_eviction_is_refused(disk: FolderBlobs) -> None:
    with pytest.raises(InvalidInputError):
        made([disk], eviction="random")


def test_many_threads_fetch_keep_and_forget_at_once(disk: FolderBlobs) -> None:
    chains = [block_chain(4, seed=seed) for seed in range(6)]
    budget = 9 * chains[0].rows[0].size
    tiers = made([disk, MemoryBlobs()], host_bytes=budget)
    wrong: list[str] = []

    def work(seed: int) -> None:
        for turn in range(30):
            chain = chains[(seed + turn) % 6]
            if turn % 5 == 0:
                tiers.keep(chain.files, chain.rows)
            if turn % 7 == 0:
                tiers.forget([chain.rows[-1].name])
            for held, kv in zip(tiers.fetch(chain.rows).held, chain.kvs, strict=True):
                if held is not None and not same(held.kv, kv):
                    wrong.append("other numbers")
            if tiers.bytes()["host"] > budget:
                wrong.append("beyond the budget")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tiers.close()
    assert wrong == []


def device_tiers(blobs: Sequence[BlobStore], device_bytes: int) -> Tiers:
    """Tensors that are nowhere: the device of shapes alone, which is not the CPU."""
    return Tiers(
        blobs, device="meta", dtype=torch.float32, host_bytes=ROOM, device_bytes=device_bytes
    )


def test_on_a_device_what_is_used_stays_there_within_its_budget(
    disk: FolderBlobs, chain: Chain
) -> None:
    disk.put(chain.files)
    size = 2 * 2 * 2 * 4 * 8 * 4  # layers, halves, heads, tokens, size, bytes
    tiers = device_tiers([disk], 4 * size)
    assert tiers.fetch(chain.rows).tier == ["disk"] * 6
    assert tiers.bytes()["device"] == 4 * size
    found = tiers.fetch(chain.rows)
    assert found.tier == ["device"] * 4 + ["host"] * 2
    assert found.held[0] is not None
    assert found.held[0].kv[0].keys.device.type == "meta"
    tiers.forget([chain.rows[0].name])
    assert tiers.bytes()["device"] <= 3 * size
    tiers.clear()
    assert tiers.bytes() == {"device": 0, "host": 0}


def test_a_device_does_not_keep_what_was_built_anew(disk: FolderBlobs) -> None:
    old, new = block_chain(1, shape=(2, 2, 8)), block_chain(1, shape=(2, 2, 4))
    tiers = device_tiers([disk], ROOM)
    tiers.keep(old.files, old.rows)
    tiers.fetch(old.rows)
    tiers.keep(new.files, new.rows)
    held = tiers.fetch(new.rows).held[0]
    assert held is not None
    assert held.kv[0].keys.shape[-1] == 4
