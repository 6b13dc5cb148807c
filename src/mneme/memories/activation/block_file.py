"""The file of one block: safetensors bytes, whose header says what it is.

Written here and not by the library, which orders the metadata at random: the same block shall be
the same bytes. Read here and not by the library, which copies: what `unpack` gives are views of
the caller's buffer, which may be a mapped file. The tests hold both against the library.

Nothing is computed with a file whose checksum is not the row's; and with the right checksum, a
header that lies is refused before any tensor is made.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import xxhash
from torch.utils.dlpack import from_dlpack

from mneme.core.errors import BlockDamagedError, InvalidInputError
from mneme.memories.activation.codecs import codec_of, is_cuttable
from mneme.memories.activation.kv import Held, tokens_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mneme.core.engine import KV

LAYOUT = "1"
_LONGEST_HEADER = 1 << 20  # bytes; a model of 200 layers of different shapes needs 100,000
_ALIGNED = 64  # bytes: where the numbers begin
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_POSITIONS = "positions"


class _Place(NamedTuple):
    """Where a tensor lies, in bytes after the header."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class _Header(NamedTuple):
    """What a header says, where the tensors lie, and where the numbers begin."""

    said: Mapping[str, object]
    places: tuple[_Place, ...]
    start: int


def pack(held: Held, form: str) -> bytes:
    """The file of a block; the same block gives the same bytes.

    Raises:
        InvalidInputError: The form is unknown, its codec cannot hold the numbers, or tokens were
            left out and the form names no policy.
    """
    tensors = codec_of(form).encode(held.kv)
    if held.positions is not None:
        _check_positions(held.positions, held.kv, form)
        tensors[_POSITIONS] = held.positions.to(torch.int32)
    said = {
        "form": form,
        "layers": str(len(held.kv)),
        "layout": LAYOUT,
        "tokens": str(tokens_in(held.kv)),
    }
    return _file(tensors, said)


def checksum(data: bytes | memoryview) -> bytes:
    """16 bytes: XXH3-128 of a file. It finds damage; it is no defence against a forger."""
    return xxhash.xxh3_128_digest(data)


def unpack(
    data: memoryview | bytes,
    *,
    checksum: bytes,
    form: str,
    tokens: int,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Held:
    """What a block's file holds.

    Args:
        data: The whole file. It must stay as it is while the result is in use: on the CPU, raw
            tensors are views of it, to read only.
        checksum: That of the row.
        form: That of the row.
        tokens: Of the row. A form that names a policy may hold fewer.
        dtype: That of the engine.
        device: Where the tensors shall be.

    Raises:
        BlockDamagedError: It is not what was written; says what is wrong.
        InvalidInputError: The form is unknown.
    """
    codec = codec_of(form)
    view = memoryview(data).cast("B")
    if xxhash.xxh3_128_digest(view) != checksum:
        raise BlockDamagedError(f"the checksum over its {len(view)} bytes is another")
    try:
        header = _header(view)
        _check_said(header.said, form)
        tensors = _tensors(view, header)
        positions = tensors.pop(_POSITIONS, None)
        kv = codec.decode(tensors, dtype=dtype, device=device)
        _check_counts(kv, header.said, tokens, thinned=positions is not None)
        if positions is not None:
            _check_positions(positions, kv, form)
    except InvalidInputError as error:
        raise BlockDamagedError(error.message) from error
    return Held(kv, None if positions is None else positions.to(device))


def _file(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> bytes:
    """Header and numbers; wide dtypes first, so that each tensor is aligned."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    halves = [tensors[name].detach().cpu().contiguous() for name in order]
    header: dict[str, object] = {"__metadata__": dict(said)}
    end = 0
    for name, tensor in zip(order, halves, strict=True):
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNED)
    numbers = [tensor.view(-1).view(torch.uint8).numpy().data for tensor in halves]
    return b"".join([len(text).to_bytes(8, "little"), text, *numbers])


def _header(view: memoryview) -> _Header:
    """What the header says, and where the tensors lie."""
    length = int.from_bytes(view[:8], "little")
    if len(view) < 8 or length > min(_LONGEST_HEADER, len(view) - 8):
        raise InvalidInputError("its header is longer than the file, or than a header may be")
    return _parsed(bytes(view[8 : 8 + length]), len(view) - 8 - length)


@lru_cache(maxsize=256)
def _parsed(text: bytes, size: int) -> _Header:
    """A header, checked against the bytes that follow it; equal blocks have equal headers."""
    try:
        header = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("its header is not JSON with every name once") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__"), dict):
        raise InvalidInputError("its header does not say what it is")
    said = header.pop("__metadata__")
    places = sorted((_place(*item) for item in header.items()), key=lambda place: place.start)
    end = 0
    for place in places:
        if place.start != end:
            raise InvalidInputError("its tensors overlap, or leave gaps")
        end = place.stop
    if end != size or not places:
        raise InvalidInputError("its tensors do not end where the file ends")
    return _Header(said, tuple(places), 8 + len(text))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name stands twice")
    return named


def _place(name: str, said: object) -> _Place:
    match said:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [start, stop], **rest}:
            if rest or dtype not in _DTYPES or len(shape) > 8:
                raise InvalidInputError(f"tensor {name[:40]!r} is of an unknown kind")
            numbers = [start, stop, *shape]
        case _:
            raise InvalidInputError(f"tensor {name[:40]!r} is not described")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise InvalidInputError(f"tensor {name[:40]!r} has sizes that are no counts")
    width = _DTYPES[dtype].itemsize
    size = width
    for count in shape:
        size *= count
    if size == 0 or stop - start != size or start % width:
        raise InvalidInputError(f"tensor {name[:40]!r} does not have the bytes of its shape")
    return _Place(name, _DTYPES[dtype], tuple(shape), start, stop)


def _tensors(view: memoryview, header: _Header) -> dict[str, Tensor]:
    """Views of the buffer; DLPack, because torch.frombuffer warns of buffers to read only."""
    whole = from_dlpack(np.frombuffer(view[header.start :], dtype=np.uint8))
    return {
        name: whole[start:stop].view(dtype).view(shape)
        for name, dtype, shape, start, stop in header.places
    }


def _check_said(said: Mapping[str, object], form: str) -> None:
    if said.get("layout") != LAYOUT:
        raise InvalidInputError(f"it has layout {str(said.get('layout'))[:20]!r}, not {LAYOUT!r}")
    if said.get("form") != form:
        raise InvalidInputError(f"it has form {str(said.get('form'))[:40]!r}, not {form!r}")


def _check_counts(kv: KV, said: Mapping[str, object], tokens: int, *, thinned: bool) -> None:
    held = tokens_in(kv)
    if said.get("layers") != str(len(kv)) or said.get("tokens") != str(held):
        raise InvalidInputError("it holds other layers or tokens than its header says")
    if held > tokens or (held < tokens and not thinned):
        raise InvalidInputError(f"it holds {held} tokens, not {tokens}")


def _check_positions(positions: Tensor, kv: KV, form: str) -> None:
    """Positions are only there where a policy left tokens out, one for each that was kept."""
    if is_cuttable(form):
        raise InvalidInputError(f"tokens were left out, but the form {form!r} names no policy")
    shapes = {(len(kv), *layer.keys.shape[:2]) for layer in kv}
    if shapes != {tuple(positions.shape)} or positions.is_floating_point():
        raise InvalidInputError("positions are integers [layers, kv heads, kept], as kept in all")
    if bool((positions < 0).any()):
        raise InvalidInputError("positions are counted from 0")
