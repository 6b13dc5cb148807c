"""SIGKILL at any moment of a consolidation: it goes on, each effect once, and can be undone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).parent / "children" / "consolidations.py"


def consolidate(folder: Path, seed: int, turns: int, kills: int) -> dict[str, Any]:
    words = [sys.executable, *map(str, (CHILD, folder, seed, turns, kills))]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_kills_repeat_nothing_and_lose_nothing(tmp_path: Path) -> None:
    result = consolidate(tmp_path, 1, 400, 3)
    assert result["wrong"] == []
    assert result["kills"] == 3
    assert result["facts"] > 50
    assert result["facts_lost"] == 0


@pytest.mark.slow
def test_twenty_kills_of_ten_thousand_turns_repeat_nothing_and_lose_nothing(
    tmp_path: Path,
) -> None:
    result = consolidate(tmp_path, 2, 10_000, 20)
    assert result["wrong"] == []
    assert result["kills"] == 20
    assert result["facts_lost"] == 0
    assert result["undo_restores_state_hash"] is True
