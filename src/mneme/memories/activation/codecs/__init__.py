"""Codecs: how keys and values become the tensors of a file, and come back.

A form says how a block is kept: its last part after "+" names the codec, parts before it name
policies that left tokens out. A codec is a representation, not part of a block's identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.codecs.bf16 import BFloat16
from mneme.memories.activation.codecs.int4 import Int4
from mneme.memories.activation.codecs.int8 import Int8
from mneme.memories.activation.codecs.raw import Raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from mneme.core.engine import KV


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


CODECS: Mapping[str, Codec] = {codec.name: codec for codec in (Raw(), BFloat16(), Int8(), Int4())}


def codec_of(form: str) -> Codec:
    """The codec of a form: "int8" and "leverage-0.50+int8" are both kept by int8.

    Raises:
        InvalidInputError: No codec has this name.
    """
    name = form.rpartition("+")[2]
    if name not in CODECS:
        raise InvalidInputError(
            f"no codec {name!r} for the form {form!r}; known: {', '.join(CODECS)}"
        )
    return CODECS[name]


def is_cuttable(form: str) -> bool:
    """Whether a part of the block's tokens may be used: no policy left tokens out."""
    return "+" not in form


def is_exact(form: str) -> bool:
    """Whether it holds, bit by bit, all that was computed."""
    return is_cuttable(form) and codec_of(form).exact
