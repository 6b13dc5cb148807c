"""What Mneme costs before it does anything: start, first search, memory, packages.

    python benchmarks/footprint.py                  # everything; about 5 minutes
    python benchmarks/footprint.py --rows start,memory --work FOLDER

Rows: `start` (import mneme, `mneme --help`, open a store of 10k turns + first search; each in
fresh processes, 10 times), `memory` (at 100k turns: resident memory above bare Python of a process
that opens and searches, and the peak of one that adds them), `packages` (what pip brings for the
wheel, into a new environment). Out: benchmarks/results/footprint.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
from chat_turns import make_questions, make_turns
from floors import HandStore
from mneme.backends.embedders.static import StaticEmbedder

HERE = Path(__file__).resolve().parent

TRIES = 10
REPEATS = 3
NOW = "2026-07-01T00:00:00Z"

IMPORT = """
import time; start = time.perf_counter()
import mneme
print(time.perf_counter() - start)
"""
OPEN = """
import sys, time; start = time.perf_counter()
import mneme
imported = time.perf_counter()
with mneme.open(sys.argv[1]) as memory:
    hits = memory.namespace("bench/one").search(sys.argv[2], limit=10, now=sys.argv[3])
    done = time.perf_counter()
assert hits
print(done - imported, done - start)
"""
HAND = """
import sys, time; start = time.perf_counter()
import os
def rss():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
bare = rss()
sys.path.insert(0, sys.argv[1])
from floors import HandStore
from mneme.backends.embedders.static import StaticEmbedder
store, embedder = HandStore(sys.argv[2]), StaticEmbedder()
hits = store.hybrid("bench/one", sys.argv[3], embedder.embed([sys.argv[3]])[0], 10)
assert hits
print(time.perf_counter() - start, rss() - bare)
"""
MEMORY = """
import json, os, sys
def rss():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
def peak():
    return next(int(x.split()[1]) * 1024 / 1e6 for x in open("/proc/self/status") if "VmHWM" in x)
bare = rss()
import mneme
seen = {"import": rss() - bare}
def add(space, path):
    def items():
        for line in open(path, encoding="utf-8"):
            yield json.loads(line)
    space.add_many(items())
with mneme.open(sys.argv[1]) as memory:
    space = memory.namespace("bench/one")
    if sys.argv[2] == "add":
        add(space, sys.argv[3])
        memory.drain()
        seen["after_adding"] = rss() - bare
    else:
        for number, question in enumerate(json.load(open(sys.argv[3], encoding="utf-8"))):
            space.search(question, limit=10, now=sys.argv[4])
            if number == 0:
                seen["after_first_search"] = rss() - bare
        seen["after_searches"] = rss() - bare
