"""An embedder that fails costs no write and no word, and its vectors come later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import FlakyEmbedder, HashEmbedder, Mood
from mneme.wiring import Outside, build

SETTINGS = Settings(worker=False, embedder="none")
BAD: list[Mood] = ["down", "nan", "wrong size", "wrong count"]


class Rig:
    """A store with an embedder that has moods, and a clock."""

    def __init__(self, folder: Path, mood: Mood, *, inline: bool = True) -> None:
        self.clock = HandClock()
        self.embedder = FlakyEmbedder(HashEmbedder(16), mood=mood)
        outside = Outside(clock=self.clock, embedder=self.embedder, inline=inline)
        self.memory: MemoryOS = build(folder, settings=SETTINGS, outside=outside)
        self.alice = self.memory.namespace("alice")

    def mend(self) -> None:
        self.embedder.mood = "fine"
        self.clock.move_s(3600)
        self.memory.drain()


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("mood", BAD)
def test_writes_stay_and_vectors_come_later(tmp_path: Path, mood: Mood, inline: bool) -> None:
    rig = Rig(tmp_path, mood, inline=inline)
    cubes = [rig.alice.add(f"Line {n} says keyword{n}.")[0] for n in range(20)]
    rig.alice.update(cubes[0].id, text="Line 0 says otherword0.")
    rig.alice.add("# One\n\nkeyword77.\n\n# Two\n\nkeyword78.", type="document")
    hits = rig.alice.search("keyword7")
    assert hits[0].cube.id == cubes[7].id
    assert all(hit.degraded for hit in hits)
    assert rig.memory.stats().missing_vectors == 24 - 1  # the whole document has none of its own
    assert rig.memory.verify().ok
    rig.mend()
    stats = rig.memory.stats()
    assert (stats.missing_vectors, stats.jobs) == (0, {})
    hits = rig.alice.search("keyword7")
    assert cubes[7].id in [hit.cube.id for hit in hits]
    assert not any(hit.degraded for hit in hits)
    assert rig.alice.search("Line 0 says otherword0.", mode="dense")[0].cube.id == cubes[0].id
    assert rig.memory.verify().ok
    rig.memory.close()


@pytest.mark.parametrize("mood", BAD)
def test_a_job_waits_for_an_embedder_that_stays_away(tmp_path: Path, mood: Mood) -> None:
    rig = Rig(tmp_path, mood)
    rig.alice.add("A line.")
    for _ in range(12):
        rig.clock.move_s(3600)
        rig.memory.drain()
    assert rig.memory.stats().jobs == {"waiting": 1}
    rig.mend()
    assert rig.memory.stats().missing_vectors == 0
    rig.memory.close()


def test_a_slow_embedder_beside_the_writes_does_not_hold_them_up(tmp_path: Path) -> None:
    embedder = FlakyEmbedder(HashEmbedder(16), mood="slow", slow_s=0.05)
    settings = Settings(worker=True, embedder="none")
    outside = Outside(embedder=embedder, inline=False)
    with build(tmp_path, settings=settings, outside=outside) as memory:
        alice = memory.namespace("alice")
        cubes = [alice.add(f"Line {n}.")[0] for n in range(30)]
        assert alice.search("Line", limit=1)
        alice.erase(cubes[3].id)
        memory.drain()
    with build(tmp_path, settings=SETTINGS, outside=outside) as memory:
        memory.reindex()
        assert memory.stats().missing_vectors == 0
        assert memory.stats().counts["cubes"] == 29
        assert memory.verify().ok


def test_an_embedder_that_fails_midway_is_tried_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "down")
    rig.alice.add_many([f"Line {n}." for n in range(600)])
    rig.embedder.mood = "fine"
    rig.clock.move_s(60)
    # The job asks whether the embedder is there, then for a batch, and then it is down again.
    rig.embedder._moods = iter(["fine", "fine", "down"])
    rig.memory.drain()
    assert 0 < rig.memory.stats().missing_vectors < 600
    rig.mend()
    assert rig.memory.stats().missing_vectors == 0
    rig.memory.close()


REINDEX = """
import os, sys
from mneme.settings import Settings
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build
settings = Settings(worker=False, embedder="none")
memory = build(sys.argv[1], settings=settings, outside=Outside(embedder=HashEmbedder(24)))
memory.reindex(progress=lambda done, total: os._exit(9) if done > 300 else None)
"""


def test_a_reindex_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    outside = Outside(embedder=HashEmbedder(16))
    with build(tmp_path, settings=SETTINGS, outside=outside) as memory:
        memory.namespace("alice").add_many([f"Line {n} says keyword{n}." for n in range(900)])
    killed = subprocess.run([sys.executable, "-c", REINDEX, str(tmp_path)], check=False)
    assert killed.returncode == 9
    outside = Outside(embedder=HashEmbedder(24))
    with build(tmp_path, settings=SETTINGS, outside=outside) as memory:
        alice = memory.namespace("alice")
        assert memory.stats().missing_vectors == 900 - 512
        hits = alice.search("keyword700", limit=3)
        text = "Line 700 says keyword700."
        assert hits[0].cube.text == text
        assert hits[0].degraded
        seen: list[int] = []
        memory.reindex(progress=lambda done, total: seen.append(total))
        assert seen[0] == 900 - 512
        assert memory.stats().missing_vectors == 0
        assert not alice.search("keyword700", limit=1)[0].degraded
        assert alice.search(text, mode="dense")[0].cube.text == text
        assert memory.verify().ok


def test_without_an_embedder_words_are_enough(tmp_path: Path) -> None:
    with build(tmp_path, settings=SETTINGS) as memory:
        alice = memory.namespace("alice")
        alice.add("The keyword is heron.")
        memory.drain()
        hits = alice.search("heron")
        assert hits
        assert not hits[0].degraded
        assert memory.stats().jobs == {}
