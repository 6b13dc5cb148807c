"""How fast Mneme is, as figures, targets and ratios to the same work by hand.

    python benchmarks/speed.py                      # all rows, three times each, ~15 min
    python benchmarks/speed.py --rows single_add,search_2k --repeats 5
    python benchmarks/speed.py --tries 9 --patience 900    # on a busy machine

In: nothing but this repository (chat_turns.py makes the turns); the row `locomo` is left out, and
says so, where that data is absent. Each repeat of a row is a fresh process; the floors (a numpy
exact scan, FTS5, rows inserted by hand: floors.py) are measured in the same process over the same
turns. With --tries a row is repeated until enough repeats were calm (other processes took less than
half of the machine), or so often; the calmest are kept, whatever they measured.
Out: benchmarks/results/speed.json; `plot_speed.py` turns it into tables and plots.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measuring

WORKER = Path(__file__).resolve().parent / "speed_rows.py"
ROWS = (
    "bulk_10k",
    "bulk_100k",
    "single_add",
    "search_2k",
    "search_10k",
    "search_100k",
    "search_100_spaces",
    "locomo",
)


def one(row: str, work: Path, repeat: int) -> dict[str, Any]:
    """One repeat in a process of its own, and the share of the machine that others took."""
    command = [sys.executable, str(WORKER), row, str(work), str(repeat)]
    env = dict(os.environ) | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    others = measuring.Others()
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"{row} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(lines[-1][7:])) | {"others_share": others.share()}


def merged(repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Each figure as median, lowest and highest over the repeats."""
    out: dict[str, Any] = {}
    for name, value in repeats[0].items():
        every = [r[name] for r in repeats]
        if isinstance(value, dict):
            out[name] = {key: measuring.spread(e[key] for e in every) for key in value}
        else:
            out[name] = value if isinstance(value, str) else measuring.spread(every)
    return out


def main() -> None:
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=about)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for the stores, kept; default: temporary")
    parser.add_argument("--tries", type=int, default=0, help="on a busy machine: at most so many")
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds to wait for calm, in all"
    )
    parser.add_argument("--out", default="speed.json")
    args = parser.parse_args()
    result = measuring.load(args.out)
    rows = result.setdefault("rows", {})
    result["machine"] = measuring.machine_facts()
    with tempfile.TemporaryDirectory(prefix="speed-") as made:
        work = args.work or Path(made)
        for row in args.rows.split(","):
            tried: list[dict[str, Any]] = []
            while len(tried) < max(args.tries, args.repeats):
                args.patience = measuring.wait_for_calm(args.patience)
                tried.append(one(row, work, len(tried)))
                print(row, json.dumps(tried[-1]), flush=True)
                calm = [t for t in tried if t["others_share"] < measuring.CALM]
                if len(calm) >= args.repeats:
                    break
            rows[row] = merged(measuring.calmest(tried, args.repeats)) | {"tries": len(tried)}
            measuring.save(args.out, result)


if __name__ == "__main__":
    main()
