"""A run as bytes, and what is computed of a course in one step."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, StoreCorruptError, StoreFullError
from mneme.memories.parametric.batch import forward, next_logits, padded
from mneme.memories.parametric.checkpoint import (
    Aside,
    Standing,
    copied,
    from_bytes,
    run_digest,
    to_bytes,
)
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.training import Course, Lesson, Training
from mneme.memories.parametric.writers.losses import Losses, Picked
from mneme.testing.adapters import random_adapter

RUN = "a" * 64
NAMES = st.text("abcdefgh.", min_size=1, max_size=8)
SHAPE = st.lists(st.integers(0, 5), max_size=3)


def numbers(shape: list[int], dtype: torch.dtype, seed: int) -> torch.Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100
    return made.to(dtype)


TENSORS = st.builds(
    numbers, SHAPE, st.sampled_from([torch.float32, torch.bfloat16, torch.uint8]), st.integers(0, 9)
)


def standing(weight: float = 1.0) -> Standing:
    return Standing(
        run=RUN,
        step=3,
        numbers={"mean": 0.1},
        weights={"one": torch.full((4, 3), weight)},
        state={"one": {"first": torch.ones(4, 3), "step": torch.tensor(3.0), "count": 3}},
    )


@settings(deadline=None)
@given(
    weights=st.dictionaries(NAMES, TENSORS, max_size=4),
    step=st.integers(0, 10**9),
    mean=st.floats(allow_nan=False),
    data=st.data(),
)
def test_what_is_kept_comes_back_bit_for_bit(
    weights: dict[str, torch.Tensor], step: int, mean: float, data: st.DataObject
) -> None:
    kept = st.dictionaries(st.text("xyz_", min_size=1), TENSORS | st.integers() | st.floats(0, 1))
    state: dict[str, Any] = {name: data.draw(kept) for name in weights}
    before = Standing(run=RUN, step=step, numbers={"mean": mean}, weights=weights, state=state)
    after = from_bytes(to_bytes(before), RUN)
    assert (after.run, after.step, after.numbers) == (RUN, step, {"mean": mean})
    assert after.weights.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(after.weights[name], tensor)
        assert after.weights[name].dtype == tensor.dtype
    for name, said in state.items():
        found = after.state.get(name, {})
        assert found.keys() == said.keys()
        for key, each in said.items():
            if isinstance(each, torch.Tensor):
                assert torch.equal(found[key], each)  # type: ignore[arg-type]
            else:
                assert found[key] == each


DATA = to_bytes(standing())


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_one_changed_byte_is_never_trained_on(at: int, change: int) -> None:
    spoilt = bytearray(DATA)
    spoilt[at] ^= change
    try:
        found = from_bytes(bytes(spoilt), RUN)
    except StoreCorruptError:
        return
    before = standing()
    assert (found.step, found.numbers) == (before.step, before.numbers)
    assert torch.equal(found.weights["one"], before.weights["one"])
    assert found.state["one"]["count"] == before.state["one"]["count"]
    assert all(torch.equal(*map(torch.as_tensor, pair)) for pair in _pairs(found, before))


def _pairs(one: Standing, other: Standing) -> list[tuple[Any, Any]]:
    return [(one.state["one"][key], other.state["one"][key]) for key in ("first", "step")]


@given(st.integers(0, len(DATA) - 1))
def test_a_part_of_a_checkpoint_is_refused(size: int) -> None:
    with pytest.raises(StoreCorruptError, match="checkpoint of training"):
        from_bytes(DATA[:size], RUN)


def test_another_run_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="of another run"):
        from_bytes(DATA, "b" * 64)


def test_safetensors_of_something_else_are_refused() -> None:
    from safetensors.torch import save

    for metadata in (None, {"format": "pt"}, {"standing": "[1]"}, {"standing": "{}"}):
        with pytest.raises(StoreCorruptError):
            from_bytes(save({"a": torch.ones(2)}, metadata), RUN)


def test_a_digest_is_of_all_that_decides(engine: Engine) -> None:
    course = Course((Lesson((1, 5), (6, 2), 0),), ((1, 7),))
    same = run_digest(engine, course, Training(), "lora")
    assert same == run_digest(engine, course, Training(), "lora")
    others = [
        run_digest(engine, Course(course.lessons, ()), Training(), "lora"),
        run_digest(engine, Course(((Lesson((1, 5), (6, 2), 1)),), course.replay), Training(), ""),
        run_digest(engine, course, Training(seed=1), "lora"),
        run_digest(engine, course, Training(recompute=True), "lora"),
        run_digest(engine, course, Training(), "cartridge"),
    ]
    assert len({same, *others}) == 6


def test_keeping_does_not_hold_the_run_up_and_what_is_kept_is_of_its_time() -> None:
    begun, go_on, kept = threading.Event(), threading.Event(), []

    def slow(data: bytes) -> None:
        begun.set()
        assert go_on.wait(10)
        kept.append(data)

    weight = torch.ones(4, 3)

    def now() -> Standing:
        return Standing(run=RUN, step=1, numbers={}, weights={"one": copied(weight)}, state={})

    with Aside(slow, 0.0) as aside:
        aside.offer(now)
        assert begun.wait(10)
        weight.zero_()
        started = time.monotonic()
        for _ in range(5):
            aside.offer(now)  # the first is not done: these are not kept
        assert time.monotonic() - started < 5
        assert not kept
        go_on.set()
    assert [from_bytes(each, RUN).weights["one"].mean() for each in kept] == [1.0]


def test_nothing_is_kept_before_its_time_or_for_nobody() -> None:
    kept: list[bytes] = []
    with Aside(kept.append, 3600.0) as aside:
        aside.offer(standing)
    with Aside(None, 0.0) as aside:
        aside.offer(standing)
    assert not kept


def test_what_cannot_be_kept_is_said_at_the_end_at_the_latest() -> None:
    def full(_data: bytes) -> None:
        raise StoreFullError("the disk has no room")

    with pytest.raises(StoreFullError), Aside(full, 0.0) as aside:
        aside.offer(standing)
    with pytest.raises(KeyError), Aside(full, 0.0) as aside:  # noqa: PT012
        aside.offer(standing)
        raise KeyError("what went wrong first counts")


LESSONS = (
    Lesson((1, 5, 6, 7), (8, 9, 2), 0, (1, 20, 21, 22, 5, 6, 7)),
    Lesson((1, 10), (11,), 1),
    Lesson((1, 12, 13), (14, 2), 2, (1, 23, 12, 13)),
)
COURSE = Course(LESSONS, ((1, 30, 31), (1, 32), (1, 33, 34, 35, 36)))


def by_hand(engine: Engine, training: Training, adapted: Any) -> float:  # noqa: ANN401
    """The loss of the whole course, a row at a time."""

    def said(prompt: tuple[int, ...], answer: tuple[int, ...], on: Any) -> torch.Tensor:  # noqa: ANN401
        row = (*prompt, *answer[:-1])
        if on is None:
            return forward(engine, *padded([row], "cpu"))[0, -len(answer) :].log_softmax(-1)
        with on.on():
            return forward(engine, *padded([row], "cpu"))[0, -len(answer) :].log_softmax(-1)

    def apart(now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
        return (then.exp() * (then - now)).sum(-1)

    right, read, kept = [], [], []
    for lesson in LESSONS:
        now = said(lesson.prompt, lesson.answer, adapted)
        right.append(-now[torch.arange(len(now)), torch.tensor(lesson.answer)])
        if lesson.reading:
            read.append(apart(now, said(lesson.reading, lesson.answer, None)))
    for at in COURSE.replay:
        kept += [apart(said(at, (0,), adapted), said(at, (0,), None))]
    total = torch.cat(right).mean() + training.replay * torch.cat(kept).mean()
    return float(total + training.distill * torch.cat(read).mean())


@pytest.mark.parametrize("kept_bytes", [0, 1 << 30])
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.5, 0.0), (0.0, 2.0), (2.0, 0.5)])
def test_the_loss_is_what_it_says(
    engine: Engine, kept_bytes: int, weights: tuple[float, float]
) -> None:
    training = Training(replay=weights[0], distill=weights[1])
    applied = LoraCarrier().apply(engine, random_adapter(engine, 0, size=0.05))
    losses = Losses(engine, COURSE, training, kept_bytes=kept_bytes)
    picked = Picked((0, 1, 2), (0, 1, 2) if training.replay else ())
    with torch.no_grad():
        taught = losses.teach(picked)
        with applied.on():
            found = float(losses.loss(picked, taught, None))
        assert found == pytest.approx(by_hand(engine, training, applied), rel=1e-4)


def test_a_lesson_is_right_when_all_its_tokens_are(engine: Engine) -> None:
    prompts = [(1, 5, 6, 7), (1, 10), (1, 12, 13)]
    lessons = []
    for number, prompt in enumerate(prompts):
        first = int(next_logits(engine, [prompt]).argmax())
        second = int(next_logits(engine, [(*prompt, first)]).argmax())
        lessons.append(Lesson(prompt, (first, second), number))
    lessons.append(Lesson(prompts[0], (lessons[0].answer[0],), 0))
    wrong = lessons[1]._replace(answer=(lessons[1].answer[0], lessons[1].answer[1] + 1))
    for taught, share in ((lessons, 1.0), ([*lessons, wrong], 0.8)):
        losses = Losses(engine, Course(tuple(taught), ()), Training())
        assert losses.right(None) == share


def test_cross_entropy_counts_tokens_of_answers_alone(engine: Engine) -> None:
    losses = Losses(engine, Course(LESSONS, ()), Training(replay=0.0))
    with torch.no_grad():
        picked = Picked((1,), ())
        found = losses.loss(picked, losses.teach(picked), None)
        said = next_logits(engine, [LESSONS[1].prompt])
    assert float(found) == pytest.approx(float(functional.cross_entropy(said, torch.tensor([11]))))
