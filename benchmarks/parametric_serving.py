"""What serving adapters costs: swaps, batches of many owners, a thousand of them in a budget.

    python benchmarks/parametric_serving.py

Three runs, each in a process of its own; the worst of them counts. The model is the judge `facts`
(tests/judges), on one thread of the CPU; adapters have random numbers, rank 8, all seven linear
layers of each block, and are kept as bf16. Peft does the same work in the same run, on a copy of
the same model. The judge is small: a forward pass of it takes about as long as a swap, while that
of a real model takes much longer. Ratios to peft and the bytes say more than milliseconds.

What is measured, in milliseconds of wall and of CPU time (others on a busy machine stretch the
first, by as much as the 1-minute load says; the tenth percentile is what the calm moments gave):

- swap: what `Shelf.using([digest])` takes to open and close around no pass. From memory: the
  adapter is in no slot, but in memory. From disk: in neither; its five files are read (out of the
  system's cache of files), checked and decoded. Peft: `hotswap_adapter`, from a dictionary, and
  from a folder.
- 1 against 100: a forward pass of one prompt of ten tokens within `using`. With one adapter stored,
  which stays in its slot; with 100 used in turn that are all in slots; with 100 used in turn that
  are all in memory, but share 16 slots, so that every pass copies its adapter first.
- mixed batch: a forward pass of 32 prompts of ten tokens, with 0, 1, 4, 16 or 32 different
  adapters, all in slots. Peft: `adapter_names`, of a model with the same adapters loaded.
- a thousand: adapters on disk, asked for one at a time by Zipf's law (exponent 1); memory may hold
  100 of them, slots 16.
- names: the slots "u1" and "u10"; new tensors come under "u1". What became of "u10"?
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

import mneme
from measuring import RESULTS, latencies_ms, load_average, machine_facts, percentile, rss_mb
from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.engine import Engine
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.bundle import pack, rows, unpack
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.folder import write_folder
from mneme.memories.parametric.shelf import Shelf
from mneme.memories.parametric.slots import Slots
from mneme.testing.adapters import random_adapter

JUDGE = Path(__file__).resolve().parents[1] / "tests" / "judges" / "models" / "facts"
RANK, TOKENS, ROWS, RUNS = 8, 10, 32, 3
MANY, STORED, KEPT, SLOTS = 100, 1_000, 100, 16
REPEATS = 200
GOALS = {"swap_ram_p50_ms": 1.0, "swap_disk_p50_ms": 10.0, "ratio_100_to_1": 1.5}

Row = dict[str, Any]


class Disk:
    """Versions in a folder of blobs, as the store keeps them, and a loader of them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._base = base_of(engine.fields)
        self._blobs, self._rows = FolderBlobs(folder), dict[str, list[Any]]()

    def keep(self, adapter: Adapter, number: int) -> str:
        """Write a version; its digest."""
        bundle = pack(adapter, FactLedger(), {}, {"number": number}, "bf16")
        self._rows[bundle.digest] = rows(bundle)
        self._blobs.put({row.name: bundle.files[row.part] for row in rows(bundle)})
        return bundle.digest

    def load(self, digest: str) -> Adapter:
        """Read, check and decode."""
        known = self._rows[digest]
        found = self._blobs.get([row.name for row in known])
        files = {row.part: data for row, data in zip(known, found, strict=True) if data is not None}
        return unpack(files, known, base=self._base).adapter


def figures(name: str, calls: Iterable[Callable[[], Any]], **more: object) -> Row:
    """Spread of the time of some calls; the first ten are left out."""
    wall, cpu = latencies_ms(calls)
    wall, cpu = wall[10:], cpu[10:]
    return {
        "what": name,
        "p10_ms": round(percentile(wall, 10), 4),
        "p50_ms": round(percentile(wall, 50), 4),
        "p95_ms": round(percentile(wall, 95), 4),
        "cpu_p50_ms": round(percentile(cpu, 50), 4),
        "repeats": len(wall),
        "load_1min": round(load_average(), 2),
        **more,
    }


def using(shelf: Shelf, digests: list[str | None], work: Callable[[], Any] | None = None) -> None:
    """Open and close, with or without a pass."""
    with shelf.using(digests):
        if work is not None:
            work()


def forward(model: Any, ids: torch.Tensor, **more: object) -> Callable[[], Any]:
    """A pass without gradients or a cache."""

    @torch.no_grad()
    def run() -> Any:
        return model(input_ids=ids, use_cache=False, **more).logits

    return run


