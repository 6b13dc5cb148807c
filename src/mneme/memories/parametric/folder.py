"""A version of a shard as a folder that peft and vLLM open, and such folders of others read back.

A folder of ours holds the five parts and `checksums.json`, which finds damage; it proves nothing of
who wrote it. A folder of others holds `adapter_config.json` and `adapter_model.safetensors`, and
nothing says what its weights know. Pickled weights are never opened.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.core.errors import ImportRefusedError, InvalidInputError
from mneme.memories.parametric import tensor_file
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.bundle import (
    CONFIG,
    PARTS,
    WEIGHTS,
    Bundle,
    in_form,
    json_object,
    rows,
    unpack,
)
from mneme.memories.parametric.forms import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from mneme.core.rows import AdapterFile

CHECKSUMS: Final = "checksums.json"
MOST_BYTES: Final = 2 << 30  # of the tensors
_MOST_OTHER_BYTES: Final = 64 << 20  # of each other part
_PICKLED: Final = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
_READ: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Foreign(NamedTuple):
    """An adapter of somebody else: no ledger, no gate, and no word on its base that could be held.

    config: Its adapter_config.json.
    tensors: float32, by peft's names.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def adapter(self, base: str) -> Adapter:
        """As an adapter of a base; whether it fits a model of it is seen when it is applied."""
        kind = str(self.config.get("peft_type"))
        carriers = {"LORA": "lora", "PREFIX_TUNING": "cartridge"}
        if kind not in carriers:
            raise ImportRefusedError(
                f"its peft_type is {kind[:40]!r}; only {' and '.join(carriers)} can be imported"
            )
        return Adapter(carrier=carriers[kind], base=base, config=self.config, tensors=self.tensors)


def write_folder(
    files: Mapping[str, bytes | memoryview], rows: Sequence[AdapterFile], folder: str | Path
) -> Path:
    """Write a version as peft reads it: "int8" and "int4" become float32.

    Args:
        files: By part.
        rows: Of the same version.
        folder: Not there yet, or empty; or one that holds just this version.

    Raises:
        StoreCorruptError: A file is not what was written.
        InvalidInputError: The folder holds something else.
    """
    about = unpack(files, rows, base=None).about
    bundle = Bundle({part: bytes(files[part]) for part in PARTS})
    if about["form"] not in {"fp32", "bf16"}:
        bundle = in_form(bundle, "fp32")
    folder, sums = Path(folder), _checksums(bundle)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if _holds(folder, sums):
            return folder
        raise InvalidInputError(f"{folder} is not empty; name a folder that is not there yet")
    waiting = folder.with_name(f".{folder.name}.{token_hex(4)}")
    try:
        waiting.mkdir(parents=True)
        for part, data in {**bundle.files, CHECKSUMS: sums}.items():
            (waiting / part).write_bytes(data)
        if folder.exists():
            folder.rmdir()
        waiting.rename(folder)
    except OSError as error:
        raise InvalidInputError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return folder


def read_folder(folder: str | Path, *, most_bytes: int = MOST_BYTES) -> Bundle | Foreign:
    """A version that `write_folder` wrote, or an adapter that peft wrote.

    Args:
        folder: With the files.
        most_bytes: Of tensors; what is larger is not read.

    Raises:
        ImportRefusedError: Files are missing, too large, pickled, damaged, or lie.
    """
    folder = Path(folder)
    _check_there(folder)
    if (folder / CHECKSUMS).exists():
        return _own(folder, most_bytes)
    config = _config(_bytes(folder / CONFIG, _MOST_OTHER_BYTES))
    data = _bytes(folder / WEIGHTS, most_bytes)
    try:
        tensors = decode(*tensor_file.read(data), "fp32")
    except InvalidInputError as error:
        raise ImportRefusedError(f"{folder / WEIGHTS} cannot be used: {error}") from error
    if not tensors:
        raise ImportRefusedError(f"{folder / WEIGHTS} holds no tensors")
    return Foreign(config, tensors)


def _check_there(folder: Path) -> None:
    if not folder.is_dir():
        raise ImportRefusedError(f"{folder} is no folder")
    if (folder / WEIGHTS).exists():
        return
    pickled = next((name for name in _PICKLED if (folder / name).exists()), None)
    if pickled is not None:
        raise ImportRefusedError(
            f"{folder / pickled} is a pickle, which runs code when it is opened; save the adapter "
            "as safetensors (peft: save_pretrained(folder, safe_serialization=True))"
        )
    raise ImportRefusedError(f"{folder} has no {WEIGHTS}")


def _own(folder: Path, most_bytes: int) -> Bundle:
    """All five parts, as the checksums name them."""
    bundle = Bundle(
        {
            part: _bytes(folder / part, most_bytes if part == WEIGHTS else _MOST_OTHER_BYTES)
            for part in PARTS
        }
    )
    said = _config(_bytes(folder / CHECKSUMS, _MOST_OTHER_BYTES)).get("parts")
    for row in rows(bundle):
        if not isinstance(said, dict) or said.get(row.part) != row.checksum.hex():
            raise ImportRefusedError(f"{folder / row.part} is not what was written; export again")
    return bundle


def _checksums(bundle: Bundle) -> bytes:
    said = {
        "digest": bundle.digest,
        "parts": {row.part: row.checksum.hex() for row in rows(bundle)},
    }
    return f"{json.dumps(said, indent=1, sort_keys=True)}\n".encode()


def _holds(folder: Path, sums: bytes) -> bool:
    """Whether a folder is a whole export of the same version."""
    try:
        known = folder / CHECKSUMS
        return known.is_file() and known.read_bytes() == sums and bool(read_folder(folder))
    except (ImportRefusedError, OSError):
        return False


def _config(data: bytes) -> dict[str, Any]:
    try:
        return json_object(data)
    except (ValueError, RecursionError) as error:
        raise ImportRefusedError(f"{CONFIG} or {CHECKSUMS} is no JSON object") from error


def _bytes(path: Path, most: int) -> bytes:
    """A regular file of a bounded size; links are followed, as in the caches of hubs."""
    try:
        handle = os.open(path, _READ | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise ImportRefusedError(f"{path} is no file")
            data = file.read(most + 1) if about.st_size <= most else None
    except OSError as error:
        raise ImportRefusedError(f"{path} cannot be read: {error.strerror}") from error
    if data is None or len(data) > most:
        raise ImportRefusedError(f"{path} is larger than {most} bytes, which is the limit")
    return data
