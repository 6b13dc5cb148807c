"""A snapshot that is larger than SQLite's cache holds what the store holds."""

from __future__ import annotations

import random
from pathlib import Path

from mneme.settings import Settings
from mneme.testing.contents import contents_of
from mneme.wiring import build

CACHE_BYTES = 16_000_000


def test_a_snapshot_above_the_cache_opens_and_is_whole(tmp_path: Path) -> None:
    chance = random.Random(1)
    settings = Settings(worker=False, embedder="none")
    with build(tmp_path / "store", settings=settings) as memory:
        alice = memory.namespace("alice")
        for _ in range(20):
            words = " ".join(f"{chance.getrandbits(96):x}" for _ in range(40_000))
            alice.add(words, infer="none")
        gone = alice.add("To be erased, every letter of it.", infer="none")[0]
        alice.erase(gone.id)
        held = contents_of(memory)
        memory.snapshot(tmp_path / "copy")
    files = list((tmp_path / "copy").iterdir())
    assert [file.name for file in files] == ["mneme.db"]
    assert files[0].stat().st_size > CACHE_BYTES
    assert b"every letter" not in files[0].read_bytes()
    with build(tmp_path / "copy", settings=settings) as copy:
        assert copy.verify().ok
        assert contents_of(copy) == held
