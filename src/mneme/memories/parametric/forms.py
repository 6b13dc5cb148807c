"""Forms of an adapter: with how many bits its numbers are kept.

"fp32" and "bf16" are what peft writes and reads. "int8" and "int4" are Mneme's own and smaller:
symmetric codes (a trained change lies around 0), one step for each run of numbers. A run goes along
the longer side of a matrix, so each of the few components of a low rank has steps of its own,
whichever side it is on. Steps are bfloat16, rounded up before the codes are made. All codes are one
tensor and all steps another, for the names of small tensors take more bytes than their numbers.

In: tensors by name. Out: tensors and metadata of a safetensors file, and back to float32.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.nn.functional import pad

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.tensor_file import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

FORMS: Final = ("fp32", "bf16", "int8", "int4")  # the most faithful first
GROUP: Final = 64  # numbers that share a step in "int4"
_CODES, _STEPS = "codes", "steps"
_SMALLEST: Final = torch.finfo(torch.bfloat16).tiny
_LARGEST: Final = 1e36  # so that steps and sums are numbers


class Coded(NamedTuple):
    """What is written to a file.

    tensors: By name.
    said: The file's metadata; peft wants "format".
    """

    tensors: dict[str, Tensor]
    said: dict[str, str]


def encode(tensors: Mapping[str, Tensor], form: str) -> Coded:
    """Keep tensors in a form.

    Raises:
        InvalidInputError: The form is unknown, or a number is not finite or beyond 1e36.
    """
    check_form(form)
    floats = {name: _finite(name, tensor) for name, tensor in tensors.items()}
    said = {"format": "pt"}
    if form in {"fp32", "bf16"}:
        dtype = torch.float32 if form == "fp32" else torch.bfloat16
        return Coded({name: tensor.to(dtype) for name, tensor in floats.items()}, said)
    if not all(tensor.ndim for tensor in floats.values()):
        raise InvalidInputError(f"a tensor that is a single number cannot be kept as {form!r}")
    coder = _codes8 if form == "int8" else _codes4
    parts = [coder(_Runs.of(tuple(floats[n].shape)).lay(floats[n])) for n in sorted(floats)]
    codes, steps = (torch.cat([part[half].flatten() for part in parts]) for half in (0, 1))
    shapes = {name: list(tensor.shape) for name, tensor in floats.items()}
    said |= {"form": form, "shapes": json.dumps(shapes, sort_keys=True, separators=(",", ":"))}
    return Coded({_CODES: codes, _STEPS: steps}, said)


def decode(coded: Mapping[str, Tensor], said: Mapping[str, str], form: str) -> dict[str, Tensor]:
    """float32 tensors by name.

    Raises:
        InvalidInputError: The form is unknown, the tensors are not in it, or a number is not
            finite.
    """
    check_form(form)
    if form in {"fp32", "bf16"}:
        if any(not tensor.is_floating_point() for tensor in coded.values()):
            raise InvalidInputError(f"its tensors are not in the form {form!r}")
        return {name: _finite(name, tensor) for name, tensor in coded.items()}
    laid = {name: _Runs.of(shape) for name, shape in _shapes(said, form).items()}
    if set(coded) != {_CODES, _STEPS}:
        raise InvalidInputError(f"it is not in the form {form!r}")
    dtype = torch.int8 if form == "int8" else torch.uint8
    sizes = [runs.sizes(form) for runs in laid.values()]
    codes = _split(coded[_CODES], dtype, [count for count, _ in sizes])
    steps = _split(coded[_STEPS], torch.bfloat16, [count for _, count in sizes])
    read = _read8 if form == "int8" else _read4
    return {
        name: _finite(name, runs.unlay(read(own, step, runs)))
        for (name, runs), own, step in zip(laid.items(), codes, steps, strict=True)
    }


def check_form(form: str) -> None:
    """Raise InvalidInputError for an unknown form."""
    if form not in FORMS:
        raise InvalidInputError(f"form {form!r} is unknown; known: {', '.join(FORMS)}")


def _finite(name: str, tensor: Tensor) -> Tensor:
    floats = tensor.detach().cpu().float()
    if not floats.numel():
        raise InvalidInputError(f"tensor {name!r} is empty")
    low, high = torch.aminmax(floats)
    if not (float(low) >= -_LARGEST and float(high) <= _LARGEST):  # NaN is neither
        raise InvalidInputError(f"tensor {name!r} has numbers that are not within {_LARGEST:g}")
    return floats


class _Runs(NamedTuple):
    """How a tensor is laid in runs along its longer side."""

    shape: tuple[int, ...]
    lines: int
    length: int
    is_turned: bool

    @staticmethod
    def of(shape: tuple[int, ...]) -> _Runs:
        rows = shape[0] if len(shape) > 1 else 1
        columns = math.prod(shape[1:] if len(shape) > 1 else shape)
        return _Runs(shape, min(rows, columns), max(rows, columns), rows > columns)

    def lay(self, tensor: Tensor) -> Tensor:
        """[lines, length]."""
        flat = tensor.reshape(-1, self.lines if self.is_turned else self.length)
        return flat.T.contiguous() if self.is_turned else flat

    def unlay(self, runs: Tensor) -> Tensor:
        return (runs.T if self.is_turned else runs).reshape(self.shape).contiguous()

    def sizes(self, form: str) -> tuple[int, int]:
        """How many codes (for "int4", pairs of codes) and steps there are."""
        if form == "int8":
            return self.lines * self.length, self.lines
        return self.lines * -(-self.length // 2), self.lines * -(-self.length // GROUP)


def _step(runs: Tensor, most: int) -> Tensor:
    """The least bfloat16 at which codes up to `most` reach the largest number of each run."""
    step = (runs.abs().amax(-1, keepdim=True) / most).clamp_(min=_SMALLEST)
    return ((step.view(torch.int32) + 0xFFFF) & -0x10000).view(torch.float32)


def _codes8(runs: Tensor) -> tuple[Tensor, Tensor]:
    """int8 [runs, length], from -127 to 127, and bfloat16 [runs, 1]."""
    step = _step(runs, 127)
    codes = (runs / step).round_().clamp_(-127, 127)
    return codes.to(torch.int8), step.to(torch.bfloat16)


def _read8(codes: Tensor, steps: Tensor, runs: _Runs) -> Tensor:
    return codes.view(runs.lines, runs.length).float() * steps.view(runs.lines, 1).float()


def _codes4(runs: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 [runs, half of the length], the first of a pair low; bfloat16 [runs, groups]."""
    count, length = runs.shape
    grouped = pad(runs, (0, -length % GROUP)).view(count, -1, GROUP)
    step = _step(grouped, 7)
    codes = ((grouped / step).round_().clamp_(-7, 7) + 8).to(torch.uint8)
    flat = codes.view(count, -1)[:, : length + length % 2]
    return flat[:, ::2] | flat[:, 1::2] << 4, step[..., 0].to(torch.bfloat16)


