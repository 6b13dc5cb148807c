"""Forms of an adapter: with how many bits its numbers are kept.

"fp32" and "bf16" are what peft writes and reads. "int8" and "int4" are Mneme's own and smaller:
symmetric codes (a trained change lies around 0), one step for each run of numbers. A run goes along
the longer side of a matrix, so each of the few components of a low rank has steps of its own,
whichever side it is on. Steps are bfloat16, rounded up before the codes are made.

In: tensors by name. Out: tensors and metadata of a safetensors file, and back to float32.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.nn.functional import pad

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

FORMS: Final = ("fp32", "bf16", "int8", "int4")  # the most faithful first
GROUP: Final = 64  # numbers that share a step in "int4"
_STEPS: Final = "@steps"
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
    coded: dict[str, Tensor] = {}
    for name, tensor in floats.items():
        runs = _runs(tensor)
        codes, steps = _codes8(runs) if form == "int8" else _codes4(runs)
        coded |= {name: codes, name + _STEPS: steps}
    if len(coded) != 2 * len(floats) or not all(tensor.ndim for tensor in floats.values()):
        raise InvalidInputError(f"a tensor is a single number, or its name ends with {_STEPS!r}")
    shapes = {name: list(tensor.shape) for name, tensor in floats.items()}
    said |= {"form": form, "shapes": json.dumps(shapes, sort_keys=True, separators=(",", ":"))}
    return Coded(coded, said)


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
    shapes = _shapes(said, form)
    if set(coded) != set(shapes) | {name + _STEPS for name in shapes}:
        raise InvalidInputError("its tensors are other ones than its metadata say")
    read = _read8 if form == "int8" else _read4
    return {
        name: _finite(name, _whole(read(coded[name], coded[name + _STEPS], shape), shape))
        for name, shape in shapes.items()
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


def _runs(tensor: Tensor) -> Tensor:
    """A tensor as [runs, length], along its longer side."""
    flat = tensor.reshape(tensor.shape[0] if tensor.ndim > 1 else 1, -1)
    return flat.T.contiguous() if _turned(flat.shape[0], flat.shape[1]) else flat


def _whole(runs: Tensor, shape: tuple[int, ...]) -> Tensor:
    rows, columns = _sides(shape)
    return (runs.T if _turned(rows, columns) else runs).reshape(shape).contiguous()


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = (shape[0] if len(shape) > 1 else 1), 1
    for size in shape[1:] if len(shape) > 1 else shape:
        columns *= size
    return rows, columns


def _turned(rows: int, columns: int) -> bool:
    return rows > columns


def _run_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = _sides(shape)
    return (columns, rows) if _turned(rows, columns) else (rows, columns)


def _step(runs: Tensor, most: int) -> Tensor:
    """The least bfloat16 at which codes up to `most` reach the largest number of each run."""
    step = (runs.abs().amax(-1, keepdim=True) / most).clamp_(min=_SMALLEST)
    return ((step.view(torch.int32) + 0xFFFF) & -0x10000).view(torch.float32)


def _codes8(runs: Tensor) -> tuple[Tensor, Tensor]:
    """int8 [runs, length], from -127 to 127, and bfloat16 [runs, 1]."""
    step = _step(runs, 127)
    codes = (runs / step).round_().clamp_(-127, 127)
    return codes.to(torch.int8), step.to(torch.bfloat16)


def _read8(codes: Tensor, steps: Tensor, shape: tuple[int, ...]) -> Tensor:
    runs, length = _run_shape(shape)
    _expect(codes, torch.int8, (runs, length))
    _expect(steps, torch.bfloat16, (runs, 1))
    return codes.float() * steps.float()


def _codes4(runs: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 [runs, half of the length], the first of a pair low; bfloat16 [runs, groups]."""
    count, length = runs.shape
    groups, group = _groups(length)
    grouped = pad(runs, (0, groups * group - length)).view(count, groups, group)
    step = _step(grouped, 7)
    codes = ((grouped / step).round_().clamp_(-7, 7) + 8).to(torch.uint8)
    flat = codes.view(count, -1)[:, :length]
    flat = pad(flat, (0, length % 2), value=8)
    return flat[:, ::2] | flat[:, 1::2] << 4, step[..., 0].to(torch.bfloat16)


def _read4(pairs: Tensor, steps: Tensor, shape: tuple[int, ...]) -> Tensor:
    runs, length = _run_shape(shape)
    groups, group = _groups(length)
    _expect(pairs, torch.uint8, (runs, (length + 1) // 2))
    _expect(steps, torch.bfloat16, (runs, groups))
    codes = torch.stack((pairs & 15, pairs >> 4), -1).view(runs, -1)[:, :length]
    wide = steps.float().repeat_interleave(group, dim=1)[:, :length]
    return (codes.float() - 8) * wide


def _groups(length: int) -> tuple[int, int]:
    """How many groups, and how long: a single one may be shorter."""
    group = min(length, GROUP)
    return -(-length // group), group


def _expect(tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if tensor.dtype != dtype or tuple(tensor.shape) != shape:
        raise InvalidInputError("a tensor of codes or steps does not have the size that it must")


def _shapes(said: Mapping[str, str], form: str) -> dict[str, tuple[int, ...]]:
    try:
        named = json.loads(said.get("shapes", ""))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("its metadata do not say the shapes of its tensors") from error
    if said.get("form") != form or not isinstance(named, dict):
        raise InvalidInputError(f"it is not in the form {form!r}")
    return {str(name): _shape(shape) for name, shape in named.items()}


def _shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, list) or not shape or len(shape) > 8:
        raise InvalidInputError("its metadata name shapes that cannot be")
    if any(type(size) is not int or not 0 < size < 1 << 40 for size in shape):
        raise InvalidInputError("its metadata name shapes that cannot be")
    return tuple(shape)