seen["peak"] = peak() - bare
print(json.dumps(seen))
"""


def python(*arguments: str) -> str:
    env = dict(os.environ) | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=env, check=False
    )
    if done.returncode:
        sys.exit(f"{arguments[:2]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def wall_s(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def store_of(count: int, work: Path) -> Path:
    """A store of made-up turns; the one that speed.py left there, where it did."""
    path = work / f"mneme-{count}"
    if not path.exists():
        lines = turns_file(count, work)
        python("-c", MEMORY, str(path), "add", str(lines))
    return path


def hand_of(count: int, work: Path) -> Path:
    """The same turns in the store that is made by hand."""
    path = work / f"hand-{count}" / "hand.db"
    if not path.exists():
        import speed_rows

        store = HandStore(speed_rows.fresh(path.parent) / path.name)
        speed_rows.by_hand(store, StaticEmbedder(), "bench/one", make_turns(count))
        store.close()
    return path


def by_hand(store: Path, question: str) -> tuple[float, float]:
    """Seconds from a bare Python to the first result, and MB held then."""
    seconds, held = python("-c", HAND, str(HERE), str(store), question).split()
    return float(seconds), float(held)


def turns_file(count: int, work: Path) -> Path:
    path = work / f"turns-{count}.jsonl"
    if not path.exists():
        with path.open("w", encoding="utf-8") as out:
            for t in make_turns(count):
                message = t.message() | {"at": t.at.isoformat()}
                out.write(json.dumps({"content": message, "session": t.session}) + "\n")
    return path


def start(work: Path) -> dict[str, Any]:
    """Seconds, wall; the lowest is what the code costs, the median what this machine gave."""
    store = store_of(10_000, work)
    question = make_questions(make_turns(10_000), 1)[0]
    command = str(Path(sys.executable).parent / "mneme")
    python("-c", IMPORT)
    opened = [
        [float(x) for x in python("-c", OPEN, str(store), question, NOW).split()]
        for _ in range(TRIES)
    ]
    hand = hand_of(10_000, work)
    return {
        "hand_open_and_search_s": measuring.spread(
            by_hand(hand, question)[0] for _ in range(TRIES)
        ),
        "bare_python_s": measuring.spread(
            wall_s(sys.executable, "-c", "pass") for _ in range(TRIES)
        ),
        "import_s": measuring.spread(float(python("-c", IMPORT)) for _ in range(TRIES)),
        "help_s": measuring.spread(wall_s(command, "--help") for _ in range(TRIES)),
        "open_and_search_s": measuring.spread(o[0] for o in opened),
        "import_open_and_search_s": measuring.spread(o[1] for o in opened),
        "modules_at_import": len(python("-c", MODULES).split()),
        "numpy_at_import": "numpy" in python("-c", MODULES).split(),
    }


MODULES = "import sys; old = set(sys.modules); import mneme; print(*set(sys.modules) - old)"


def memory(work: Path) -> dict[str, Any]:
    """MB (1e6 bytes) above what Python held before `import mneme`, at 100k turns."""
    questions = work / "questions.json"
    questions.write_text(json.dumps(make_questions(make_turns(100_000), 50)), encoding="utf-8")
    lines = turns_file(100_000, work)
    store = store_of(100_000, work)
    hand = hand_of(100_000, work)
    first = make_questions(make_turns(100_000), 1)[0]
    held = measuring.spread(by_hand(hand, first)[1] for _ in range(REPEATS))
    out: dict[str, Any] = {"hand_mb": held}
    adding, searching = [], []
    for repeat in range(REPEATS):
        target = work / f"memory-{repeat}"
        adding.append(json.loads(python("-c", MEMORY, str(target), "add", str(lines))))
        run = python("-c", MEMORY, str(store), "search", str(questions), NOW)
        searching.append(json.loads(run))
    for label, runs in (("adding", adding), ("searching", searching)):
        out[label] = {key: measuring.spread(r[key] for r in runs) for key in runs[0]}
    return out


def packages(work: Path) -> dict[str, Any]:
    """What `pip install` of the wheel brings, and how large that is (1e6 bytes, .pyc included)."""
    home = work / "fresh"
    wheels = work / "wheels"
    venv.create(home, with_pip=True, symlinks=True, clear=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    run = {"check": True, "capture_output": True, "text": True}
    folder = next((home / "lib").glob("python*/site-packages"))
    before = {p.name for p in folder.iterdir()}
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(wheels), str(measuring.REPO)], **run)
    wheel = next(wheels.glob("mneme-*.whl"))
    started = time.perf_counter()
    subprocess.run([*pip, "install", str(wheel)], **run)
    took = time.perf_counter() - started
    listed = subprocess.run([*pip, "list", "--format=json"], **run).stdout
    names = {p["name"]: p["version"] for p in json.loads(listed)}
    brought = {n: v for n, v in names.items() if n not in {"pip", "setuptools", "wheel", "mneme"}}
    sizes = {p.name: size_mb(p) for p in folder.iterdir() if p.name not in before}
    table = measuring.folder_mb(folder / "mneme" / "backends" / "embedders" / "static_table")
    return {
        "packages": len(brought),
        "versions": brought,
        "installed_mb": sum(sizes.values()) - table,
        "table_mb": table,
        "wheel_mb": wheel.stat().st_size / 1e6,
        "install_s": took,
        "largest_mb": dict(sorted(sizes.items(), key=lambda pair: -pair[1])[:8]),
    }


def size_mb(path: Path) -> float:
    return measuring.folder_mb(path) if path.is_dir() else path.stat().st_size / 1e6


ROWS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "start": start,
    "memory": memory,
    "packages": packages,
}


def main() -> None:
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=about)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--work", type=Path, help="folder for the stores, kept; default: temporary")
    parser.add_argument("--out", default="footprint.json")
    args = parser.parse_args()
    result = measuring.load(args.out)
    result["machine"] = measuring.machine_facts()
    with tempfile.TemporaryDirectory(prefix="footprint-") as made:
        work = args.work or Path(made)
        work.mkdir(parents=True, exist_ok=True)
        for row in args.rows.split(","):
            result[row] = ROWS[row](work) | {"load_after": measuring.load_average()}
            print(row, json.dumps(result[row]), flush=True)
            measuring.save(args.out, result)


if __name__ == "__main__":
    main()
