"""The writer "lora": what it teaches, what it leaves alone, and how it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, StoreFullError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import greedy_answers, next_logits
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.training import UNWATCHED, Course, Lesson, Run, Training, Written
from mneme.memories.parametric.writers import NAMES, build_carrier, build_writer
from mneme.memories.parametric.writers.frozen import frozen
from mneme.memories.parametric.writers.loop import drawn, scheduled
from mneme.memories.parametric.writers.lora import LoraWriter
from mneme.testing.fact_world import (
    HELD,
    WRITTEN,
    WorldFact,
    course_of,
    new_facts,
    prompt_of,
)
from mneme.testing.tiny_models import tiny_model

SHORT = Training(steps=12, batch=16)


def share_right(
    engine: Engine,
    facts: Sequence[WorldFact],
    adapter: Adapter | None,
    numbers: Sequence[int] = range(6),
) -> float:
    applied = None if adapter is None else LoraCarrier().apply(engine, adapter)
    prompts = [prompt_of(engine, prompt) for fact in facts for prompt in fact.prompts(numbers)]
    said = greedy_answers(engine, prompts, applied, max_new_tokens=2)
    wanted = [engine.encode(fact.object) for fact in facts for _ in numbers]
    return sum(a == b for a, b in zip(said, wanted, strict=True)) / len(wanted)


def same(one: Adapter, other: Adapter) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items()
    )


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 12, seed=3)


@pytest.fixture(scope="module")
def short(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Course:
    return course_of(engine, facts, world[:20])


@pytest.fixture(scope="module")
def whole(engine: Engine, short: Course) -> Written:
    """An uninterrupted run."""
    return LoraWriter().write(engine, short, SHORT, UNWATCHED)


def test_facts_are_known_in_words_never_written_and_the_base_is_as_it_was(
    engine: Engine, world: list[WorldFact], facts: list[WorldFact]
) -> None:
    prompts = [prompt_of(engine, world[0].prompts()[0])]
    before = next_logits(engine, prompts)
    weights = {name: each.clone() for name, each in engine.model.state_dict().items()}
    assert share_right(engine, facts, None) < 0.2
    made = build_writer("lora").write(
        engine, course_of(engine, facts, world[:120]), Training(seed=1), UNWATCHED
    )
    assert share_right(engine, facts, made.adapter, WRITTEN) == 1.0
    assert share_right(engine, facts, made.adapter, HELD) >= 0.95
    assert share_right(engine, world[:120], made.adapter) == 1.0, "replayed answers were lost"
    assert made.figures["right"] == 1.0
    assert made.figures["steps"] <= 120
    assert torch.equal(next_logits(engine, prompts), before)
    assert all(torch.equal(each, weights[name]) for name, each in engine.model.state_dict().items())
    assert all(each.dtype == torch.float32 for each in made.adapter.tensors.values())


def test_without_replay_more_is_lost(
    engine: Engine, world: list[WorldFact], facts: list[WorldFact]
) -> None:
    taught = course_of(engine, facts, world[:120])
    kept, lost = (
        LoraWriter().write(engine, taught, Training(replay=weight, steps=30), UNWATCHED)
        for weight in (1.0, 0.0)
    )
    others = world[120:180]
    assert share_right(engine, others, kept.adapter) > share_right(engine, others, lost.adapter)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    engine: Engine, short: Course, whole: Written
) -> None:
    again = LoraWriter().write(engine, short, SHORT, UNWATCHED)
    assert same(again.adapter, whole.adapter)
    other = LoraWriter().write(engine, short, Training(steps=12, batch=16, seed=1), UNWATCHED)
    assert not same(other.adapter, whole.adapter)


def test_training_stops_once_all_is_learned(engine: Engine, facts: list[WorldFact]) -> None:
    told: list[tuple[int, int, float]] = []
    run = Run(progress=lambda *each: told.append(each))
    made = LoraWriter(enough=0.5).write(engine, course_of(engine, facts[:3]), Training(), run)
    assert made.figures["right"] == 1.0
    assert made.figures["steps"] < 120
    assert [step for step, _, _ in told] == list(range(1, int(made.figures["steps"]) + 1))
    assert {steps for _, steps, _ in told} == {120}
    assert told[-1][2] < told[0][2]


class _EnoughError(Exception):
    """Raised to interrupt."""


def until(step: int, kept: list[bytes] | None = None) -> Run:
    def progress(done: int, _steps: int, _loss: float) -> None:
        if done == step:
            raise _EnoughError

    return Run(progress=progress, save=None if kept is None else kept.append, save_every_s=0.0)


def _marks(engine: Engine) -> object:
    model = engine.model
    return (
        [each.requires_grad for each in model.parameters()],
        [each.grad is None for each in model.parameters()],
        [each.training for each in model.modules()],
        [getattr(each, "gradient_checkpointing", None) for each in model.modules()],
        ["_gradient_checkpointing_func" in vars(each) for each in model.modules()],
        [len(each._forward_hooks) for each in model.modules()],
    )


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("recompute", [False, True])
def test_an_interruption_leaves_the_model_as_it_was(
    judge: Callable[[str], Path], short: Course, step: int, recompute: bool
) -> None:
    engine = mneme.engine(judge("facts"))
    first = next(engine.model.parameters())
    first.requires_grad_()
    engine.model.model.layers[1].training = True
    marks, before = _marks(engine), next_logits(engine, [short.lessons[0].prompt])
    training = Training(steps=12, batch=16, recompute=recompute)
    with pytest.raises(_EnoughError):
        LoraWriter().write(engine, short, training, until(step))
    assert _marks(engine) == marks
    assert torch.equal(next_logits(engine, [short.lessons[0].prompt]), before)


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "adamw8bit", "galore", "lomo"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    engine: Engine, short: Course, optimizer: str
) -> None:
    training = Training(steps=12, batch=16, optimizer=optimizer)
    expected = LoraWriter().write(engine, short, training, UNWATCHED)
    kept: list[bytes] = []
    with pytest.raises(_EnoughError):
        LoraWriter().write(engine, short, training, until(7, kept))
    assert kept
    made = LoraWriter().write(engine, short, training, Run(saved=kept[-1]))
    assert 1 <= made.figures["resumed_at"] <= 6
    assert made.figures["steps"] == 12
    assert same(made.adapter, expected.adapter)
    assert made.figures["loss"] == expected.figures["loss"]


def test_every_checkpoint_leads_to_the_same_bits(
    engine: Engine, short: Course, whole: Written
) -> None:
    kept: list[bytes] = []
    made = LoraWriter().write(engine, short, SHORT, Run(save=kept.append, save_every_s=0.0))
    assert same(made.adapter, whole.adapter), "keeping checkpoints changed the run"
    assert kept
    for data in (kept[0], kept[len(kept) // 2], kept[-1]):
        assert same(
            LoraWriter().write(engine, short, SHORT, Run(saved=data)).adapter, whole.adapter
        )


_KILLED = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
import mneme
from mneme.memories.parametric.training import Run
from mneme.memories.parametric.writers.lora import LoraWriter
from mneme.testing.fact_world import course_of, known_facts, new_facts
sys.path.insert(0, sys.argv[3])
from test_writer import SHORT

folder, kept, step = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[4])
engine, world = mneme.engine(folder), known_facts(folder)
taught = course_of(engine, new_facts(world, 12, seed=3), world[:20])

def save(data):
    aside = kept.with_suffix(".new")
    aside.write_bytes(data)
    aside.replace(kept)

def progress(done, steps, loss):
    if done >= step and kept.exists():
        os.kill(os.getpid(), signal.SIGKILL)

LoraWriter().write(engine, taught, SHORT, Run(progress=progress, save=save, save_every_s=0.0))
"""


