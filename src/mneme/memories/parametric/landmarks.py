"""Where facts are among the states of a model: what a datastore and a memory layer look up by.

All wordings of one question lead a model to states that point nearly the same way. A landmark is
their mean direction and a radius. The radius lies between how far the wordings stray from it and
where the nearest state of something else is (their geometric mean), so what is not asked for is not
touched, not even in its last bit (a deferral radius, as GRACE has it: arXiv 2211.11031).

A landmark follows from its own fact and the replayed prompts alone, to the last bit: taking it away
leaves what would be there had its fact never been said.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.nn import functional

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.batch import forward, padded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Course, Lesson

_ROWS: Final = 16  # replayed prompts of one pass: the logits of all their tokens are computed
_LEAST_SPREAD: Final = 1 / 64  # of the gap: one wording alone does not show how far others stray
_WITHIN: Final = 0.9  # of the gap, at most: the last bits of a state depend on its batch
_STEEP: Final = 4  # closeness stays near 1 up to half of the radius


class Landmark(NamedTuple):
    """One token of the answer to one fact.

    fact: Number of the fact in its course.
    token: That follows.
    key: float32 [size], of length 1: the direction of the state before the token.
    radius: Cosine distance, above 0, from which on nothing is touched.
    """

    fact: int
    token: int
    key: Tensor
    radius: float


def survey(engine: Engine, course: Course, layer: nn.Module) -> list[Landmark]:
    """The landmarks of all tokens of answers that the base does not say by itself.

    Each lesson is computed alone: how rows share a pass moves the last bits.

    Args:
        engine: Its model, with nothing on.
        course: Lessons, and replayed prompts that show where something else is.
        layer: Whose input is the state.

    Raises:
        InvalidInputError: There is nothing to learn, or nothing to stay away from; or the base
            says all of it already.
    """
    if not course.lessons or not course.replay:
        raise InvalidInputError("landmarks need lessons, and replayed prompts to stay away from")
    seen: dict[tuple[int, int], list[tuple[Tensor, int]]] = defaultdict(list)
    unknown: set[tuple[int, int]] = set()
    with engine.lock, torch.no_grad(), _watched(layer) as states:
        for lesson in course.lessons:
            found, said = _answered(engine, lesson, states)
            for place, token in enumerate(lesson.answer):
                seen[lesson.fact, place].append((found[place], token))
                if said[place] != token:
                    unknown.add((lesson.fact, place))
        chosen = {at: rows for at, rows in seen.items() if at in unknown}
        if not chosen:
            raise InvalidInputError("the model gives every answer by itself: nothing to write")
        keys = {at: _direction([state for state, _ in rows]) for at, rows in chosen.items()}
        gaps = _gaps(engine, course.replay, keys, states)
    return [
        Landmark(at[0], rows[0][1], keys[at].cpu(), _radius(keys[at], rows, gaps[at]))
        for at, rows in chosen.items()
    ]


def closeness(states: Tensor, keys: Tensor, radii: Tensor) -> Tensor:
    """How near states are to landmarks: 1 at the key, exactly 0 from the radius on.

    Args:
        states: [..., size], of any length.
        keys: float32 [landmarks, size], of length 1.
        radii: float32 [landmarks].

    Returns:
        float32 [..., landmarks].
    """
    apart = 1 - functional.normalize(states.float(), dim=-1) @ keys.T
    return (1 - (apart.clamp_min(0) / radii) ** _STEEP).clamp_min(0)


class Hooked:
    """An `Applied` (adapter.py) that works by a hook on one layer.

    Args:
        engine: Whose model.
        layer: Of the model.
        hook: As torch calls it after the layer; what it returns replaces the layer's output.
    """

    def __init__(
        self,
        engine: Engine,
        layer: nn.Module,
        hook: Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor],
    ) -> None:
        self._engine, self._layer, self._depth = engine, layer, 0
        self._hook: Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor] | None = hook

    @property
    def past(self) -> None:
        return None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Open within itself, it stays one change."""
        with self._engine.lock:
            if self._hook is None:
                raise InvalidInputError("the adapter was closed; make it ready again with `apply`")
            handle = None if self._depth else self._layer.register_forward_hook(self._hook)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if handle is not None:
                    handle.remove()

    def close(self) -> None:
        with self._engine.lock:
            self._hook = None


def kept(landmarks: Sequence[Landmark]) -> dict[str, Tensor]:
    """Keys and radii as tensors of an adapter."""
    return {
        "keys": torch.stack([each.key for each in landmarks]),
        "radii": torch.tensor([each.radius for each in landmarks]),
    }


def placed(layer: nn.Module, adapter: Adapter, size: int) -> tuple[Tensor, Tensor]:
    """Keys and radii of an adapter on the device of a layer, float32.

    Raises:
        InvalidInputError: Their shapes are not those of a model with states of this size.
    """
    keys, radii = (adapter.tensors.get(name) for name in ("keys", "radii"))
    if keys is None or radii is None or keys.ndim != 2 or keys.shape[1] != size:
        raise InvalidInputError(f"the adapter needs keys [landmarks, {size}] and radii")
    if radii.shape != keys.shape[:1] or not bool((radii > 0).all()):
        raise InvalidInputError(f"{len(keys)} keys need as many radii, all above 0")
    keys = functional.normalize(keys.float(), dim=-1)  # smaller forms round their length
    device = next(layer.parameters()).device
    return keys.to(device), radii.float().to(device)


@contextmanager
def _watched(layer: nn.Module) -> Iterator[list[Tensor]]:
    """While it is open, the list holds the newest input of a layer."""
    states: list[Tensor] = []

    def note(_layer: nn.Module, given: tuple[Tensor, ...], _output: object) -> None:
        states[:] = [given[0].detach().float()]

    handle = layer.register_forward_hook(note)
    try:
        yield states
    finally:
        handle.remove()


def _answered(engine: Engine, lesson: Lesson, states: list[Tensor]) -> tuple[Tensor, list[int]]:
    """The state before each token of an answer, and what the base says in its place."""
    count = len(lesson.answer)
    ids, mask = padded([(*lesson.prompt, *lesson.answer[:-1])], engine.device)
    said = forward(engine, ids, mask, keep=count)[0].argmax(-1).tolist()
    return functional.normalize(states[0][0, -count:], dim=-1), said


def _direction(states: Sequence[Tensor]) -> Tensor:
    return functional.normalize(torch.stack(list(states)).mean(0), dim=-1)


def _gaps(
    engine: Engine,
    replay: Sequence[Sequence[int]],
    keys: Mapping[tuple[int, int], Tensor],
    states: list[Tensor],
) -> dict[tuple[int, int], float]:
    """Cosine distance from each key to the nearest state of a replayed prompt, anywhere in it."""
    gaps = dict.fromkeys(keys, 2.0)
    for start in range(0, len(replay), _ROWS):
        ids, mask = padded(replay[start : start + _ROWS], engine.device)
        forward(engine, ids, mask)
        units = functional.normalize(states[0], dim=-1)[mask.bool().to(states[0].device)]
        for at, key in keys.items():  # one by one: their number must not move the last bits
            gaps[at] = min(gaps[at], 1 - float((units @ key).max()))
    return gaps


def _radius(key: Tensor, rows: Sequence[tuple[Tensor, int]], gap: float) -> float:
    gap = max(gap, torch.finfo(torch.float32).eps)
    stray = max(1 - float(state @ key) for state, _ in rows)
    return min(sqrt(max(stray, gap * _LEAST_SPREAD) * gap), gap * _WITHIN)
