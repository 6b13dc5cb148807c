"""A process that dies leaves no file of a block behind that the next one would not remove."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mneme.core.clock import SystemClock
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.vault.sweep import GRACE_US
from mneme.wiring import Outside, build

CHILD = Path(__file__).parent / "children" / "blocks.py"
SETTINGS = Settings(worker=False, embedder="none")
BLOCKS = 4


def files(folder: Path) -> list[Path]:
    return [file for file in (folder / "activation").rglob("*") if file.is_file()]


@pytest.mark.parametrize("moment", ["erase", "edit"])
def test_files_of_what_went_are_removed_by_the_next_who_opens(tmp_path: Path, moment: str) -> None:
    died = subprocess.run([sys.executable, str(CHILD), str(tmp_path), moment], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == BLOCKS
    with build(tmp_path, settings=SETTINGS) as memory:
        assert files(tmp_path) == []
        assert memory.verify().ok
        memory.drain()
        assert memory.stats().counts["blocks"] == 0


def test_files_whose_rows_were_never_written_are_removed_in_time(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, str(CHILD), str(tmp_path), "put"], check=False)
    assert died.returncode == -signal.SIGKILL
    clock = HandClock(SystemClock().now_us())
    with build(tmp_path, settings=SETTINGS, outside=Outside(clock=clock)) as memory:
        assert len(files(tmp_path)) == BLOCKS  # it might be at work
        assert memory.verify().ok
        clock.move_s(GRACE_US / 1e6 + 1)
        memory.drain()
        assert files(tmp_path) == []
        assert memory.verify().ok
