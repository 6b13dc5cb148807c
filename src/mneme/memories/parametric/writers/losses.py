"""What is to be learned, what is to stay, and what the model says when it may read.

In: rows of a course. Out: one loss, with its gradient into what is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.nn import functional

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.batch import forward, last_logits, padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.parametric.training import Course, Lesson, Training

_KEPT_BYTES: Final = 256 << 20  # of what the base says to replayed prompts; beyond: asked each step
_ROWS: Final = 64
_NONE: Final = -100  # no answer here


class Picked(NamedTuple):
    """Which lessons and which replayed prompts make one step."""

    lessons: Sequence[int]
    replay: Sequence[int]


class Losses:
    """Measures an adapter against a course, on one engine.

    The caller holds the engine's lock, and turns the adapter on for all but `teach`.

    Args:
        engine: Whose model runs; made with the adapter off.
        course: Not empty, and within the engine's window.
        training: Its weights of replay and distillation.
        kept_bytes: Most memory for what the base says to replayed prompts.
    """

    def __init__(
        self,
        engine: Engine,
        course: Course,
        training: Training,
        *,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self._engine, self._course, self._training = engine, course, training
        self._kept: Tensor | None = None
        vocabulary = engine.model.get_output_embeddings().weight.shape[0]
        if training.replay and 4 * vocabulary * len(course.replay) <= kept_bytes:
            self._kept = self._ask(course.replay)

    def teach(self, picked: Picked) -> Taught:
        """What the base says to the prompts of one step, the adapter off; without gradient."""
        lessons = [self._course.lessons[at] for at in picked.lessons]
        readers = tuple(at for at, lesson in enumerate(lessons) if lesson.reading)
        replay = reading = None
        with torch.no_grad():
            if picked.replay:
                replay = self._base(picked.replay)
            if self._training.distill and readers:
                reading = self._read([lessons[at] for at in readers])
        return Taught(replay, reading, readers)

    def loss(self, picked: Picked, taught: Taught, past: KV | None) -> Tensor:
        """One number, in one forward pass: answers, replay and distillation.

        Args:
            picked: Of this step.
            taught: What `teach` said of them.
            past: Keys and values before every row.
        """
        lessons = [self._course.lessons[at] for at in picked.lessons]
        asked = [_asked(lesson.prompt, lesson) for lesson in lessons]
        kept = [self._course.replay[at] for at in picked.replay]
        keep = max(len(lesson.answer) for lesson in lessons)
        ids, mask = padded([*asked, *kept], self._engine.device)
        logits = forward(self._engine, ids, mask, past, keep=keep).float()
        said = logits[: len(lessons)].flatten(0, 1)
        total = functional.cross_entropy(
            said, _answers(lessons, keep).to(said.device).flatten(), ignore_index=_NONE
        )
        if taught.replay is not None:
            now = logits[len(lessons) :, -1]
            total = total + self._training.replay * _divergence(now, taught.replay)
        if taught.reading is not None:
            reader = [lessons[at] for at in taught.readers]
            now = _at_answers(logits[list(taught.readers)], reader)
            total = total + self._training.distill * _divergence(now, taught.reading)
        return total

    def right(self, past: KV | None) -> float:
        """Which share of the lessons is answered right, word for word."""
        lessons, good = self._course.lessons, 0
        with torch.no_grad():
            for start in range(0, len(lessons), _ROWS):
                part = lessons[start : start + _ROWS]
                keep = max(len(lesson.answer) for lesson in part)
                ids, mask = padded(
                    [_asked(each.prompt, each) for each in part], self._engine.device
                )
                best = forward(self._engine, ids, mask, past, keep=keep).argmax(-1)
                want = _answers(part, keep).to(best.device)
                good += int(((best == want) | (want == _NONE)).all(-1).sum())
        return good / len(lessons)

    def _base(self, numbers: Sequence[int]) -> Tensor:
        if self._kept is not None:
            return self._kept[list(numbers)]
        return self._ask([self._course.replay[at] for at in numbers])

    def _ask(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Log-probabilities of the base after prompts, float32 [prompts, vocabulary]."""
        with torch.no_grad():
            parts = [
                last_logits(self._engine, prompts[at : at + _ROWS]).log_softmax(-1)
                for at in range(0, len(prompts), _ROWS)
            ]
        return torch.cat(parts) if parts else torch.empty(0)

    def _read(self, lessons: Sequence[Lesson]) -> Tensor:
        """Log-probabilities of the base at the tokens of answers, when it reads the texts first."""
        keep = max(len(lesson.answer) for lesson in lessons)
        rows = [_asked(lesson.reading, lesson) for lesson in lessons]
        ids, mask = padded(rows, self._engine.device)
        logits = forward(self._engine, ids, mask, keep=keep).float()
        return _at_answers(logits, lessons).log_softmax(-1)


class Taught(NamedTuple):
    """What the base says, as log-probabilities.

    replay: [replayed prompts, vocabulary].
    reading: [answer tokens of the readers, vocabulary].
    readers: Which lessons of the step have a reading.
    """

    replay: Tensor | None
    reading: Tensor | None
    readers: tuple[int, ...]


def checked(engine: Engine, course: Course, training: Training) -> None:
    """Refuse what no writer can learn.

    Raises:
        InvalidInputError: There is no lesson, one is empty, one is beyond the window, or a
            setting is out of range.
    """
    if min(training.steps, training.batch) < 1 or min(training.replay, training.distill) < 0:
        raise InvalidInputError("steps and batch must be above 0, replay and distill not below")
    if training.learning_rate is not None and not training.learning_rate > 0:
        raise InvalidInputError("learning_rate must be above 0, or None")
    if not course.lessons:
        raise InvalidInputError("the course has no lessons; there is nothing to write")
    rows = [lesson.prompt + lesson.answer for lesson in course.lessons]
    rows += [lesson.reading + lesson.answer for lesson in course.lessons if lesson.reading]
    parts = [*course.replay, *(part for each in course.lessons for part in each[:2])]
    if not all(parts):
        raise InvalidInputError(
            "a lesson has no prompt or no answer, or a replayed prompt is empty"
        )
    if (longest := max(map(len, [*rows, *course.replay]))) > engine.window:
        raise InvalidInputError(
            f"a row of the course has {longest} tokens, and the model takes {engine.window}; "
            "shorten its prompt or its reading"
        )


def _asked(prompt: Sequence[int], lesson: Lesson) -> tuple[int, ...]:
    return (*prompt, *lesson.answer[:-1])


def _answers(lessons: Sequence[Lesson], keep: int) -> Tensor:
    """The tokens to be answered, long [lessons, keep]."""
    rows = [[_NONE] * (keep - len(each.answer)) + list(each.answer) for each in lessons]
    return torch.tensor(rows)


def _at_answers(logits: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """Of [lessons, keep, vocabulary] the tokens of answers: [answer tokens, vocabulary]."""
    return torch.cat(
        [row[-len(lesson.answer) :] for row, lesson in zip(logits, lessons, strict=True)]
    )


def _divergence(logits: Tensor, base: Tensor) -> Tensor:
    """KL of the base from what is said now, the mean of rows."""
    now = logits.log_softmax(-1)
    return functional.kl_div(now, base, log_target=True, reduction="batchmean")
