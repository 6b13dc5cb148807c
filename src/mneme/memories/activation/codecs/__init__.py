"""Codecs: how keys and values become the tensors of a file, and come back.

A form says how a block is kept: its last part after "+" names the codec, parts before it name
policies that left tokens out. A codec is a representation, not part of a block's identity.
`mneme.memories.activation.forms` reads the names of forms without loading any tensor library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.codecs.basis import Basis, calibrate
from mneme.memories.activation.codecs.bf16 import BFloat16
from mneme.memories.activation.codecs.int4 import Int4
from mneme.memories.activation.codecs.int8 import Int8
from mneme.memories.activation.codecs.low_rank import LowRank
from mneme.memories.activation.codecs.raw import Raw
from mneme.memories.activation.forms import codec_name, is_cuttable, is_exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from mneme.core.engine import KV


__all__ = [
    "CODECS",
    "Basis",
    "Codec",
    "calibrate",
    "codec_of",
    "is_cuttable",
    "is_exact",
    "keep_basis",
]


class Codec(Protocol):
    """One way to write keys and values down.

    Attributes:
        name: The last part of a form.
        exact: Whether what comes back is bit-equal to what went in.
    """

    @property
    def name(self) -> str: ...
    @property
    def exact(self) -> bool: ...

    def encode(self, kv: KV) -> dict[str, Tensor]:
        """Contiguous tensors by flat names; `kv` stays as it is.

        Raises:
            InvalidInputError: No layers, no tokens, or numbers that the codec cannot hold.
        """
        ...

    def decode(
        self, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device | str
    ) -> KV:
        """Contiguous layers, to read only: they may be views of `tensors`.

        Raises:
            InvalidInputError: The tensors are not what `encode` gave.
        """
        ...


CODECS: Mapping[str, Codec] = {
    codec.name: codec for codec in (Raw(), BFloat16(), Int8(), Int4(), LowRank())
}
_calibrated: dict[str, LowRank] = {}  # by form; a process has the bases that it was given


def codec_of(form: str) -> Codec:
    """The codec of a form: "int8" and "leverage-0.50+int8" are both kept by int8.

    Raises:
        InvalidInputError: No codec has this name, or this process was not given the basis.
    """
    codec = CODECS[codec_name(form)]
    _, named, _ = form.rpartition("+")[2].partition("@")
    if not named:
        return codec
    form = form.rpartition("+")[2]
    if form not in _calibrated:
        raise InvalidInputError(f"the basis of {form!r} is not known here; give it to keep_basis")
    return _calibrated[form]


def keep_basis(basis: Basis) -> str:
    """Make a calibrated basis known to this process.

    Returns:
        The form of what is kept with it, "lowrank@...". Files of this form need the basis again:
        keep its bytes (`Basis.to_bytes`) as long as them. Without it they are misses.
    """
    form = f"{LowRank.name}@{basis.name}"
    _calibrated[form] = LowRank(basis)
    return form
