"""Mneme beside what a user would pick instead, with the same vectors, offline, without an LLM.

    python benchmarks/peers.py                              # every system
    python benchmarks/peers.py --only mneme,chroma --repeats 1

In: LoCoMo turns (--data, by default ../shared/data/locomo/locomo_dev.json beside the repository; it
ends, saying that it skipped, where they are absent). Each turn is one memory of its conversation;
the questions search that conversation, and gold is the set of turns that hold the evidence.
recall@10 is the mean share of that evidence among the first ten.
Out: benchmarks/results/peers.json. Each peer runs in its own environment below --venvs, made here
with pip, in a fresh process for each repeat; the order of systems is turned with each repeat.

The vectors are made once by Mneme's static embedder and handed over as a file, so no peer embeds
and the time is the store's own. Mneme embeds by itself all the same: its figures hold that work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measuring

HERE = Path(__file__).resolve().parent
DATA = measuring.REPO.parent / "shared" / "data" / "locomo" / "locomo_dev.json"
DONE = "installed.txt"

# No peer needs torch here, and none of these pulls it in. faiss-cpu and pysqlite3-binary are what
# the peers' own documents ask for (a Python without loadable extensions cannot use sqlite-vec).
PACKAGES = {
    "mem0": ["mem0ai", "faiss-cpu"],
    "langgraph": ["langgraph", "langgraph-checkpoint-sqlite", "numpy", "pysqlite3-binary"],
    "chroma": ["chromadb"],
}
# The ranking weights that ship were fitted on LoCoMo's conversations among others: this recall of
# Mneme is in sample, and says so; what is found out of fold stands in docs/benchmarks.md.
FITTED = {"mneme"}
SYSTEMS = {
    "mneme": None,
    "mem0-qdrant": "mem0",
    "mem0-faiss": "mem0",
    "langgraph-sqlite": "langgraph",
    "langgraph-inmemory": "langgraph",
    "chroma": "chroma",
    "floor-numpy": None,
    "floor-fts5": None,
    "floor-both": None,
}


def load_turns(path: Path, limit: int) -> list[dict[str, Any]]:
    """One item for each turn, in order, until the limit."""
    items = []
    for sample in json.loads(path.read_text(encoding="utf-8")):
        talk, user = sample["conversation"], sample["sample_id"]
        for number in range(1, 100):
            when = talk.get(f"session_{number}_date_time", "")
            turns = talk.get(f"session_{number}") or []
            items.extend(_item(turn, user, number, when) for turn in turns)
    return items[:limit]


def _item(turn: dict[str, Any], user: str, number: int, when: str) -> dict[str, Any]:
    said = turn["text"]
    if turn.get("blip_caption"):
        said += f" [shares {turn['blip_caption']}]"
    return {
        "id": f"{user}/{turn['dia_id']}",
        "user": user,
        "speaker": turn["speaker"],
        "said": said,
        "text": f"{turn['speaker']}: {said}",
        "session": f"session_{number}",
        "when": when,
        "at": _iso(when),
    }


def _iso(when: str) -> str:
    """ "1:56 pm on 8 May, 2023" as ISO, in UTC."""
    if not when:
        return ""
    return datetime.strptime(when, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC).isoformat()


def load_questions(path: Path, items: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Questions of categories 1 to 4 whose evidence is all among the items; a fixed shuffle."""
    known, pool = {item["id"] for item in items}, []
    for sample in json.loads(path.read_text(encoding="utf-8")):
        user = sample["sample_id"]
        for asked in sample["qa"]:
            turns = re.findall(r"D\d+:\d+", " ".join(asked.get("evidence", [])))
            gold = {f"{user}/{turn}" for turn in turns}
            if gold and gold <= known and asked["category"] in {1, 2, 3, 4}:
                text = asked["question"].strip()
                pool.append({"user": user, "text": text, "gold": sorted(gold)})
    random.Random(0).shuffle(pool)
    return pool[:limit]


def write_input(folder: Path, items: list[dict[str, Any]], queries: list[dict[str, Any]]) -> str:
    """Items, questions and their vectors, for every worker. Returns the embedder's id."""
    import numpy as np

    from mneme.backends.embedders.static import StaticEmbedder

    embedder = StaticEmbedder()
    texts = sorted({i["text"] for i in items} | {q["text"] for q in queries})
    vectors = embedder.embed(texts)
    np.savez(folder / "vectors.npz", texts=np.array(texts), vectors=vectors)
    data = {"items": items, "queries": queries}
    (folder / "input.json").write_text(json.dumps(data), encoding="utf-8")
    return str(embedder.id)


