"""One version of a shard as files: packed, checked, and as a folder that peft opens.

Five parts, whose digest names the version: the adapter and its config as peft reads them, the
ledger of facts, the gate's report, and what else is to be known of it ("cube.json"). Equal input
gives equal bytes. What is unpacked was checked to the last bit, is of the right base, and has
numbers that are finite; nothing of a file that is not, is used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.core.errors import InvalidInputError, StoreCorruptError
from mneme.core.rows import AdapterFile
from mneme.memories.parametric import tensor_file
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.forms import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
LEDGER: Final = "facts.jsonl"
GATE: Final = "gate.json"
ABOUT: Final = "cube.json"
PARTS: Final = (WEIGHTS, CONFIG, LEDGER, GATE, ABOUT)
LAYOUT: Final = 1
_OWN: Final = ("base", "carrier", "form", "layout")  # what `pack` says in cube.json by itself
_DIGEST: Final = b"mneme adapter 1\n"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one version.

    Attributes:
        files: By part, all of `PARTS`.
    """

    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """64 hex digits over names and checksums of the parts; names the version."""
        return digest_of({part: _sha(data) for part, data in self.files.items()})


class Unpacked(NamedTuple):
    """What files hold.

    gate: The gate's report.
    about: What `pack` was told, and base, carrier, form and layout.
    """

    adapter: Adapter
    ledger: FactLedger
    gate: dict[str, Any]
    about: dict[str, Any]


def pack(
    adapter: Adapter,
    ledger: FactLedger,
    gate: Mapping[str, Any],
    about: Mapping[str, Any],
    form: str,
) -> Bundle:
    """The files of a version; the same input gives the same bytes.

    Args:
        adapter: Its tensors are kept in `form`.
        ledger: What it was written from; empty for a foreign one.
        gate: The gate's report, JSON.
        about: What else is to be known, JSON: owner, shard, seed, versions of libraries.
        form: "fp32", "bf16", "int8" or "int4".

    Raises:
        InvalidInputError: The form is unknown, a number is not finite, something is no JSON, or
            `about` says another base, carrier or form.
    """
    own = {"base": adapter.base, "carrier": adapter.carrier, "form": form, "layout": LAYOUT}
    for name in _OWN:
        if about.get(name, own[name]) != own[name]:
            raise InvalidInputError(f"{name} is {own[name]!r}, but `about` says {about[name]!r}")
    if not adapter.tensors:
        raise InvalidInputError("an adapter without tensors cannot be kept")
    return Bundle(
        {
            WEIGHTS: tensor_file.write(*encode(adapter.tensors, form)),
            CONFIG: _json(CONFIG, adapter.config),
            LEDGER: ledger.to_bytes(),
            GATE: _json(GATE, gate),
            ABOUT: _json(ABOUT, {**about, **own}),
        }
    )


def rows(bundle: Bundle) -> list[AdapterFile]:
    """A row for each file."""
    digest = bundle.digest
    return [
        AdapterFile(digest, part, len(data), _sha(data))
        for part, data in sorted(bundle.files.items())
    ]


def unpack(
    files: Mapping[str, bytes | memoryview], rows: Sequence[AdapterFile], *, base: str | None
) -> Unpacked:
    """What the files of a version hold.

    Args:
        files: By part.
        rows: Of the same version.
        base: What the engine's model is (`adapter.base_of`); None: any, to look at it only.

    Raises:
        StoreCorruptError: A file is missing, is not what was written, or lies; says which one.
        InvalidInputError: It belongs to another base.
    """
    held = _checked(files, rows)
    about, gate = _object(ABOUT, held[ABOUT]), _object(GATE, held[GATE])
    config = _object(CONFIG, held[CONFIG])
    if about.get("layout") != LAYOUT or not all(isinstance(about.get(n), str) for n in _OWN[:3]):
        raise StoreCorruptError(f"{ABOUT} of an adapter does not say what it is of, or is newer")
    check_base(about["base"], base)
    try:
        tensors = decode(*tensor_file.read(held[WEIGHTS]), about["form"])
    except InvalidInputError as error:
        raise StoreCorruptError(f"{WEIGHTS} of an adapter cannot be used: {error}") from error
    adapter = Adapter(carrier=about["carrier"], base=about["base"], config=config, tensors=tensors)
    return Unpacked(adapter, FactLedger.from_bytes(held[LEDGER]), gate, about)


def in_form(bundle: Bundle, form: str) -> Bundle:
    """The same version with its tensors in another form, such as "fp32" for peft.

    Raises:
        InvalidInputError: The form is unknown.
        StoreCorruptError: The bundle is not what `pack` made.
    """
    adapter, ledger, gate, about = unpack(bundle.files, rows(bundle), base=None)
    rest = {name: said for name, said in about.items() if name not in _OWN}
    return pack(adapter, ledger, gate, rest, form)


def check_base(own: str, base: str | None) -> None:
    """Raise InvalidInputError if an adapter belongs to another base; names both."""
    if base is not None and own != base:
        raise InvalidInputError(
            f"the adapter was written for the base {own[:16]}..., and this model is "
            f"{base[:16]}...; use the model that it was written for, or write it again"
        )


def digest_of(checksums: Mapping[str, bytes]) -> str:
    """Names a version by the SHA-256 of each of its parts."""
    said = b"".join(part.encode() + b"\0" + checksums[part] for part in sorted(checksums))
    return hashlib.sha256(_DIGEST + said).hexdigest()


def _checked(
    files: Mapping[str, bytes | memoryview], rows: Sequence[AdapterFile]
) -> dict[str, memoryview]:
    """All parts, each with the bytes that its row names."""
    known = {row.part: row for row in rows}
    if set(known) != set(PARTS) or len(rows) != len(PARTS):
        raise StoreCorruptError(f"the rows of an adapter name {sorted(known)}, not {list(PARTS)}")
    held = {}
    for part, row in known.items():
        if files.get(part) is None:
            raise StoreCorruptError(f"{part} of adapter {row.digest[:16]} is missing")
        held[part] = memoryview(files[part]).cast("B")
        if len(held[part]) != row.size or _sha(held[part]) != row.checksum:
            raise StoreCorruptError(
                f"{part} of adapter {row.digest[:16]} is not what was written; its facts are "
                "still text: write the adapter again"
            )
    digest = digest_of({part: row.checksum for part, row in known.items()})
    if {row.digest for row in rows} != {digest}:
        raise StoreCorruptError(f"the rows of an adapter do not belong to {digest[:16]}")
    return held


def _json(part: str, said: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(said, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"what {part} shall say is no JSON: {error}") from error


def json_object(data: bytes | memoryview) -> dict[str, Any]:
    """A JSON object; raises ValueError or RecursionError for anything else."""
    said = json.loads(bytes(data), parse_constant=_no_number)
    if not isinstance(said, dict):
        raise ValueError("it is no object")  # noqa: TRY004 (a value of the wrong kind)
    return said


def _object(part: str, data: memoryview) -> dict[str, Any]:
    try:
        return json_object(data)
    except (ValueError, RecursionError) as error:
        raise StoreCorruptError(f"{part} of an adapter is no JSON object") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _sha(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()