def prompts(count: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(count)
    return torch.randint(3, 100, (count, TOKENS), generator=chance)


def turns(things: list[Any], count: int = REPEATS) -> Iterator[Any]:
    for at in range(count):
        yield things[at % len(things)]


def swaps(engine: Engine, disk: Disk, digests: list[str]) -> list[Row]:
    """From memory and from disk into a slot."""
    ram = Shelf(engine, Slots(engine, RANK, count=1), disk.load, 1 << 30)
    ram.warm(digests)
    cold = Shelf(engine, Slots(engine, RANK, count=1), disk.load, 0)
    cached = [partial(using, ram, [digest]) for digest in turns(digests)]
    read = [partial(using, cold, [digest]) for digest in turns(digests)]
    found = [figures("swap from memory", cached), figures("swap from disk", read)]
    assert ram.loads == len(digests)
    assert cold.loads == REPEATS
    return found


def one_and_many(engine: Engine, disk: Disk, digests: list[str]) -> list[Row]:
    """A pass with one adapter stored, and with a hundred."""
    run = forward(engine.model, prompts(1))
    shelves = {
        "1 stored, in its slot": (digests[:1], 1),
        f"{MANY} stored, all in slots": (digests, MANY),
        f"{MANY} stored, in {SLOTS} slots": (digests, SLOTS),
    }
    opened = {}
    for name, (own, count) in shelves.items():
        shelf = Shelf(engine, Slots(engine, RANK, count=count), disk.load, 1 << 30)
        shelf.warm(own)
        for digest in own:
            using(shelf, [digest])
        opened[name] = (shelf, own)
    wall: dict[str, list[float]] = {name: [] for name in shelves}
    cpu: dict[str, list[float]] = {name: [] for name in shelves}
    for turn in range(REPEATS):  # side by side, so that others on the machine slow all of them
        for name, (shelf, own) in opened.items():
            work = partial(using, shelf, [own[turn % len(own)]], run)
            one_wall, one_cpu = latencies_ms([work])
            wall[name] += one_wall
            cpu[name] += one_cpu
    first = percentile(wall["1 stored, in its slot"], 50)
    first_cpu = percentile(cpu["1 stored, in its slot"], 50)
    return [figures("pass of the base", [run] * REPEATS)] + [
        {
            "what": f"pass, {name}",
            "p50_ms": round(percentile(wall[name], 50), 4),
            "p95_ms": round(percentile(wall[name], 95), 4),
            "cpu_p50_ms": round(percentile(cpu[name], 50), 4),
            "repeats": REPEATS,
            "ratio_to_1_stored": round(percentile(wall[name], 50) / first, 3),
            "cpu_ratio_to_1_stored": round(percentile(cpu[name], 50) / first_cpu, 3),
        }
        for name in shelves
    ]


def mixed(engine: Engine, disk: Disk, digests: list[str], peft: Peft) -> list[Row]:
    """Batches of 32 rows with few and many adapters, here and in peft."""
    ids, found = prompts(ROWS), []
    shelf = Shelf(engine, Slots(engine, RANK, count=ROWS), disk.load, 1 << 30)
    run = forward(engine.model, ids)
    for distinct in (0, 1, 4, 16, 32):
        own = [digests[at % distinct] if distinct else None for at in range(ROWS)]
        names = [f"a{at % distinct}" if distinct else "__base__" for at in range(ROWS)]
        ours, theirs = partial(using, shelf, own, run), peft.mixed(ids, names)
        calls = [call for _ in range(50) for call in (ours, theirs)]
        wall, cpu = latencies_ms(calls)
        to_peft, to_base = _differences(shelf, own, run, theirs)
        for whose, first in (("Mneme", 0), ("peft", 1)):
            found.append(
                {
                    "what": f"mixed batch of {ROWS}, {distinct} adapters, {whose}",
                    "p50_ms": round(percentile(wall[first::2], 50), 4),
                    "p95_ms": round(percentile(wall[first::2], 95), 4),
                    "cpu_p50_ms": round(percentile(cpu[first::2], 50), 4),
                    "repeats": 50,
                    "largest_difference_of_logits_to_peft": to_peft,
                    "largest_difference_of_logits_to_base": to_base,
                }
            )
    return found


def _differences(
    shelf: Shelf, own: list[str | None], run: Callable[[], Any], theirs: Callable[[], Any]
) -> tuple[float, float]:
    """Of logits, to peft's and to the base's."""
    with shelf.using(own):
        mine = run()
    return float((mine - theirs()).abs().max()), float((mine - run()).abs().max())


def a_thousand(engine: Engine, disk: Disk, seed: int) -> Row:
    """Under Zipf's law within a budget."""
    one = random_adapter(engine, 0, rank=RANK)
    digests = [disk.keep(_turned(one, number), number) for number in range(STORED)]
    slots = Slots(engine, RANK, count=SLOTS)
    size = slots.fit(one).bytes
    shelf = Shelf(engine, slots, disk.load, KEPT * size)
    chance, weights = random.Random(seed), [1 / (rank + 1) for rank in range(STORED)]
    run = forward(engine.model, prompts(1))
    for digest in digests[:SLOTS]:
        using(shelf, [digest], run)
    gc.collect()
    before, largest, in_slot = rss_mb(), 0, 0
    loads, times = shelf.loads, []
    for digest in chance.choices(digests, weights, k=3_000):
        in_slot += digest in slots.tags
        began = time.perf_counter()
        using(shelf, [digest])
        times.append((time.perf_counter() - began) * 1e3)
        largest = max(largest, shelf.bytes())
    gc.collect()
    loads = shelf.loads - loads
    return {
        "what": f"{STORED} stored, Zipf, {SLOTS} slots, memory for {KEPT}",
        "p50_ms": round(percentile(times, 50), 4),
        "p95_ms": round(percentile(times, 95), 4),
        "repeats": len(times),
        "budget_bytes": KEPT * size,
        "largest_bytes": largest,
        "bytes_of_one": size,
        "bytes_of_slots": slots.bytes,
        "rss_grew_by_bytes": round((rss_mb() - before) * 1e6),
        "share_in_slots": round(in_slot / len(times), 3),
        "share_in_memory": round(1 - (in_slot + loads) / len(times), 3),
        "share_from_disk": round(loads / len(times), 3),
    }


def _turned(adapter: Adapter, number: int) -> Adapter:
    """Another one, quickly."""
    tensors = {name: tensor.roll(number + 1) for name, tensor in adapter.tensors.items()}
    return Adapter(
        carrier=adapter.carrier, base=adapter.base, config=adapter.config, tensors=tensors
    )


class Peft:
    """The same adapters in peft, on a copy of the model."""

    def __init__(self, folders: list[Path]) -> None:
        from peft import PeftModel

        self._folders = folders
        model: Any = mneme.engine(JUDGE).model
        self._model: Any = PeftModel.from_pretrained(model, folders[0], adapter_name="a0").eval()
        for number in range(1, ROWS):
            self._model.load_adapter(folders[number], adapter_name=f"a{number}")

    def mixed(self, ids: torch.Tensor, names: list[str]) -> Callable[[], Any]:
        return forward(self._model, ids, adapter_names=names)

    def swaps(self) -> list[Row]:
        """Into one slot, from a dictionary and from a folder."""
        from peft import PeftModel
        from peft.utils.hotswap import hotswap_adapter, hotswap_adapter_from_state_dict
        from safetensors.torch import load_file

        model: Any = PeftModel.from_pretrained(
            mneme.engine(JUDGE).model, self._folders[0], adapter_name="slot"
        ).eval()
        config = model.peft_config["slot"]
        held = [
            {
                name.replace(".weight", ".slot.weight"): tensor.float()
                for name, tensor in load_file(folder / "adapter_model.safetensors").items()
            }
            for folder in self._folders
        ]
        from_ram: Any = hotswap_adapter_from_state_dict
        from_disk: Any = hotswap_adapter
        return [
            figures(
                "swap from memory, peft",
                [partial(from_ram, model, each, "slot", config) for each in turns(held)],
            ),
            figures(
                "swap from disk, peft",
                [partial(from_disk, model, each, "slot") for each in turns(self._folders)],
            ),
        ]

    def names(self) -> Row:
        """New tensors under the name u1, and what became of u10."""
        import peft
        from peft import PeftModel
        from peft.utils.hotswap import hotswap_adapter

        model: Any = PeftModel.from_pretrained(
            mneme.engine(JUDGE).model, self._folders[0], adapter_name="u1"
        ).eval()
        model.load_adapter(self._folders[1], adapter_name="u10")
        model.set_adapter("u10")
        run = forward(model, prompts(4))
        before = run()
        with model.disable_adapter():
            base = run()
        swap: Any = hotswap_adapter
        outcome = "no error"
        try:
            swap(model, self._folders[2], "u1")
        except (RuntimeError, ValueError, KeyError) as error:
            outcome = type(error).__name__
        after = run()
        return {
            "what": f"names u1 and u10, peft {peft.__version__}",
            "outcome": outcome,
            "u10_is_bit_identical": torch.equal(before, after),
            "u10_is_now_the_base": torch.equal(base, after),
            "largest_change_of_logits": float((before - after).abs().max()),
        }


def our_names(engine: Engine, disk: Disk, digests: list[str]) -> Row:
    """The same with a shelf that is asked for u1 and u10."""
    held = {"u1": digests[0], "u10": digests[1]}
    shelf = Shelf(engine, Slots(engine, RANK, count=2), lambda n: disk.load(held[n]), 1 << 30)
    run = forward(engine.model, prompts(4))
    with shelf.using(["u1", "u10", "u10", "u1"]):
        before = run()
    held["u1"] = digests[2]
    shelf.let_go(lambda names: names - {"u1"})
    with shelf.using(["u1", "u10", "u10", "u1"]):
        after = run()
    return {
        "what": "names u1 and u10, Mneme",
        "outcome": "no error",
        "u10_is_bit_identical": torch.equal(before[1:3], after[1:3]),
        "u10_is_now_the_base": False,
        "largest_change_of_logits": float((before[1:3] - after[1:3]).abs().max()),
        "u1_changed": not torch.equal(before[0], after[0]),
    }


def run_once(seed: int) -> list[Row]:
    """All of it, in this process."""
    warnings.simplefilter("ignore")  # peft's, of names it knows differently
    torch.set_num_threads(1)
    engine = mneme.engine(JUDGE)
    with tempfile.TemporaryDirectory() as place:
        disk, folders, digests = Disk(engine, Path(place) / "blobs"), [], []
        for number in range(MANY):
            adapter = random_adapter(engine, 1000 * seed + number, rank=RANK, size=0.02)
            digests.append(disk.keep(adapter, number))
            if number < ROWS:
                bundle = pack(adapter, FactLedger(), {}, {"number": number}, "bf16")
                folder = Path(place) / "peft" / str(number)
                folders.append(write_folder(bundle.files, rows(bundle), folder))
        peft = Peft(folders)
        found = [a_thousand(engine, disk, seed)]
        found += swaps(engine, disk, digests) + peft.swaps()
        found += one_and_many(engine, disk, digests)
        found += mixed(engine, disk, digests, peft)
        found += [our_names(engine, disk, digests), peft.names()]
    return [{**row, "run": seed} for row in found]


def summed_up(found: list[Row]) -> dict[str, Any]:
    """The worst of the runs for each goal, and ratios to peft of the same run."""

    def worst(what: str, field: str = "p50_ms") -> float:
        return max(float(row[field]) for row in found if row["what"] == what)

    def to_peft(what: str, theirs: str) -> float:
        timed = {(row["run"], row["what"]): row.get("cpu_p50_ms", 0.0) for row in found}
        return max(round(timed[run, what] / timed[run, theirs], 3) for run in range(RUNS))

    zipf = f"{STORED} stored, Zipf, {SLOTS} slots, memory for {KEPT}"
    batch = f"mixed batch of {ROWS}, {{}} adapters, {{}}"
    in_turn, swapped = (
        f"pass, {MANY} stored, all in slots",
        f"pass, {MANY} stored, in {SLOTS} slots",
    )
    return {
        "swap_ram_p50_ms": worst("swap from memory"),
        "swap_ram_cpu_p50_ms": worst("swap from memory", "cpu_p50_ms"),
        "swap_disk_p50_ms": worst("swap from disk"),
        "swap_disk_cpu_p50_ms": worst("swap from disk", "cpu_p50_ms"),
        "ratio_100_to_1_all_in_slots": worst(in_turn, "ratio_to_1_stored"),
        "ratio_100_to_1_all_in_slots_cpu": worst(in_turn, "cpu_ratio_to_1_stored"),
        "ratio_100_to_1_swap_at_every_pass": worst(swapped, "ratio_to_1_stored"),
        "ratio_100_to_1_swap_at_every_pass_cpu": worst(swapped, "cpu_ratio_to_1_stored"),
        "memory_largest_share_of_budget": max(
            row["largest_bytes"] / row["budget_bytes"] for row in found if row["what"] == zipf
        ),
        "swap_ram_cpu_time_to_peft": to_peft("swap from memory", "swap from memory, peft"),
        "swap_disk_cpu_time_to_peft": to_peft("swap from disk", "swap from disk, peft"),
        **{
            f"mixed_{count}_cpu_time_to_peft": to_peft(
                batch.format(count, "Mneme"), batch.format(count, "peft")
            )
            for count in (1, 4, 16, 32)
        },
    }


def main() -> None:
    """Three runs, a table, and the file of results."""
    facts, found = machine_facts(), []
    for seed in range(RUNS):
        said = subprocess.run(
            [sys.executable, __file__, "--run", str(seed)],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found += json.loads(said.stdout.splitlines()[-1])
        print(f"run {seed} is done", flush=True)
    worst = summed_up(found)
    for row in found:
        if row["run"] == 0:
            print(json.dumps({k: v for k, v in row.items() if k != "run"}))
    print(json.dumps(worst, indent=1))
    result = {
        "what": "serving adapters: swaps, one against a hundred, mixed batches, a thousand stored; "
        "random adapters of rank 8 on the judge `facts`, one thread; the worst of three runs",
        "command": "python benchmarks/parametric_serving.py",
        "goals": GOALS,
        "worst": worst,
        "machine": facts,
        "rows": found,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, sort_keys=True)
    (RESULTS / "parametric_serving.json").write_text(text + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run_once(int(sys.argv[2]))))
    else:
        main()
