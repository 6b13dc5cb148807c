"""Many threads on one memory, two memories on one folder, and closing while busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from mneme import ForbiddenError, MnemeError, VersionConflictError
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

SETTINGS = Settings(worker=True, embedder="none")


def open_store(folder: Path) -> MemoryOS:
    return build(folder, settings=SETTINGS, outside=Outside(embedder=HashEmbedder(8)))


def run(work: Callable[[int], int], threads: int = 8) -> list[int]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(threads)))


def test_threads_add_search_update_and_erase_at_once(tmp_path: Path) -> None:
    with open_store(tmp_path) as memory:

        def work(number: int) -> int:
            mine = memory.namespace(f"owner{number % 3}")
            for step in range(12):
                word = f"zq{number}x{step}y"
                cube = mine.add(f"The code is {word}.", session=f"s{number}")[0]
                assert any(word in hit.cube.text for hit in mine.search(word, limit=5))
                mine.update(cube.id, metadata={"step": step})
                mine.recall(word)
                if step % 4 == 0:
                    mine.erase(cube.id)
                    assert not any(word in hit.cube.text for hit in mine.search(word, limit=5))
            return 12

        run(work)
        assert memory.stats().counts["cubes"] == 8 * 9
        memory.drain()
        assert memory.verify().ok


def test_threads_that_race_for_one_cube_lose_no_update(tmp_path: Path) -> None:
    with open_store(tmp_path) as memory:
        alice = memory.namespace("alice")
        cube = alice.add("Version 1.")[0]

        def work(number: int) -> int:
            accepted = 0
            for _ in range(10):
                version = alice.get(cube.id).version
                try:
                    alice.update(cube.id, text=f"Version {version + 1}.", expected_version=version)
                    accepted += 1
                except VersionConflictError:
                    continue
            return accepted

        accepted = sum(run(work))
        history = alice.history(cube.id)
        assert [each.version for each in history] == list(range(1, accepted + 2))
        assert [each.text for each in history] == [f"Version {n}." for n in range(1, accepted + 2)]


def test_two_memories_on_one_folder_see_each_other(tmp_path: Path) -> None:
    with open_store(tmp_path) as one, open_store(tmp_path) as other:
        for number in range(20):
            first, second = (one, other) if number % 2 else (other, one)
            cube = first.namespace("alice").add(f"The code is zq{number}y.")[0]
            assert second.namespace("alice").search(f"zq{number}y", limit=1)[0].cube.id == cube.id
            if number % 5 == 0:
                assert second.namespace("alice").erase(cube.id).erased == (cube.id,)
                assert not any(
                    hit.cube.id == cube.id
                    for hit in first.namespace("alice").search(f"zq{number}y")
                )
        other.close()
        one.namespace("alice").add("After the other closed.")
        assert one.verify().ok
    with open_store(tmp_path) as memory:
        assert memory.stats().counts["cubes"] == 17


def test_closing_while_busy_ends_calls_with_a_typed_error(tmp_path: Path) -> None:
    memory = open_store(tmp_path)
    acknowledged: list[str] = []
    errors: list[BaseException] = []
    started = Event()

    def work() -> None:
        try:
            while True:
                acknowledged.append(memory.namespace("alice").add("A line of work.")[0].id)
                memory.namespace("alice").search("work")
                started.set()
        except MnemeError as error:
            errors.append(error)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(30)
    memory.close()
    for thread in threads:
        thread.join(30)
    assert len(errors) == 4
    assert all(isinstance(error, ForbiddenError) for error in errors)
    with open_store(tmp_path) as memory:
        found = {cube.id for cube in memory.namespace("alice").list(limit=1000).items}
        assert set(acknowledged) <= found
        assert memory.verify().ok


def test_a_closed_memory_refuses_every_call(tmp_path: Path) -> None:
    memory = open_store(tmp_path)
    alice = memory.namespace("alice")
    memory.close()
    memory.close()
    for act in (
        lambda: alice.add("A line."),
        lambda: alice.search("line"),
        alice.list,
        memory.stats,
        memory.audit_head,
        memory.drain,
    ):
        with pytest.raises(ForbiddenError):
            act()
