"""A run of training as it stands between two steps: bytes that it goes on from, bit for bit.

The bytes are safetensors: weights, the optimizer's state, and in the header the step, what the run
is of (a digest of base, course and settings), and a digest of the tensors. There is no state of
chance: what a step draws follows from the seed and the step's number.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

import torch

from mneme.core.errors import InvalidInputError, StoreCorruptError
from mneme.memories.parametric.adapter import base_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from types import TracebackType

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.training import Course, Training

_FORMAT: Final = "mneme-training-1"
_WEIGHT, _STATE = "weight.", "state."


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run stands.

    Attributes:
        run: What it is of (`run_digest`).
        step: Steps done.
        numbers: Such as the moving loss; exact.
        weights: What is trained, by name.
        state: What the optimizer keeps: of each weight, by name, tensors and numbers.
    """

    run: str
    step: int
    numbers: Mapping[str, float]
    weights: Mapping[str, Tensor]
    state: Mapping[str, Mapping[str, Tensor | float]]


def run_digest(engine: Engine, course: Course, training: Training, kind: str) -> str:
    """SHA-256 in hex over all that decides what a run gives.

    Args:
        engine: Its base and where it computes: another device rounds otherwise.
        course: The lessons, word for word.
        training: All settings.
        kind: Of the writer and the optimizer, where one name has two ways to work.
    """
    said = [_FORMAT, base_of(engine.fields), engine.fingerprint, kind, asdict(training)]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(json.dumps([course.lessons, course.replay]).encode())
    return digest.hexdigest()


def to_bytes(standing: Standing) -> bytes:
    """Safetensors; the tensors may be on any device."""
    from safetensors.torch import save

    numbers: dict[str, dict[str, float]] = {}
    tensors = {_WEIGHT + name: _plain(each) for name, each in standing.weights.items()}
    for name, kept in standing.state.items():
        for key, each in kept.items():
            if isinstance(each, torch.Tensor):
                tensors[f"{_STATE}{key}.{name}"] = _plain(each)
            else:
                numbers.setdefault(name, {})[key] = each
    said = {"run": standing.run, "step": standing.step, "numbers": dict(standing.numbers)}
    header = {"standing": json.dumps(said | {"state": numbers})}
    return save(tensors, header | {"digest": _digest(header, tensors)})


def from_bytes(data: bytes, run: str) -> Standing:
    """What `to_bytes` wrote.

    Args:
        data: The bytes.
        run: Of what the checkpoint must be.

    Raises:
        StoreCorruptError: The bytes are not what was written.
        InvalidInputError: It is of another run: another base, course or setting.
    """
    tensors, header = _read(data)
    try:
        said = json.loads(header["standing"])
        if header.get("digest") != _digest(header, tensors):
            raise StoreCorruptError("a checkpoint of training is damaged; delete it, start again")
        if said["run"] != run:
            raise InvalidInputError(
                "the checkpoint is of another run: the base, the facts or the settings have "
                "changed; delete it, start again"
            )
        state: dict[str, dict[str, Any]] = {name: dict(at) for name, at in said["state"].items()}
        for name, tensor in tensors.items():
            if name.startswith(_STATE):
                key, weight = name.removeprefix(_STATE).split(".", 1)
                state.setdefault(weight, {})[key] = tensor
        weights = {n.removeprefix(_WEIGHT): t for n, t in tensors.items() if n.startswith(_WEIGHT)}
        return Standing(
            run=run, step=int(said["step"]), numbers=said["numbers"], weights=weights, state=state
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise StoreCorruptError(f"a checkpoint of training cannot be read: {error!r}") from error


class Aside:
    """Keeps checkpoints in a thread of its own, one at a time, while the run goes on.

    What is copied in the run's thread is copied before it goes on; all else happens aside. What
    `save` raises is raised by the next `offer`, or at the end.

    Args:
        save: Given the bytes; None: nothing is kept.
        every_s: Least seconds between two.
    """

    def __init__(self, save: Callable[[bytes], None] | None, every_s: float) -> None:
        self._save, self._every_s = save, every_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._last = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=True)
        if kind is None and self._pending is not None:
            self._pending.result()

    def offer(self, standing: Callable[[], Standing]) -> None:
        """Keep where the run stands, if it is time and the one before is done.

        Args:
            standing: Gives it, with tensors that stay as they are (`copied`).
        """
        if self._save is None or (self._pending is not None and not self._pending.done()):
            return
        if self._pending is not None:
            self._pending.result()
        if monotonic() - self._last >= self._every_s:
            self._pending = self._thread.submit(_keep, self._save, standing())
            self._last = monotonic()


def copied(tensor: Tensor) -> Tensor:
    """On the CPU, and nobody else's."""
    return tensor.detach().to("cpu", copy=True)


def _keep(save: Callable[[bytes], None], standing: Standing) -> None:
    save(to_bytes(standing))


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _digest(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header["standing"].encode())
    for name in sorted(tensors):
        at = tensors[name]
        digest.update(json.dumps([name, str(at.dtype), list(at.shape)]).encode())
        digest.update(at.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and the header's own words."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        return tensors, dict(json.loads(data[8 : 8 + size])["__metadata__"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreCorruptError(f"a checkpoint of training cannot be read: {error!r}") from error
