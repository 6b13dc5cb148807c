"""Jobs: taken, retried, put aside; and the thread that runs them."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from mneme.app.memory import MemoryOS
from mneme.core.rows import JobRow
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import FlakyEmbedder, HashEmbedder
from mneme.vault.erase import SCRUB
from mneme.wiring import Outside, build

HOUR_S = 3600


def open_store(folder: Path, clock: HandClock, *, worker: bool = False) -> MemoryOS:
    outside = Outside(clock=clock, embedder=HashEmbedder(8))
    return build(folder, settings=Settings(worker=worker, embedder="none"), outside=outside)


def job_of(memory: MemoryOS) -> JobRow:
    with memory.vault.parts.store.read() as tx:
        return tx.ledger.jobs()[0]


def test_a_job_that_nobody_knows_is_put_aside_after_five_tries(tmp_path: Path) -> None:
    clock = HandClock()
    with open_store(tmp_path, clock) as memory:
        with memory.vault.parts.store.write() as tx:
            tx.ledger.enqueue("unheard of", "once", "{}", clock.now_us())
        for tries in range(1, 6):
            clock.move_s(HOUR_S)
            assert memory.drain() == 1
            assert job_of(memory).tries == tries
        assert memory.stats().jobs == {"dead": 1}
        assert "newer" in str(job_of(memory).error)
        clock.move_s(HOUR_S)
        assert memory.drain() == 0


def test_a_job_waits_longer_after_each_failure_but_an_erasure_never_long(tmp_path: Path) -> None:
    clock = HandClock()
    embedder = FlakyEmbedder(HashEmbedder(8), mood="down")
    outside = Outside(clock=clock, embedder=embedder)
    with build(tmp_path, settings=Settings(worker=False), outside=outside) as memory:
        alice = memory.namespace("alice")
        alice.add("A line.")
        waits: dict[str, list[float]] = {"embed": [], SCRUB: []}
        with memory.vault.parts.store.read() as reader:  # holds the log
            reader.ledger.last_audit()
            cube = alice.add("To go.")[0]
            assert alice.erase(cube.id).pending
            for _ in range(12):
                clock.move_s(HOUR_S)
                now = clock.now_us()
                assert memory.drain() >= 2
                with memory.vault.parts.store.read() as tx:
                    for job in tx.ledger.jobs():
                        waits[job.kind].append((job.due_at - now) / 1e6)
        assert waits["embed"] == sorted(waits["embed"])
        assert waits["embed"][-1] > 200
        assert max(waits[SCRUB]) < 3
        clock.move_s(HOUR_S)
        memory.drain()
        assert memory.stats().jobs == {"waiting": 1}


def test_what_a_dead_process_was_at_is_taken_over_when_its_lease_ends(tmp_path: Path) -> None:
    clock = HandClock()
    with open_store(tmp_path, clock) as memory:
        with memory.vault.parts.store.write() as tx:
            tx.ledger.enqueue("embed", "embed", "{}", clock.now_us())
        with memory.vault.parts.store.write() as tx:
            assert tx.ledger.lease_job(clock.now_us(), clock.now_us() + 60_000_000)
        assert memory.drain() == 0
        clock.move_s(61)
        assert memory.drain() == 1
        assert memory.stats().jobs == {}


def test_the_worker_runs_what_comes_due(tmp_path: Path) -> None:
    settings = Settings(worker=True, embedder="none")
    outside = Outside(embedder=HashEmbedder(8), inline=False)
    with build(tmp_path, settings=settings, outside=outside) as memory:
        memory.namespace("alice").add("A line.")
        end = time.monotonic() + 20
        while memory.stats().missing_vectors and time.monotonic() < end:
            time.sleep(0.02)
        assert memory.stats().missing_vectors == 0


def test_a_worker_whose_store_is_in_trouble_says_so_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(worker=True, embedder="none", busy_timeout_s=0.1)
    outside = Outside(embedder=HashEmbedder(8), inline=False)
    with (
        caplog.at_level(logging.WARNING),
        build(tmp_path, settings=settings, outside=outside) as memory,
        build(tmp_path, settings=settings, outside=outside) as other,
    ):
        with other.vault.parts.store.write() as tx:
            tx.ledger.enqueue("embed", "embed", "{}", 1)
        with other.vault.parts.store.write():
            memory._wake()
            end = time.monotonic() + 20
            while not caplog.records and time.monotonic() < end:
                time.sleep(0.02)
    assert "background work is delayed" in caplog.text
