"""What writing facts into weights, and serving them, takes on a model of real size.

    python benchmarks/parametric_gpu.py --model FOLDER   # a real model; on CUDA if there is one
    python benchmarks/parametric_gpu.py --shape 7b --dtype bfloat16 --device cuda
    python benchmarks/parametric_gpu.py --shape 0.5b --layers 4 --words 8192 --device cpu

With --model, answers mean something: how many written facts it then says, how many when it is asked
in words that it was never written with, and what a change that is always on does to answers about
others. With --shape the weights are random: memory and speed are those of the real size, and right
answers only show that the training works. `--distill 1` writes every shard a second time, with
context distillation beside plain lessons.

Peaks are torch.cuda.max_memory_allocated on CUDA, and the resident memory of the process on a CPU,
which counts Python and its libraries; what was there before writing stands beside each peak.
Writes benchmarks/results/parametric_gpu_<name>.json.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch

import mneme
from measuring import machine_facts, peak_rss_mb, reset_peak, rss_mb, save
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import forward, greedy_answers, next_logits, padded
from mneme.memories.parametric.bundle import pack
from mneme.memories.parametric.course import course_of, knows
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.forms import FORMS
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.neighbours import neighbours
from mneme.memories.parametric.optimizers import NAMES, state_bytes
from mneme.memories.parametric.phrasings import Bank, bank_of
from mneme.memories.parametric.slots import Slots
from mneme.memories.parametric.synthesis import entries_of
from mneme.memories.parametric.training import Course, Run, Training, Written
from mneme.memories.parametric.writers import build_writer
from parametric_shapes import SHAPES, everyday_facts, random_engine

ROWS = 32  # of a served batch
OTHERS = 100  # questions about others


class Task(NamedTuple):
    """What is written on which model."""

    engine: Any
    bank: Bank
    ledger: FactLedger
    training: Training
    cuda: bool
    ask: bool

    def course(self, *, distill: bool) -> Course:
        return course_of(self.engine, self.ledger, bank=self.bank, distill=distill, seed=0)

    def known(self, text: str) -> bool:
        return knows(self.engine, text)


# -- clocks and memory


def settled(task: Task) -> None:
    if task.cuda:
        torch.cuda.synchronize()


def fresh_peak(task: Task) -> float:
    """Let peaks start anew; bytes in use now."""
    if task.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return float(torch.cuda.memory_allocated())
    ctypes.CDLL(None).malloc_trim(0)  # what was freed and kept would hide the next peak
    reset_peak()
    return rss_mb() * 1e6


def peak(task: Task) -> float:
    return float(torch.cuda.max_memory_allocated()) if task.cuda else peak_rss_mb() * 1e6


def median_ms(task: Task, work: Callable[[], object], repeats: int) -> float:
    work()
    found = []
    for _ in range(repeats):
        settled(task)
        begun = time.perf_counter()
        work()
        settled(task)
        found.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(found)


# -- writing


def written(task: Task, training: Training) -> tuple[Written, dict[str, Any]]:
    """One shard, and what it took."""
    course = task.course(distill=training.distill > 0)
    moments: list[float] = []
    before = fresh_peak(task)
    begun = time.perf_counter()
    run = Run(progress=lambda *_: moments.append(time.perf_counter()))
    found = build_writer("lora").write(task.engine, course, training, run)
    settled(task)
    took, most = time.perf_counter() - begun, peak(task)
    per_s = (len(moments) - 1) / (moments[-1] - moments[0]) if len(moments) > 1 else 0.0
    shapes = [tuple(each.shape) for each in found.adapter.tensors.values()]
    trained = sum(each.numel() for each in found.adapter.tensors.values())
    state = state_bytes(training.optimizer, shapes)
    row = {
        "optimizer": training.optimizer,
        "recompute": training.recompute,
        "distill": training.distill,
        "steps": found.figures["steps"],
        "loss": found.figures["loss"],
        "steps_per_s": per_s,
        "tokens_per_s": per_s * step_tokens(course, training),
        "shard_s": took,
        "cpu_s": found.figures["cpu_s"],
        "before_bytes": before,
        "peak_bytes": most,
        "weights_bytes": weights_bytes(task),
        "adapter_bytes": 4 * trained,  # float32, and gradients as many
        "optimizer_bytes": state,
        "floor_bytes": weights_bytes(task) + 4 * trained + state,
        "over_weights_bytes": most - before,
    }
    return found, row


def step_tokens(course: Course, training: Training) -> float:
    """Tokens of one step without padding, in the mean."""
    rows = [len(each.prompt) + len(each.answer) - 1 for each in course.lessons]
    tokens = statistics.fmean(rows) * min(training.batch, len(rows))
    if training.replay and course.replay:
        kept = statistics.fmean(map(len, course.replay))
        tokens += kept * min(max(1, training.batch // 2), len(course.replay))
    return tokens


def weights_bytes(task: Task) -> int:
    return sum(each.nbytes for each in task.engine.model.parameters())


def answers(task: Task, adapter: Adapter) -> dict[str, float]:
    """Shares of right answers, written and held wordings, and of others' answers left alone."""
    engine, ledger = task.engine, task.ledger
    applied = LoraCarrier().apply(engine, adapter)
    near = neighbours(ledger, task.bank, task.known, seed=1, count=OTHERS)
    ask = [engine.render([{"role": "user", "content": each}]) for each in near]
    base = next_logits(engine, ask).argmax(-1)
    now = next_logits(engine, ask, applied).argmax(-1)
    found = {"others_unchanged_always_on": float((base == now).float().mean())}
    for name in ("prompts", "held"):
        pairs = [(p, e.fact.object) for e in ledger.entries for p in getattr(e, name)]
        asked = [engine.render([{"role": "user", "content": prompt}]) for prompt, _ in pairs]
        said = greedy_answers(engine, asked, applied, max_new_tokens=12)
        right = [
            engine.decode(tokens).strip().casefold() == wanted.casefold()
            for tokens, (_, wanted) in zip(said, pairs, strict=True)
        ]
        found[f"right_{name}"] = sum(right) / len(right)
    applied.close()
    return found


