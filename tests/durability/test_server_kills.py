"""SIGKILL of a real `mneme serve` under load: what a client was told is kept, is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).parent / "children" / "serving.py"


def kill(folder: Path, seed: int, kills: int) -> dict[str, Any]:
    words = [sys.executable, *map(str, (CHILD, folder, seed, kills))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    result = kill(tmp_path, 1, 2)
    assert result["wrong"] == []
    assert result["acknowledged"] > 0


@pytest.mark.slow
def test_fifty_kills_of_a_server_lose_nothing(tmp_path: Path) -> None:
    result = kill(tmp_path, 2, 50)
    assert result["wrong"] == []
    assert result["acknowledged"] > 500
    assert result["cut_short"] > 50  # kills that came in the middle of something
