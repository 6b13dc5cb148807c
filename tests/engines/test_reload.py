"""Keys and values on disk are the same memory in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mneme.core.engine import KV, Engine
from mneme.testing.tiny_models import FAMILIES

ALL = [*FAMILIES, "gemma3n"]
SPLITS = [1, 16, 63, 99]
_CHILD = """
import json, sys
import torch
from safetensors.torch import load_file, save_file
import mneme
from mneme.core.engine import Layer

torch.set_num_threads(1)
engines = {}
for line in open(sys.argv[1], encoding="utf-8"):
    task = json.loads(line)
    engine = engines.setdefault(task["model"], None) or mneme.engine(task["model"])
    engines[task["model"]] = engine
    assert engine.fingerprint == task["fingerprint"], (task["model"], dict(engine.fields))
    parts = load_file(task["kv"])
    past = tuple(Layer(parts[f"{n}.keys"], parts[f"{n}.values"]) for n in range(engine.layers))
    session = engine.session(past)
    save_file({"logits": session.feed(task["rest"]), "next": session.feed([20])}, task["out"])
"""


def test_reloaded_with_another_hash_seed_bit_by_bit(
    tmp_path: Path,
    folder_of: Callable[[str], Path],
    engine_of: Callable[[str], Engine],
    prompt: list[int],
) -> None:
    tasks, right = [], {}
    for family in ALL:
        engine = engine_of(family)
        for split in SPLITS:
            name = f"{family}-{split}"
            parts = engine.session(record=True)
            parts.feed(prompt[:split])
            _save(parts.recorded(), tmp_path / f"{name}.kv")
            right[name] = (parts.feed(prompt[split:]), parts.feed([20]))
            tasks.append(
                {
                    "model": str(folder_of(family)),
                    "fingerprint": engine.fingerprint,
                    "kv": str(tmp_path / f"{name}.kv"),
                    "rest": prompt[split:],
                    "out": str(tmp_path / f"{name}.out"),
                }
            )
    listed = tmp_path / "tasks"
    listed.write_text("\n".join(map(json.dumps, tasks)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(listed)],
        env={"PYTHONHASHSEED": "4711", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, logits in right.items():
        found = load_file(tmp_path / f"{name}.out")
        assert torch.equal(found["logits"], logits[0]), name
        assert torch.equal(found["next"], logits[1]), name


def _save(past: KV, path: Path) -> None:
    named = {
        f"{number}.{name}": part.contiguous()
        for number, layer in enumerate(past)
        for name, part in zip(("keys", "values"), layer, strict=True)
    }
    save_file(named, path)
