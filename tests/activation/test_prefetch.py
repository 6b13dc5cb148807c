"""What a session's next question will likely need is in memory before it comes."""

import random
import threading
from collections.abc import Iterable, Iterator, Sequence

import pytest
import torch

from mneme.core.errors import StoreCorruptError
from mneme.core.rows import BlockRow
from mneme.memories.activation.prefetch import Prefetcher, likely
from mneme.memories.activation.tiers import Tiers
from mneme.testing.blobs import MemoryBlobs
from mneme.testing.block_chains import Chain, block_chain


class Rows:
    """An index that is a list of rows."""

    def __init__(self, rows: Iterable[BlockRow]) -> None:
        self.rows = {row.name: row for row in rows}

    def of_keys(self, keys: Iterable[bytes]) -> list[BlockRow]:
        wanted = set(keys)
        return [row for row in self.rows.values() if row.key in wanted]

    def children(self, parent: bytes) -> list[BlockRow]:
        return [row for row in self.rows.values() if row.parent == parent]

    def use(self, rows: Sequence[BlockRow]) -> None:
        for row in rows:
            known = self.rows[row.name]
            self.rows[row.name] = known._replace(uses=known.uses + 1)


@pytest.fixture
def disk() -> MemoryBlobs:
    return MemoryBlobs(name="disk")


@pytest.fixture
def tiers(disk: MemoryBlobs) -> Tiers:
    return made(disk, 10**6)


def made(disk: MemoryBlobs, host_bytes: int) -> Tiers:
    return Tiers([disk], device="cpu", dtype=torch.float32, host_bytes=host_bytes, device_bytes=0)


@pytest.fixture
def prefetcher(tiers: Tiers) -> Iterator[Prefetcher]:
    prefetcher = Prefetcher(tiers)
    yield prefetcher
    prefetcher.close()


def used(chain: Chain, times: int) -> list[BlockRow]:
    return [row._replace(uses=times) for row in chain.rows]


def test_what_followed_a_chain_before_comes_the_most_used_first() -> None:
    book = block_chain(3, seed=1)
    often, seldom, never = (block_chain(2, seed=seed, after=book.rows) for seed in (2, 3, 4))
    index = Rows([*book.rows, *used(seldom, 1), *used(often, 5), *never.rows])
    chosen = [row.name for row in likely(index, book.rows)]
    first = [row.name for row in (*book.rows, often.rows[0], seldom.rows[0])]
    assert chosen[:5] == first
    assert sorted(chosen[5:]) == sorted([often.rows[1].name, seldom.rows[1].name])
    assert len(likely(index, book.rows, most=1)) == 4
    assert likely(index, []) == []


def test_it_is_in_memory_when_it_is_asked_for_and_that_is_counted(
    disk: MemoryBlobs, tiers: Tiers, prefetcher: Prefetcher
) -> None:
    book, other = block_chain(3), block_chain(2, seed=7)
    disk.put(book.files | other.files)
    prefetcher.after(lambda: [*book.rows, *other.rows])
    assert prefetcher.flush(10)
    assert tiers.fetch(book.rows).tier == ["host"] * 3
    tiers.fetch(book.rows)  # counts once
    tiers.close()
    ahead = tiers.ahead
    assert (prefetcher.asked, ahead.brought, ahead.useful, ahead.wasted) == (1, 5, 3, 2)


def test_what_is_there_is_not_read_again(
    disk: MemoryBlobs, tiers: Tiers, prefetcher: Prefetcher
) -> None:
    book = block_chain(3)
    tiers.keep(book.files, book.rows)
    disk.calls.clear()
    prefetcher.after(lambda: book.rows)
    assert prefetcher.flush(10)
    assert disk.calls == []
    assert tiers.ahead.brought == 0


def test_damaged_files_missing_ones_and_places_that_are_down_bring_nothing(
    disk: MemoryBlobs, tiers: Tiers, prefetcher: Prefetcher
) -> None:
    book, other = block_chain(3), block_chain(1, seed=5)
    disk.put({book.rows[0].name: other.files[other.rows[0].name]})
    prefetcher.after(lambda: book.rows)
    assert prefetcher.flush(10)
    disk.down = True
    prefetcher.after(lambda: book.rows)
    assert prefetcher.flush(10)
    assert tiers.bytes() == {"host": 0}
    assert tiers.ahead.brought == 0


