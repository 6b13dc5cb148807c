"""SIGKILL while turns are read: each turn makes its fact once, and slots hold the newest value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).parent / "children" / "listening.py"


def kill(folder: Path, seed: int, kills: int) -> dict[str, Any]:
    words = [sys.executable, *map(str, (CHILD, folder, seed, kills))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_kills_while_reading_lose_and_double_nothing(tmp_path: Path) -> None:
    result = kill(tmp_path, 1, 6)
    assert result["wrong"] == []
    assert result["facts"] > 0


@pytest.mark.slow
def test_a_hundred_kills_while_reading_lose_and_double_nothing(tmp_path: Path) -> None:
    result = kill(tmp_path, 2, 100)
    assert result["wrong"] == []
    assert result["facts"] > 0
