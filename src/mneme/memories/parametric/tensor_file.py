"""Tensors as safetensors bytes: written in one order, read as if an enemy had written them.

Written here and not by the library, which orders the metadata at random: equal tensors shall be
equal bytes, since files are named by what is in them. Read here, because a header that lies is to
be refused before any tensor is made, with an error that says what is wrong. The tests hold both
against the library. There is no pickle in the format, and none is ever read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_LONGEST_HEADER: Final = 4 << 20  # bytes; 80 layers with 7 matrices each need 150,000
_MOST_TENSORS: Final = 50_000
_MOST_SIZES: Final = 8  # of a shape
_ALIGNED: Final = 8  # bytes
_NAME: Final = re.compile(r"[A-Za-z0-9_@-]+(\.[A-Za-z0-9_@-]+)*", re.ASCII)  # no "..", no "/"
_LONGEST_NAME: Final = 400
_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
}
_NAMES: Final = {dtype: name for name, dtype in _DTYPES.items()}


class Read(NamedTuple):
    """What a file holds.

    tensors: By name; copies, on the CPU.
    said: Its metadata.
    """

    tensors: dict[str, Tensor]
    said: dict[str, str]


class _Place(NamedTuple):
    """Where a tensor lies, in bytes after the header."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def write(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> bytes:
    """The file; the same tensors and metadata give the same bytes.

    Raises:
        InvalidInputError: A name, a dtype or an empty shape that no reader here would take.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    halves = [tensors[name].detach().cpu().contiguous() for name in order]
    header: dict[str, object] = {"__metadata__": dict(sorted(said.items()))}
    end = 0
    for name, tensor in zip(order, halves, strict=True):
        check_name(name)
        if tensor.dtype not in _NAMES or not tensor.numel():
            raise InvalidInputError(f"tensor {name!r} is empty, or of dtype {tensor.dtype}")
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    numbers = [tensor.view(-1).view(torch.uint8).numpy().tobytes() for tensor in halves]
    return b"".join([len(text).to_bytes(8, "little"), text, *numbers])


def read(data: bytes | memoryview) -> Read:
    """What `write`, or the library, wrote.

    Raises:
        InvalidInputError: It is something else; says what.
    """
    view = memoryview(data).cast("B")
    length = int.from_bytes(view[:8], "little")
    if len(view) < 8 or length > min(_LONGEST_HEADER, len(view) - 8):
        raise InvalidInputError("its header is longer than the file, or than a header may be")
    said, places = _parsed(bytes(view[8 : 8 + length]), len(view) - 8 - length)
    if not places:
        return Read({}, said)
    whole = from_dlpack(np.frombuffer(view[8 + length :], dtype=np.uint8))
    return Read({p.name: _taken(whole, p) for p in places}, said)


def _taken(whole: Tensor, place: _Place) -> Tensor:
    """A copy, so that nobody can change what was checked, and the file can go."""
    return whole[place.start : place.stop].clone().view(place.dtype).view(place.shape)


def _parsed(text: bytes, size: int) -> tuple[dict[str, str], list[_Place]]:
    try:
        header = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("its header is not JSON with every name once") from error
    if not isinstance(header, dict) or len(header) > _MOST_TENSORS:
        raise InvalidInputError("its header is no list of tensors, or too long")
    said = header.pop("__metadata__", {})
    if not isinstance(said, dict) or not all(isinstance(each, str) for each in said.values()):
        raise InvalidInputError("its metadata are not texts")
    places = sorted((_place(*item) for item in header.items()), key=lambda place: place.start)
    end = 0
    for place in places:
        if place.start != end:
            raise InvalidInputError("its tensors overlap, or leave gaps")
        end = place.stop
    if end != size:
        raise InvalidInputError("its tensors do not end where the file ends")
    return said, places


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name stands twice")
    return named


def _place(name: str, said: object) -> _Place:
    check_name(name)
    match said:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [start, stop], **rest}:
            if rest or dtype not in _DTYPES or len(shape) > _MOST_SIZES:
                raise InvalidInputError(f"tensor {name!r} is of an unknown kind")
        case _:
            raise InvalidInputError(f"tensor {name!r} is not described")
    if any(type(number) is not int or number < 0 for number in (start, stop, *shape)):
        raise InvalidInputError(f"tensor {name!r} has sizes that are no counts")
    size = width = _DTYPES[dtype].itemsize
    for count in shape:
        size *= count
    if size == 0 or stop - start != size or start % width:
        raise InvalidInputError(f"tensor {name!r} does not have the bytes of its shape")
    return _Place(name, _DTYPES[dtype], tuple(shape), start, stop)


def check_name(name: str) -> None:
    """Raise InvalidInputError for what no tensor here is called: a path, control characters."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidInputError(f"{name[:80]!r} is no name of a tensor")
