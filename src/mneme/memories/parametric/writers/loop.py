"""The run of training that all writers share: steps, their rate, when to stop, going on later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import process_time, sleep
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from mneme.memories.parametric.checkpoint import Aside, Standing, copied, from_bytes, run_digest
from mneme.memories.parametric.optimizers import build_optimizer, keeps_tensors, made_by, release
from mneme.memories.parametric.writers.frozen import frozen
from mneme.memories.parametric.writers.losses import Losses, Picked, checked

if TYPE_CHECKING:
    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Applied
    from mneme.memories.parametric.training import Course, Run, Training

_WARM_UP: Final = 10  # steps until the rate is at its peak
_LAST_RATE: Final = 0.1  # of the peak, at the last step
_MEMORY: Final = 0.8  # of the moving loss, from step to step
_LOOK: Final = 10  # steps between two looks at whether all is learned


class Pupil(NamedTuple):
    """What is trained, and how it is on.

    weights: float32 leaves by name; the loop turns their gradients on, and changes them in place.
    applied: Computes with these very tensors.
    rate: The peak of the learning rate, if the training does not say.
    enough: The moving loss at which training may stop, once all lessons are answered right.
    kind: The writer and all its settings that `Training` does not name.
    """

    weights: Mapping[str, Tensor]
    applied: Applied
    rate: float
    enough: float
    kind: str


def train(
    engine: Engine, course: Course, training: Training, run: Run, pupil: Pupil
) -> dict[str, float]:
    """Train the pupil's weights in place.

    The engine's lock is held for each step's passes, not between steps: chats go on meanwhile.

    Returns:
        steps, loss, right (share of lessons answered right), cpu_s, resumed_at.

    Raises:
        InvalidInputError: The course has nothing to learn, or the checkpoint is of another run.
        StoreCorruptError: The checkpoint is damaged.
    """
    return _Course(engine, course, training, pupil).run(run)


class _Course:
    """One run."""

    def __init__(self, engine: Engine, course: Course, training: Training, pupil: Pupil) -> None:
        checked(engine, course, training)
        self._engine, self._course, self._training = engine, course, training
        self._pupil, self._began = pupil, process_time()
        kind = f"{pupil.kind} {made_by(training.optimizer)}"
        self._digest = run_digest(engine, course, training, kind)
        self._rate = training.learning_rate or pupil.rate
        for weight in pupil.weights.values():
            weight.requires_grad_()
        self._optimizer = build_optimizer(
            training.optimizer, pupil.weights.values(), rate=self._rate
        )
        with self._passing():
            self._losses = Losses(engine, course, training)
        self._step, self._mean, self._cpu_s = 0, 0.0, 0.0

    def run(self, run: Run) -> dict[str, float]:
        if run.saved is not None:
            self._go_on(from_bytes(run.saved, self._digest))
        resumed_at = self._step
        try:
            self._take_steps(run)
        finally:
            release(self._optimizer)
        with self._passing(), self._pupil.applied.on():
            right = self._losses.right(self._pupil.applied.past)
        return {
            "steps": self._step,
            "loss": self._mean,
            "right": right,
            "cpu_s": self._spent_s(),
            "resumed_at": resumed_at,
        }

    def _take_steps(self, run: Run) -> None:
        steps, done = self._training.steps, False
        with Aside(run.save, run.save_every_s) as aside:
            while self._step < steps and not done:
                loss = self._take_step()
                done = self._learned()
                if run.progress is not None:
                    run.progress(self._step, steps, loss)
                if not done and keeps_tensors(self._training.optimizer):
                    aside.offer(self._standing)

    def _take_step(self) -> float:
        picked = self._picked()
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * scheduled(self._step, self._training.steps)
        with self._passing():
            taught = self._losses.teach(picked)
            with torch.enable_grad(), self._pupil.applied.on():
                loss = self._losses.loss(picked, taught, self._pupil.applied.past)
                loss.backward()  # type: ignore[no-untyped-call]
        sleep(0)  # whoever waits for the lock may have it
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        found = float(loss.detach())
        self._mean = found if not self._step else _MEMORY * self._mean + (1 - _MEMORY) * found
        self._step += 1
        return found

    def _learned(self) -> bool:
        if self._mean > self._pupil.enough or self._step % _LOOK:
            return False
        with self._passing(), self._pupil.applied.on():
            return self._losses.right(self._pupil.applied.past) == 1.0

    def _picked(self) -> Picked:
        """The rows of this step, which follow from the seed and its number alone."""
        seed, size = self._training.seed, self._training.batch
        replay = len(self._course.replay) if self._training.replay else 0
        return Picked(
            drawn(len(self._course.lessons), size, self._step, seed=2 * seed),
            drawn(replay, max(1, size // 2), self._step, seed=2 * seed + 1),
        )

    @contextmanager
    def _passing(self) -> Iterator[None]:
        with self._engine.lock, frozen(self._engine.model, recompute=self._training.recompute):
            yield

    def _spent_s(self) -> float:
        return self._cpu_s + process_time() - self._began

    def _standing(self) -> Standing:
        names, state = self._pupil.weights, self._optimizer.state
        return Standing(
            run=self._digest,
            step=self._step,
            numbers={"mean": self._mean, "cpu_s": self._spent_s()},
            weights={name: copied(weight) for name, weight in names.items()},
            state={name: _kept(state[weight]) for name, weight in names.items()},
        )

    def _go_on(self, at: Standing) -> None:
        for name, weight in self._pupil.weights.items():
            weight.data.copy_(at.weights[name])
            if name in at.state:
                self._optimizer.state[weight] = {
                    key: self._placed(each, weight) for key, each in at.state[name].items()
                }
        self._step, self._mean = at.step, at.numbers["mean"]
        self._cpu_s = at.numbers["cpu_s"]

    def _placed(self, each: Tensor | float, weight: Tensor) -> Tensor | float:
        """Where the optimizer wants it: a count of steps stays on the CPU unless it is fused."""
        if not isinstance(each, torch.Tensor):
            return each
        fused = any(group.get("fused") for group in self._optimizer.param_groups)
        return each.to(weight.device) if each.ndim or fused else each


def scheduled(step: int, steps: int) -> float:
    """Share of the peak rate: rising at first, then falling evenly."""
    return min(1.0, (step + 1) / _WARM_UP) * max(_LAST_RATE, 1 - step / steps)


def drawn(count: int, size: int, step: int, *, seed: int) -> tuple[int, ...]:
    """Which of `count` rows a step takes: each once before any comes again, in a shuffled order.

    Args:
        count: Rows there are.
        size: Rows wanted; no more than there are are given.
        step: From 0.
        seed: Of all chance.
    """
    size = min(size, count)
    found: list[int] = []
    at = step * size
    while len(found) < size:
        shuffled = torch.Generator().manual_seed(seed * 1_000_003 + at // count)
        order = torch.randperm(count, generator=shuffled).tolist()
        found += order[at % count :][: size - len(found)]
        at = step * size + len(found)
    return tuple(found)


def _kept(state: Mapping[str, Tensor | float]) -> dict[str, Tensor | float]:
    return {
        key: copied(each) if isinstance(each, torch.Tensor) else each for key, each in state.items()
    }