def all_written(task: Task, optimizers: list[str], *, recompute: bool) -> Iterator[dict[str, Any]]:
    """A row for each way to write; the adapter of the first is served."""
    ways = [replace(task.training, optimizer=name, distill=0.0) for name in optimizers]
    if recompute:
        ways += [replace(ways[0], recompute=True)]
    if task.training.distill:
        ways += [replace(ways[0], distill=task.training.distill)]
    for way in ways:
        try:
            found, row = written(task, way)
        except mneme.MnemeError as error:  # an optimizer that is not installed
            print(f"{way.optimizer}: {error}", flush=True)
            continue
        row |= answers(task, found.adapter) if task.ask else {}
        print(told(row), flush=True)
        yield row | {"adapter": found.adapter}


def told(row: dict[str, Any]) -> str:
    return (
        f"{row['optimizer']:>10}{' recompute' if row['recompute'] else ''}"
        f"{' distilled' if row['distill'] else ''}  peak {row['peak_bytes'] / 1e9:.2f} GB "
        f"of which the floor is {row['floor_bytes'] / 1e9:.2f} "
        f"({row['over_weights_bytes'] / 1e9:+.2f})  {row['steps_per_s']:.2f} steps/s  "
        f"{row['tokens_per_s']:.0f} tokens/s  {row['shard_s']:.1f} s for {row['steps']} steps "
        + (
            f"right {row['right_prompts']:.2f}, held {row['right_held']:.2f}, others kept "
            f"{row['others_unchanged_always_on']:.2f} always on"
            if "right_held" in row
            else ""
        )
    )


# -- keeping and serving


def kept_bytes(task: Task, adapter: Adapter) -> dict[str, float]:
    """Bytes of tensors for each fact, by form."""
    files = {form: pack(adapter, task.ledger, {}, {}, form).files for form in FORMS}
    return {
        form: len(each["adapter_model.safetensors"]) / len(task.ledger)
        for form, each in files.items()
    }


def served(task: Task, adapter: Adapter, *, tokens: int, repeats: int) -> dict[str, Any]:
    """Milliseconds of swaps, prefill and one step of decoding: the base, and mixed batches."""
    engine = task.engine
    slots = Slots(engine, task.training.rank, count=ROWS)
    fitted = slots.fit(adapter)
    swap = median_ms(task, lambda: slots.put(0, fitted), repeats)
    for number in range(ROWS):  # what is in them makes no difference to speed
        slots.put(number, fitted, tag=str(number))
    words = min(engine.model.config.vocab_size, 3000)
    chance = torch.Generator().manual_seed(0)
    drawn = torch.randint(10, words, (ROWS, tokens), generator=chance).tolist()
    ids, mask = padded(drawn, engine.device)
    found: dict[str, Any] = {"swap_from_memory_ms": swap, "slots_bytes": slots.bytes}
    found |= {"rows": ROWS, "prompt_tokens": tokens, "prefill_ms": {}, "decode_ms": {}}

    def prefill(own: list[int | None]) -> None:
        with torch.no_grad(), slots.on(own):
            forward(engine, ids, mask, keep=1)

    for count in (0, 1, 8, 32):
        own: list[int | None] = [at % count if count else None for at in range(ROWS)]
        name = f"{count} adapters" if count else "base"
        found["prefill_ms"][name] = median_ms(task, lambda own=own: prefill(own), repeats)
        found["decode_ms"][name] = decoding_ms(task, slots, own, ids, repeats)
    return found