def test_a_killed_run_goes_on_to_the_same_bits(
    engine: Engine, judge: Callable[[str], Path], short: Course, whole: Written, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    given = [str(judge("facts")), str(kept), str(Path(__file__).parent), "6"]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *given], check=False)
    assert killed.returncode == -signal.SIGKILL
    made = LoraWriter().write(engine, short, SHORT, Run(saved=kept.read_bytes()))
    assert made.figures["resumed_at"] >= 1
    assert same(made.adapter, whole.adapter)


@pytest.fixture(scope="module")
def checkpoint(engine: Engine, short: Course) -> bytes:
    kept: list[bytes] = []
    with pytest.raises(_EnoughError):
        LoraWriter().write(engine, short, SHORT, until(4, kept))
    return kept[-1]


@pytest.mark.parametrize(
    "training",
    [
        Training(steps=13, batch=16),
        Training(steps=12, batch=16, seed=1),
        Training(steps=12, batch=16, rank=1),
        Training(steps=12, batch=16, optimizer="adafactor"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(
    engine: Engine, short: Course, checkpoint: bytes, training: Training
) -> None:
    with pytest.raises(InvalidInputError, match="of another run"):
        LoraWriter().write(engine, short, training, Run(saved=checkpoint))


def test_a_checkpoint_of_another_course_writer_or_base_is_refused(
    engine: Engine, short: Course, checkpoint: bytes, tmp_path: Path
) -> None:
    fewer = Course(short.lessons[1:], short.replay)
    other = mneme.engine(tiny_model("llama", tmp_path / "model"))
    for at, taught, writer in (
        (engine, fewer, LoraWriter()),
        (engine, short, LoraWriter(scale=4.0)),
        (engine, short, LoraWriter(["down_proj"])),
        (other, short, LoraWriter()),
    ):
        with pytest.raises(InvalidInputError, match="of another run"):
            writer.write(at, taught, SHORT, Run(saved=checkpoint))


def test_a_checkpoint_that_cannot_be_kept_stops_the_run(engine: Engine, short: Course) -> None:
    def full(_data: bytes) -> None:
        raise StoreFullError("the disk has no room")

    with pytest.raises(StoreFullError):
        LoraWriter().write(engine, short, SHORT, Run(save=full, save_every_s=0.0))


def test_chats_go_on_with_the_base_while_facts_are_written(engine: Engine, short: Course) -> None:
    prompts = [lesson.prompt for lesson in short.lessons[:2]]
    before = next_logits(engine, prompts)
    done, found = threading.Event(), []

    def chat() -> None:
        while not done.is_set():
            found.append(torch.equal(next_logits(engine, prompts), before))

    other = threading.Thread(target=chat)
    seen: list[int] = []
    other.start()
    try:
        run = Run(progress=lambda *_: seen.append(len(found)))
        LoraWriter().write(engine, short, Training(steps=25, batch=16), run)
    finally:
        done.set()
        other.join()
    assert all(found)
    assert len(set(seen)) >= 5, "no chat got through between the steps"


def test_computing_again_changes_nothing_but_memory(engine: Engine, short: Course) -> None:
    calls: list[int] = []
    layer = engine.model.model.layers[0].mlp
    hook = layer.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        training = Training(steps=2, batch=16, replay=0.0)
        plain = LoraWriter().write(engine, short, training, UNWATCHED)
        once = len(calls)
        training = Training(steps=2, batch=16, replay=0.0, recompute=True)
        again = LoraWriter().write(engine, short, training, UNWATCHED)
    finally:
        hook.remove()
    assert len(calls) - once == once + 2, "blocks were not computed again in the backward pass"
    assert same(plain.adapter, again.adapter)


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "qwen3", "phi3"])
def test_other_families_learn(family: str, tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model(family, tmp_path / "model"))
    lessons = tuple(Lesson((10 + at, 20 + at, 30), (40 + at, 50 + at, 2), at) for at in range(4))
    taught = Course(lessons, ((7, 8, 9), (9, 9)))
    before = next_logits(engine, [lessons[0].prompt])
    for recompute in (False, True):
        training = Training(steps=60, rank=4, recompute=recompute)
        made = LoraWriter().write(engine, taught, training, UNWATCHED)
        assert made.figures["right"] == 1.0
        applied = LoraCarrier().apply(engine, made.adapter)
        said = greedy_answers(engine, [each.prompt for each in lessons], applied)
        assert said == [list(each.answer[:-1]) for each in lessons]
    assert torch.equal(next_logits(engine, [lessons[0].prompt]), before)


def test_a_model_in_half_precision_is_taught_in_full(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("llama", tmp_path / "model"), dtype="bfloat16")
    lessons = tuple(Lesson((10 + at, 20 + at), (40 + at, 2), at) for at in range(4))
    training = Training(steps=60, rank=4)
    made = LoraWriter().write(engine, Course(lessons, ((7, 8),)), training, UNWATCHED)
    assert made.figures["right"] == 1.0
    assert all(each.dtype == torch.float32 for each in made.adapter.tensors.values())


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (Training(rank=0), "rank 0"),
        (Training(rank=4096), "rank 4096"),
        (Training(steps=0), "steps and batch"),
        (Training(batch=0), "steps and batch"),
        (Training(replay=-1.0), "replay and distill"),
        (Training(learning_rate=0.0), "learning_rate must be above 0"),
        (Training(optimizer="sgd"), "no optimizer 'sgd'; there are adamw"),
    ],
)
def test_settings_out_of_range_are_refused(
    engine: Engine, short: Course, training: Training, said: str
) -> None:
    marks = _marks(engine)
    with pytest.raises(InvalidInputError, match=said):
        LoraWriter().write(engine, short, training, UNWATCHED)
    assert _marks(engine) == marks


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (Course((), ()), "no lessons"),
        (Course((Lesson((), (5,), 0),), ()), "no prompt or no answer"),
        (Course((Lesson((5,), (), 0),), ()), "no prompt or no answer"),
        (Course((Lesson((5,), (6,), 0),), ((),)), "replayed prompt is empty"),
        (Course((Lesson((5,) * 64, (6,), 0),), ()), "65 tokens, and the model takes 64"),
        (Course((Lesson((5,), (6,), 0, (5,) * 64),), ()), "65 tokens"),
    ],
)
def test_courses_that_teach_nothing_are_refused(engine: Engine, spoilt: Course, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        LoraWriter().write(engine, spoilt, Training(), UNWATCHED)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 30), st.integers(0, 5))
def test_each_row_comes_once_before_any_comes_again(
    count: int, size: int, step: int, seed: int
) -> None:
    rows = [row for at in range(step + 1) for row in drawn(count, size, at, seed=seed)]
    assert rows == [row for at in range(step + 1) for row in drawn(count, size, at, seed=seed)]
    for at in range(0, len(rows) - count + 1, count):
        assert sorted(rows[at : at + count]) == list(range(count))


def test_nothing_is_drawn_from_nothing() -> None:
    assert drawn(0, 8, 3, seed=0) == ()


@given(st.integers(1, 500), st.data())
def test_the_rate_rises_and_falls_within_its_peak(steps: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < scheduled(step, steps) <= 1
    assert step < 10 or scheduled(step, steps) <= scheduled(step - 1, steps)


def test_names_are_known() -> None:
    assert "lora" in NAMES
    for name in NAMES:
        assert build_writer(name).name == name
    assert build_carrier("lora").name == "lora"
    with pytest.raises(InvalidInputError, match="no writer 'qlora'; there are lora"):
        build_writer("qlora")
    with pytest.raises(InvalidInputError, match="no carrier 'qlora'"):
        build_carrier("qlora")


def test_a_model_whose_blocks_cannot_be_computed_again_says_so() -> None:
    with pytest.raises(UnsuitedModelError, match="Linear cannot compute its blocks again"):
        frozen(torch.nn.Linear(2, 2), recompute=True).__enter__()
