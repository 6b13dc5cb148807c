"""SIGKILL while shards are written: no half version, nothing in use without files, no orphans."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mneme.core.clock import SystemClock
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.shards import BASE
from mneme.vault.sweep import GRACE_US
from mneme.wiring import Outside, build

CHILDREN = Path(__file__).parent / "children"
SETTINGS = Settings(worker=False, embedder="none")
FILES = 3


def files(folder: Path) -> list[Path]:
    return [file for file in (folder / "parametric").rglob("*") if file.is_file()]


def kill(folder: Path, seed: int, kills: int) -> dict[str, Any]:
    words = [sys.executable, *map(str, (CHILDREN / "tuning.py", folder, seed, kills))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("moment", "left"), [("expect", 0), ("put", 1), ("files", FILES), ("commit", FILES)]
)
def test_a_version_that_was_not_committed_is_not_there(
    tmp_path: Path, moment: str, left: int
) -> None:
    words = [sys.executable, str(CHILDREN / "adapters.py"), str(tmp_path), moment]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == left
    clock = HandClock(SystemClock().now_us())
    with build(tmp_path, settings=SETTINGS, outside=Outside(clock=clock)) as memory:
        assert len(files(tmp_path)) == left  # it might be at work
        assert memory.verify().ok
        assert memory.vault.adapters.shards("alice", BASE) == []
        (cube,) = memory.namespace("alice").list(kinds=["parametric"]).items
        assert (cube.state, cube.version) == ("generated", 1)
        assert [job.kind for job in _jobs(memory) if job.kind == "tune"] == ["tune"]
        clock.move_s(GRACE_US / 1e6 + 1)
        memory.vault.adapters.sweep()
        assert files(tmp_path) == []
        assert memory.verify().ok


def test_a_version_that_was_committed_is_whole(tmp_path: Path) -> None:
    words = [sys.executable, str(CHILDREN / "adapters.py"), str(tmp_path), "kept"]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    with build(tmp_path, settings=SETTINGS) as memory:
        (shard,) = memory.vault.adapters.shards("alice", BASE)
        assert len(shard.source_ids) == 2
        assert memory.verify().ok
        assert len(files(tmp_path)) == FILES


@pytest.mark.parametrize("moment", ["erase", "demote"])
def test_files_of_what_went_are_removed_by_the_next_who_opens(tmp_path: Path, moment: str) -> None:
    words = [sys.executable, str(CHILDREN / "adapters.py"), str(tmp_path), moment]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == FILES
    with build(tmp_path, settings=SETTINGS) as memory:
        assert files(tmp_path) == []
        assert memory.vault.adapters.shards("alice", BASE) == []
        assert memory.verify().ok
        promised = [job for job in _jobs(memory) if job.kind == "tune"]
        assert len(promised) == (1 if moment == "erase" else 0)


def test_twenty_kills_leave_no_half_version(tmp_path: Path) -> None:
    result = kill(tmp_path, 1, 20)
    assert result["wrong"] == []
    assert result["in_use"] > 3
    assert result["erased"] > 3


@pytest.mark.slow
def test_two_hundred_kills_leave_no_half_version(tmp_path: Path) -> None:
    assert kill(tmp_path, 2, 200)["wrong"] == []


def _jobs(memory: Any) -> list[Any]:  # noqa: ANN401
    with memory.vault.parts.store.read() as tx:
        found: list[Any] = tx.ledger.jobs()
        return found
