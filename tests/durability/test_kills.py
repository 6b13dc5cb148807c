"""SIGKILL at any moment: what was acknowledged stays, and nothing is half done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).parent / "children" / "kills.py"


def kill(folder: Path, seed: int, kills: int) -> dict[str, Any]:
    words = [sys.executable, *map(str, (CHILD, folder, seed, kills))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_kills_lose_nothing(tmp_path: Path) -> None:
    result = kill(tmp_path, 1, 10)
    assert result["wrong"] == []
    assert result["acknowledged"] > 0
    assert result["slowest_open_s"] <= 2


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    result = kill(tmp_path, 2, 200)
    assert result["wrong"] == []
    assert result["slowest_open_s"] <= 2
