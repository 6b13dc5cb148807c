"""Time to the first token from a warm disk against host memory, and what storing adds to building.

    python benchmarks/kv_tiers.py             # about two minutes, one thread

A model in the shape of Qwen2-0.5B with 4 layers and random weights, float32; 2,048 tokens of
memory, a question of 32. Three ways, in turn: all blocks in host memory; host memory empty, so that
blocks are read from disk (in the page cache), checked and kept in host memory; no host memory at
all. CPU seconds; a share is the median of the shares of each turn. Storing is cutting, encoding,
checksum, file and host memory, on top of the one forward pass that builds.

Writes benchmarks/results/kv_tiers.json.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from kv_ttft import FEW_WORDS, SHAPE
from measuring import machine_facts, save, spread
from mneme.backends.blobs.folder import FolderBlobs
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.loading import load
from mneme.core.rows import BlockRow
from mneme.memories.activation.keys import salt_of
from mneme.memories.activation.kv import cut
from mneme.memories.activation.match import Match
from mneme.memories.activation.memory import ActivationMemory
from mneme.memories.activation.tiers import Tiers
from mneme.testing.tiny_models import tiny_model

MEMORY, QUESTION = 2048, 32
ROOM = 1 << 30
SALT = salt_of(b"benchmark", "kv_tiers")
NEAR, EMPTY, NONE = "host", "disk, host memory empty", "disk, no host memory"


def cpu_s(work: Callable[[], Any]) -> tuple[Any, float]:
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        result = work()
        return result, time.process_time() - begun
    finally:
        gc.enable()


class Bench:
    def __init__(self, engine: LocalEngine, folder: Path) -> None:
        self.engine = engine
        self.disk = FolderBlobs(folder)
        self.memory, self.without = (
            ActivationMemory(engine, self._tiers(room)) for room in (ROOM, 0)
        )
        dice = torch.Generator().manual_seed(7)
        self.tokens = torch.randint(10, FEW_WORDS, (MEMORY + QUESTION,), generator=dice).tolist()
        self.rows: list[BlockRow] = []

    def _tiers(self, host_bytes: int) -> Tiers:
        return Tiers(
            [self.disk], device="cpu", dtype=torch.float32, host_bytes=host_bytes, device_bytes=0
        )

    def build_and_store(self) -> dict[str, float]:
        """CPU seconds of each part."""
        self.disk.drop([row.name for row in self.rows])
        self.memory.tiers.clear()
        tokens = self.tokens[:MEMORY]
        session = self.engine.session(record=True)
        _, build_s = cpu_s(lambda: session.feed(tokens))
        kv, cut_s = cpu_s(lambda: cut(session.recorded(), 0, MEMORY))
        made, pack_s = cpu_s(
            lambda: self.memory.blocks(SALT, tokens, kv, form="raw", cost_s=build_s, known={})
        )
        self.rows = made.rows
        _, keep_s = cpu_s(lambda: self.memory.tiers.keep(made.files, made.rows))
        store_s = cut_s + pack_s + keep_s
        return {
            "build_s": build_s,
            "cut_s": cut_s,
            "pack_s": pack_s,
            "keep_s": keep_s,
            "share": store_s / build_s,
        }

    def first_token(self, way: str) -> tuple[int, float]:
        """The token, and CPU seconds until it is there."""
        memory = self.without if way == NONE else self.memory
        if way == EMPTY:
            memory.tiers.clear()
        tier = "host" if way == NEAR else "disk"

        def ask() -> int:
            opening = memory.open(Match(tuple(self.rows), MEMORY))
            assert dict(opening.by_tier) == {tier: MEMORY}, opening.by_tier
            return int(opening.session.feed(self.tokens[opening.tokens :]).argmax())

        return cpu_s(ask)

    def first_tokens(self, repeats: int) -> dict[str, list[float]]:
        ways = [NEAR, EMPTY, NONE]
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        self.first_token(EMPTY)
        said = set()
        for repeat in range(repeats):
            turn = repeat % 3
            for way in ways[turn:] + ways[:turn]:
                token, taken = self.first_token(way)
                said.add(token)
                seconds[way].append(taken)
        assert len(said) == 1, "the same bytes give the same token"
        return seconds


def fsync_ms(folder: Path, size: int, files: int = 32) -> dict[str, float]:
    """Wall milliseconds for a file of a block, with and without fsync of file and folder."""
    data = os.urandom(size)

    def write(sync: bool) -> float:
        begun = time.perf_counter()
        for number in range(files):
            path = folder / f"{number}"
            with path.open("wb") as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            path.rename(folder / f"{number}.whole")
            if sync:
                handle = os.open(folder, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)
        taken = (time.perf_counter() - begun) / files * 1e3
        for number in range(files):
            with suppress(FileNotFoundError):
                (folder / f"{number}.whole").unlink()
        return taken

    pairs = [(write(False), write(True)) for _ in range(5)]
    return {
        "without": statistics.median(plain for plain, _ in pairs),
        "with": statistics.median(synced for _, synced in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--builds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="nothing saved")
    said = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mneme-tiers-") as folder:
        model = tiny_model("qwen2", Path(folder) / "model", seed=3, vocab_size=FEW_WORDS, **SHAPE)
        engine = LocalEngine(*load(model))
        (Path(folder) / "sync").mkdir()
        bench = Bench(engine, Path(folder) / "blobs")
        builds = [bench.build_and_store() for _ in range(said.builds)]
        seconds = bench.first_tokens(said.repeats)
        size = bench.rows[0].size
        sync = fsync_ms(Path(folder) / "sync", size)
    shares = {
        way: spread(a / b - 1 for a, b in zip(seconds[way], seconds[NEAR], strict=True))
        for way in (EMPTY, NONE)
    }
    storing = spread(build["share"] for build in builds)
    print(f"{'first token from':26} {'CPU ms':>8}  more than from host memory")
    for way, each in seconds.items():
        more = f"{shares[way]['median']:+.1%}" if way in shares else ""
        print(f"{way:26} {statistics.median(each) * 1e3:8.1f}  {more}")
    for name in ("build_s", "cut_s", "pack_s", "keep_s"):
        print(f"{name:10} {statistics.median(b[name] for b in builds) * 1e3:8.1f} CPU ms")
    print(f"storing adds {storing['median']:.1%} to building")
    print(f"a file of {size} bytes: {sync['without']:.2f} ms, with fsync {sync['with']:.2f} ms")
    rows = [
        {
            "what": f"first token from {way}",
            "CPU_ms": statistics.median(each) * 1e3,
            "more": f"{shares[way]['median']:+.1%} of host" if way in shares else "",
        }
        for way, each in seconds.items()
    ]
    rows += [
        {"what": what, "CPU_ms": statistics.median(work) * 1e3, "more": more}
        for what, work, more in (
            ("building", [b["build_s"] for b in builds], ""),
            ("storing", [b["cut_s"] + b["pack_s"] + b["keep_s"] for b in builds],
             f"{storing['median']:+.1%} of building"),
        )
    ]  # fmt: skip
    if not said.dry:
        save("kv_tiers.json", {
            "machine": machine_facts(), "memory_tokens": MEMORY, "question_tokens": QUESTION,
            "block_bytes": size, "stored_bytes": sum(row.size for row in bench.rows),
            "first_token_s": {way: spread(each) for way, each in seconds.items()},
            "over_host": shares, "storing": storing,
            "building_s": {
                name: spread(b[name] for b in builds)
                for name in ("build_s", "cut_s", "pack_s", "keep_s")
            },
            "file_ms": sync, "rows": rows,
        })  # fmt: skip


if __name__ == "__main__":
    main()