def _read4(pairs: Tensor, steps: Tensor, runs: _Runs) -> Tensor:
    pairs = pairs.view(runs.lines, -1)
    codes = torch.stack((pairs & 15, pairs >> 4), -1).view(runs.lines, -1)[:, : runs.length]
    wide = steps.view(runs.lines, -1).float().repeat_interleave(GROUP, dim=1)[:, : runs.length]
    return (codes.float() - 8) * wide


def _split(tensor: Tensor, dtype: torch.dtype, sizes: list[int]) -> tuple[Tensor, ...]:
    if tensor.dtype != dtype or tuple(tensor.shape) != (sum(sizes),):
        raise InvalidInputError("its codes or steps are not as many as its shapes want")
    return torch.split(tensor, sizes)


def _shapes(said: Mapping[str, str], form: str) -> dict[str, tuple[int, ...]]:
    try:
        named = json.loads(said.get("shapes", ""))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("its metadata do not say the shapes of its tensors") from error
    if said.get("form") != form or not isinstance(named, dict):
        raise InvalidInputError(f"it is not in the form {form!r}")
    for name in named:
        check_name(name)
    return {name: _shape(named[name]) for name in sorted(named)}


def _shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, list) or not shape or len(shape) > 8:
        raise InvalidInputError("its metadata name shapes that cannot be")
    if any(type(size) is not int or not 0 < size < 1 << 40 for size in shape):
        raise InvalidInputError("its metadata name shapes that cannot be")
    return tuple(shape)
