"""Kill -9 of `mneme serve` under load: acknowledged writes that are lost.

    python benchmarks/doors_kills.py            # 50 kills

Six clients add memories over HTTP, one request after the other. The server is killed at a random
moment within 1.5 seconds of its first answer, all of its processes at once: two, or `--processes`,
and the one that looks after them. Then the store is verified and compared with all that was ever
acknowledged. Writes benchmarks/results/doors_kills.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine_facts, save

CHILD = Path(__file__).parents[1] / "tests" / "durability" / "children" / "serving.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mneme-kills-") as folder:
        numbers = map(str, (asked.seed, asked.kills, asked.processes))
        words = [sys.executable, str(CHILD), folder, *numbers]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    result = {
        "what": "mneme serve is killed with SIGKILL while six clients add memories over HTTP",
        "command": f"python benchmarks/doors_kills.py --kills {asked.kills} --seed {asked.seed} "
        f"--processes {asked.processes}",
        "machine": machine_facts(),
        "took_s": round(time.perf_counter() - began, 1),
        **json.loads(done.stdout),
    }
    print("wrote", save("doors_kills.json", result))
    print({name: result[name] for name in ("kills", "acknowledged", "cut_short", "wrong")})
    return int(bool(result["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