def python_of(system: str, venvs: Path) -> str:
    """The interpreter that has the system; makes its environment where it is missing."""
    group = SYSTEMS[system]
    if group is None:
        return sys.executable
    home = venvs / f"peer-{group}"
    python = home / "bin" / "python"
    if not (home / DONE).exists():
        print(f"installing {', '.join(PACKAGES[group])} into {home.name}", flush=True)
        venv.create(home, with_pip=True, symlinks=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES[group]]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        listing = subprocess.run(
            [str(python), "-m", "pip", "list", "--format=freeze"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        (home / DONE).write_text(listing.stdout, encoding="utf-8")
    return str(python)


def environment_facts(system: str, venvs: Path) -> dict[str, Any]:
    """Versions of the packages named, how many came with them, and their size."""
    group = SYSTEMS[system]
    if group is None:
        return {}
    home = venvs / f"peer-{group}"
    pairs = [p.split("==") for p in (home / DONE).read_text(encoding="utf-8").split()]
    versions = {name: version for name, version in pairs if name not in {"pip", "setuptools"}}
    named = {name: versions[name] for name in PACKAGES[group] if name in versions}
    folder = next((home / "lib").glob("python*/site-packages"))
    own = sum(
        measuring.folder_mb(p)
        for p in folder.iterdir()
        if p.is_dir() and not p.name.startswith(("pip", "setuptools", "_distutils"))
    )
    return {"versions": named, "packages": len(versions), "installed_mb": own}


def work_in(python: str, system: str, source: Path, verb: str, *, folder: Path) -> dict[str, Any]:
    """Run the worker; its one line of result, or the end of what it complained of."""
    command = [python, str(HERE / "peer_worker.py"), system, str(source), str(folder), verb]
    done = subprocess.run(command, capture_output=True, text=True, env=_quiet_env())
    lines = [x for x in done.stdout.splitlines() if x.startswith("RESULT ")]
    if lines:
        return dict(json.loads(lines[-1][7:]))
    return {"error": done.stderr.strip()[-1500:], "status": done.returncode}


def measured(python: str, system: str, source: Path, folder: Path) -> dict[str, Any]:
    """One repeat: from empty, then opened again by a fresh process; nothing is left."""
    others = measuring.Others()
    out = work_in(python, system, source, "measure", folder=folder)
    if "error" not in out:
        out |= work_in(python, system, source, "again", folder=folder)
    shutil.rmtree(folder, ignore_errors=True)
    return out | {"others_share": others.share()}


def _quiet_env() -> dict[str, str]:
    off = {
        "OMP_NUM_THREADS": "1",
        "MEM0_TELEMETRY": "False",
        "ANONYMIZED_TELEMETRY": "False",
        "LANGSMITH_TRACING": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    return dict(os.environ) | off


def durability(python: str, system: str, source: Path, root: Path) -> dict[str, Any]:
    """Is an added item there after SIGKILL, and which files does an add ask the disk to keep?"""
    folder = root / f"kill-{system}"
    folder.mkdir()
    work_in(python, system, source, "kill", folder=folder)
    out = work_in(python, system, source, "reopen", folder=folder)
    kept = {"survives_kill": out.get("survives_kill", out)}
    if shutil.which("strace"):
        added = _syncs(python, system, source, root / f"sync-{system}", "fsync")
        added.subtract(_syncs(python, system, source, root / f"idle-{system}", "idle"))
        kept["syncs_per_add"] = {name: count / 20 for name, count in added.items() if count > 0}
    return kept


def _syncs(python: str, system: str, source: Path, folder: Path, verb: str) -> Counter[str]:
    """How often each file was synced, by its name."""
    folder.mkdir()
    log = folder.with_suffix(".strace")
    worker = [python, str(HERE / "peer_worker.py"), system, str(source), str(folder), verb]
    calls = "fsync,fdatasync,msync,sync_file_range,syncfs,sync"
    strace = ["strace", "-f", "-y", "-qq", "-e", f"trace={calls}", "-o", str(log), *worker]
    subprocess.run(strace, capture_output=True, env=_quiet_env(), check=False)
    shutil.rmtree(folder, ignore_errors=True)
    names = re.findall(r"sync\w*\([^<]*<([^>]*)>", log.read_text(encoding="utf-8"))
    files = [Path(name) for name in names if not Path(name).name.startswith("tmp")]
    return Counter("(folder)" if file == folder else file.name for file in files)


def run(args: argparse.Namespace) -> dict[str, Any]:
    items = load_turns(args.data, args.items)
    queries = load_questions(args.data, items, args.queries)
    names = [n for n in SYSTEMS if not args.only or n in args.only.split(",")]
    with tempfile.TemporaryDirectory(prefix="peers-", dir=args.work) as made:
        root = Path(made)
        embedder = write_input(root, items, queries)
        pythons = {name: python_of(name, args.venvs) for name in names}
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for repeat in range(max(args.tries, args.repeats)):
            turned = names[repeat % len(names) :] + names[: repeat % len(names)]
            for name in turned:
                if calm_enough(runs[name], args.repeats):
                    continue
                args.patience = measuring.wait_for_calm(args.patience)
                folder = root / f"{name}-{repeat}"
                runs[name].append(measured(pythons[name], name, root, folder))
                print(name, json.dumps(runs[name][-1]), flush=True)
        systems = {
            name: summary(runs[name], args.repeats)
            | {"recall_in_sample": name in FITTED}
            | durability(pythons[name], name, root, root)
            | environment_facts(name, args.venvs)
            for name in names
        }
    return {
        "machine": measuring.machine_facts(),
        "embedder": embedder,
        "items": len(items),
        "queries": len(queries),
        "systems": systems,
    }


def calm_enough(runs: list[dict[str, Any]], count: int) -> bool:
    return sum(r["others_share"] < measuring.CALM for r in runs) >= count


def summary(runs: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """Median and spread of each figure over the calmest repeats; one that failed is an error."""
    failed = [r for r in runs if "error" in r]
    if failed:
        return {"error": failed[-1]["error"]}
    good = measuring.calmest(runs, count)
    return {key: measuring.spread(r[key] for r in good) for key in good[0]}


def main() -> None:
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=about)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--venvs", type=Path, default=measuring.REPO / ".venv-peers")
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tries", type=int, default=0, help="on a busy machine: at most so many")
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds to wait for calm, in all"
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--work", default=None, help="folder for the stores; default: temporary")
    parser.add_argument("--out", default="peers.json")
    args = parser.parse_args()
    if not args.data.exists():
        print(f"SKIPPED: no LoCoMo data at {args.data}; give --data FILE")
        return
    old = measuring.load(args.out) if args.only else {}
    new = run(args)
    new["systems"] = old.get("systems", {}) | new["systems"]
    print(f"written: {measuring.save(args.out, new)}")


if __name__ == "__main__":
    main()