def test_rows_that_cannot_be_read_end_no_thread(
    disk: MemoryBlobs, tiers: Tiers, prefetcher: Prefetcher
) -> None:
    def broken() -> list[BlockRow]:
        raise StoreCorruptError("not what was written")

    book = block_chain(1)
    disk.put(book.files)
    prefetcher.after(broken)
    prefetcher.after(lambda: book.rows)
    assert prefetcher.flush(10)
    assert (prefetcher.left_out, tiers.ahead.brought) == (1, 1)


def test_what_is_forgotten_meanwhile_does_not_come(
    disk: MemoryBlobs, tiers: Tiers, prefetcher: Prefetcher
) -> None:
    book = block_chain(2)
    disk.put(book.files)

    def choose() -> list[BlockRow]:
        tiers.forget([row.name for row in book.rows])
        return book.rows

    prefetcher.after(choose)
    assert prefetcher.flush(10)
    assert tiers.bytes() == {"host": 0}


def test_only_the_newest_wait_and_closing_ends_it(prefetcher: Prefetcher) -> None:
    inside, on = threading.Event(), threading.Event()
    served: list[int] = []

    def slow() -> list[BlockRow]:
        inside.set()
        on.wait(10)
        return []

    def note(number: int) -> list[BlockRow]:
        served.append(number)
        return []

    prefetcher.after(slow)
    assert inside.wait(10)
    for number in range(7):
        prefetcher.after(lambda number=number: note(number))  # type: ignore[misc]
    on.set()
    assert prefetcher.flush(10)
    assert served == [3, 4, 5, 6]
    assert prefetcher.left_out == 3
    prefetcher.close()
    prefetcher.after(lambda: note(9))
    assert prefetcher.flush(0)
    assert served[-1] == 6
    assert not [t for t in threading.enumerate() if t.name == "mneme-prefetch"]


def near_share(*, with_prefetch: bool, room: int) -> float:
    """The share of blocks of second questions that were in memory, in the first 20 sessions.

    Twelve books, four questions to each that were asked before; memory has room for some books. A
    session asks one question, then, after two other sessions, another one about the same book.
    """
    dice = random.Random(7)
    books = [block_chain(6, seed=seed) for seed in range(12)]
    asked = [[block_chain(2, seed=100 + 4 * n + q, after=books[n].rows) for q in range(4)]
             for n in range(12)]  # fmt: skip
    chains = [*books, *(each for four in asked for each in four)]
    disk = MemoryBlobs(name="disk")
    for chain in chains:
        disk.put(chain.files)
    index = Rows(row._replace(uses=1) for chain in chains for row in chain.rows)
    tiers = made(disk, room * 6 * books[0].rows[0].size)
    prefetcher = Prefetcher(tiers)
    waiting: list[tuple[int, int]] = []
    near = blocks = 0
    for _ in range(20):
        number, question = min(int(dice.expovariate(0.3)), 11), dice.randrange(4)
        second = waiting.pop(0) if len(waiting) > 2 else None
        for which, (book, q) in enumerate(filter(None, [(number, question), second])):
            rows = [*books[book].rows, *asked[book][q].rows]
            tier = tiers.fetch(rows).tier
            index.use(rows)
            near += which * tier.count("host")
            blocks += which * len(tier)
            if with_prefetch:
                prefetcher.after(lambda book=book: likely(index, books[book].rows))  # type: ignore[misc]
                prefetcher.flush(10)
        waiting.append((number, dice.randrange(4)))
    prefetcher.close()
    return near / blocks


def test_with_room_second_questions_find_more_in_memory_than_without_it() -> None:
    without = near_share(with_prefetch=False, room=16)
    assert near_share(with_prefetch=True, room=16) > without + 0.05


def test_without_room_it_takes_nothing_from_what_is_used() -> None:
    without = near_share(with_prefetch=False, room=5)
    assert near_share(with_prefetch=True, room=5) >= without