def decoding_ms(
    task: Task, slots: Slots, own: list[int | None], ids: torch.Tensor, repeats: int
) -> float:
    """One more token for each row of a batch."""
    model = task.engine.model
    with torch.no_grad(), slots.on(own):
        cache = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        last = ids[:, -1:]
        return median_ms(task, lambda: model(input_ids=last, past_key_values=cache), repeats)


# -- all of it


def main() -> None:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    engine, name, said = opened(asked)
    cuda = engine.device.startswith("cuda")
    bank = bank_of(None)
    facts = everyday_facts(asked.facts)
    found = entries_of(facts, bank, known=lambda text: knows(engine, text))
    training = Training(
        rank=asked.rank, steps=asked.steps, batch=asked.batch, distill=asked.distill,
        facts_per_shard=asked.facts, learning_rate=asked.rate,
    )  # fmt: skip
    task = Task(
        engine, bank, FactLedger(tuple(found.entries)), training, cuda, not asked.speed_only
    )
    print(f"{said}; {len(task.ledger)} facts, rank {asked.rank}", flush=True)
    rows = list(all_written(task, asked.optimizer.split(","), recompute=asked.recompute))
    adapter = rows[0]["adapter"]
    result = {
        "what": said,
        "command": f"python benchmarks/parametric_gpu.py {asked.words_said}",
        "machine": machine_facts() | {"cuda": torch.cuda.get_device_name() if cuda else None},
        "facts": len(task.ledger),
        "parameters": sum(each.numel() for each in engine.model.parameters()),
        "rank": asked.rank,
        "adapter_parameters": sum(each.numel() for each in adapter.tensors.values()),
        "rows": [{k: v for k, v in row.items() if k != "adapter"} for row in rows],
        "bytes_for_each_fact": kept_bytes(task, adapter),
        "serving": served(task, adapter, tokens=asked.tokens, repeats=asked.repeats),
    }
    for key in ("bytes_for_each_fact", "serving"):
        print(key, result[key])
    print("wrote", save(f"parametric_gpu_{name}.json", result))


def opened(asked: argparse.Namespace) -> tuple[Any, str, str]:
    """The engine, its name, and what it is in words."""
    device = asked.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if asked.model:
        engine = mneme.engine(asked.model, device=device, dtype=asked.dtype)
        return engine, asked.model.rstrip("/").rsplit("/", 1)[-1], f"{asked.model} on {device}"
    cut = {"num_hidden_layers": asked.layers, "vocab_size": asked.words}
    cut = {field: value for field, value in cut.items() if value}
    dtype = asked.dtype or ("bfloat16" if device.startswith("cuda") else "float32")
    engine = random_engine(asked.shape, device, dtype, **cut)
    less = (
        f", cut to {', '.join(f'{field} {value}' for field, value in cut.items())}" if cut else ""
    )
    whose = SHAPES[asked.shape][0]
    name = f"{asked.shape}_{'cut_' if cut else ''}{device.split(':')[0]}"
    return engine, name, f"the size of {whose}{less}, random weights, {dtype} on {device}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", help="folder of a real model; it is never fetched")
    parser.add_argument("--shape", choices=SHAPES, default="0.5b")
    parser.add_argument("--layers", type=int, help="cut a shape to so many layers")
    parser.add_argument("--words", type=int, help="cut a shape's vocabulary; at least 3,000")
    parser.add_argument("--facts", type=int, default=50)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, help="learning rate; else what suits the optimizer")
    parser.add_argument("--optimizer", default=",".join(NAMES), help="names, joined by commas")
    parser.add_argument("--recompute", action="store_true", help="once more with checkpointing")
    parser.add_argument("--distill", type=float, default=0.0)
    parser.add_argument("--dtype", help="such as bfloat16; else as saved, or float32 on a CPU")
    parser.add_argument("--device")
    parser.add_argument("--tokens", type=int, default=64, help="of each prompt of a served batch")
    parser.add_argument("--speed-only", action="store_true", help="ask nothing of what was written")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    asked = parser.parse_args()
    given = {name: at for name, at in vars(asked).items() if at != parser.get_default(name)}
    asked.words_said = " ".join(
        f"--{name.replace('_', '-')}" + ("" if at is True else f" {at}")
        for name, at in given.items()
    )
    return asked


if __name__ == "__main__":
    main()
