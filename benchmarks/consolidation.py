"""Consolidate 10,000 turns, kill it 20 times at random, and undo it.

    nice -n 15 python benchmarks/consolidation.py [TURNS KILLS]

Runs `tests/sleep/children/consolidations.py`, which says what is made and what is compared, and
writes results/consolidation.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
CHILD = REPO / "tests" / "sleep" / "children" / "consolidations.py"
RESULT = REPO / "benchmarks" / "results" / "consolidation.json"
SEED = 2


def main(turns: int = 10_000, kills: int = 20) -> None:
    with tempfile.TemporaryDirectory(prefix="mneme-sleep-") as folder:
        words = [sys.executable, str(CHILD), folder, *map(str, (SEED, turns, kills))]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
