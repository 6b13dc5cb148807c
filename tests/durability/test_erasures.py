"""After an erasure no byte of the text is left in the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).parent / "children" / "erasures.py"


@pytest.mark.parametrize(
    ("seed", "histories"), [(1, 4), pytest.param(2, 300, marks=pytest.mark.slow)]
)
def test_no_byte_survives_an_erasure(tmp_path: Path, seed: int, histories: int) -> None:
    words = [sys.executable, *map(str, (CHILD, tmp_path, seed, histories))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["wrong"] == []
    assert result["erasures"] > histories
