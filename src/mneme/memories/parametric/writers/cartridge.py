"""A prefix of keys and values, trained on a course (Cartridges, arXiv 2506.06266).

Keys and values are trained themselves, without a network that makes them. They start as what the
base computes for the first words of the lessons: from there training is stable, and the first of
them take the attention that a model gives to whatever comes first.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Final

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.cartridge import (
    NAME,
    TENSOR,
    cartridge_config,
    check_suited,
    packed,
    prefix_shape,
    unpacked,
)
from mneme.memories.parametric.training import Written
from mneme.memories.parametric.writers.loop import Pupil, train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.parametric.cartridge import PrefixShape
    from mneme.memories.parametric.training import Course, Lesson, Run, Training

_RATE: Final = 0.8  # of the size that keys or values of a layer have
_ENOUGH: Final = 0.03


class CartridgeWriter:
    """The `Writer` "cartridge" (training.py); `Training.rank` is its length in tokens."""

    @property
    def name(self) -> str:
        return NAME

    def write(self, engine: Engine, course: Course, training: Training, run: Run) -> Written:
        check_suited(engine)
        _check(engine, course, training)
        start = _read(engine, first_words(course, training.rank))
        prefix = _Prefix(engine, start)
        pupil = Pupil(prefix.weights, prefix, _RATE, _ENOUGH, kind=NAME)
        figures = train(engine, course, training, run, pupil)
        adapter = Adapter(
            carrier=NAME,
            base=base_of(engine.fields),
            config=cartridge_config(prefix_shape(start), training.rank),
            tensors={TENSOR: prefix.flat().detach().cpu().contiguous()},
        )
        return Written(adapter, figures)


def first_words(course: Course, count: int) -> list[int]:
    """Tokens of one lesson of each fact after another, and from the first again if need be."""
    one: dict[int, Lesson] = {}
    for lesson in course.lessons:
        one.setdefault(lesson.fact, lesson)
    words = chain.from_iterable(lesson.prompt + lesson.answer for lesson in one.values())
    return list(islice(cycle(words), count))


class _Prefix:
    """The `Applied` that is trained: what was read, and a change of it in units of its size.

    Keys and values of one layer may be ten times as large as those of another: so one learning
    rate suits all.
    """

    def __init__(self, engine: Engine, start: KV) -> None:
        self._engine, self._shape = engine, prefix_shape(start)
        self._start = packed(start).float()
        self._unit = _sizes(self._start, self._shape)
        self.weights = {TENSOR: torch.zeros_like(self._start)}

    def flat(self) -> Tensor:
        return self._start + self._unit * self.weights[TENSOR]

    @property
    def past(self) -> KV:
        return unpacked(self.flat(), self._shape)

    @contextmanager
    def on(self) -> Iterator[None]:
        with self._engine.lock:
            yield

    def close(self) -> None:
        self.weights.clear()


def _sizes(flat: Tensor, shape: PrefixShape) -> Tensor:
    """The root mean square of the keys, and of the values, of each layer: [1, width]."""
    parts = flat.view(len(flat), 2 * shape.layers, -1)
    sizes = parts.square().mean(dim=(0, 2)).sqrt()
    return sizes.repeat_interleave(parts.shape[-1])[None]


def _read(engine: Engine, tokens: list[int]) -> KV:
    session = engine.session(record=True)
    session.feed(tokens)
    return session.recorded()


def _check(engine: Engine, course: Course, training: Training) -> None:
    if not course.lessons:
        raise InvalidInputError("the course has no lessons; there is nothing to write")
    if training.recompute:
        raise InvalidInputError(
            "a cartridge is a cache, and blocks that are computed again take none; "
            "train it without recompute"
        )
    rows = [lesson.prompt + lesson.answer for lesson in course.lessons]
    longest = max(map(len, [*rows, *course.replay]))
    if not 1 <= training.rank <= engine.window - longest:
        raise InvalidInputError(
            f"a cartridge of {training.rank} tokens does not suit a window of {engine.window} in "
            f"which prompts and answers take {longest}; set rank to its length in tokens"
        )
