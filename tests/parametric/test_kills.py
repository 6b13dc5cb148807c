"""SIGKILL while facts are written into weights: the next process goes on, nothing is half there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "parametric_kills.py"


def killed(folder: Path, kills: int, facts: int) -> dict[str, Any]:
    words = [sys.executable, str(SCRIPT), "--folder", str(folder), "--json"]
    words += ["--kills", str(kills), "--facts", str(facts)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    found: dict[str, Any] = row
    return found


def test_kills_leave_nothing_half_written(tmp_path: Path) -> None:
    found = killed(tmp_path / "stores", 3, 12)
    assert found["wrong"] == []
    assert all(store["same_bits"] for store in found["of_stores"])


@pytest.mark.slow
def test_twenty_kills_leave_nothing_half_written(tmp_path: Path) -> None:
    found = killed(tmp_path / "stores", 20, 50)
    assert found["wrong"] == []
    assert any(store["went_on_at"] > 0 for store in found["of_stores"])
