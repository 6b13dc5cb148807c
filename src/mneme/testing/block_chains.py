"""Chains of blocks with made-up keys and values, as files and rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mneme.core.engine import KV, Layer
from mneme.core.rows import BlockRow
from mneme.memories.activation.block_file import checksum, pack
from mneme.memories.activation.keys import token_bytes
from mneme.memories.activation.kv import Held

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Chain:
    """Blocks that follow one another: rows, files by name, and what is in them."""

    rows: list[BlockRow]
    files: dict[str, bytes]
    kvs: list[KV]


def block_chain(
    blocks: int,
    *,
    seed: int = 0,
    tokens: int = 4,
    shape: tuple[int, int, int] = (2, 2, 8),
    form: str = "raw",
    after: Sequence[BlockRow] = (),
) -> Chain:
    """A chain, or one that goes on after the last of other rows; the same for the same seed.

    Args:
        blocks: How many.
        seed: Of the numbers and of the names.
        tokens: Of each block.
        shape: Layers, key-value heads, head size.
        form: In which the files are.
        after: The chain that it goes on after.
    """
    layers, heads, size = shape
    dice = torch.Generator().manual_seed(seed)
    chain = Chain([], {}, [])
    parent = after[-1].key if after else b"root".ljust(32)
    start = after[-1].start + len(after[-1].tokens) // 4 if after else 0
    for number in range(blocks):
        kv = tuple(
            Layer(*(torch.randn(heads, tokens, size, generator=dice) for _ in range(2)))
            for _ in range(layers)
        )
        data = pack(Held(kv), form)
        own = [seed * 1000 + number] * tokens
        key = hashlib.sha256(parent + token_bytes(own)).digest()
        row = BlockRow(
            number + 1, "engine", key, parent, form, token_bytes(own), start, len(data),
            checksum(data), 1.0,
        )  # fmt: skip
        chain.rows.append(row)
        chain.files[row.name] = data
        chain.kvs.append(kv)
        parent, start = key, start + tokens
    return chain
