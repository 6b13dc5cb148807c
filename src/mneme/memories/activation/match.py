"""The longest beginning of a prompt whose keys and values are kept.

Down the chain of full blocks, then as far as any child of the last one agrees, token by token. A
form from which tokens were left out is one block for its whole run, used whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mneme.memories.activation.forms import is_cuttable, is_exact, rank_of
from mneme.memories.activation.keys import BLOCK, chain, token_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mneme.core.rows import BlockRow

_TOKEN_BYTES: Final = 4


class ExactOnly:
    """The same rows without those whose form loses something: what is built starts from these."""

    def __init__(self, index: BlockIndex) -> None:
        self._index = index

    def of_keys(self, keys: Iterable[bytes]) -> list[BlockRow]:
        """The blocks of these keys."""
        return [row for row in self._index.of_keys(keys) if is_exact(row.form)]

    def children(self, parent: bytes) -> list[BlockRow]:
        """The blocks that follow one."""
        return [row for row in self._index.children(parent) if is_exact(row.form)]


class BlockIndex(Protocol):
    """The rows of blocks of one namespace and engine, in one state of the store."""

    def of_keys(self, keys: Iterable[bytes]) -> list[BlockRow]: ...
    def children(self, parent: bytes) -> list[BlockRow]: ...


@dataclass(frozen=True, slots=True)
class Match:
    """Blocks that follow one another from the first token of a prompt on.

    Attributes:
        rows: In order; of the last one only the first tokens may be wanted.
        tokens: How many tokens of the prompt they cover together.
    """

    rows: tuple[BlockRow, ...] = ()
    tokens: int = 0


def longest_match(
    index: BlockIndex, fingerprint: str, salt: bytes, tokens: Sequence[int], *, block: int = BLOCK
) -> Match:
    """The longest match that leaves at least one token to compute.

    Args:
        index: What is kept.
        fingerprint: Of the engine.
        salt: Of the namespace.
        tokens: The whole prompt.
        block: Tokens of a full block.
    """
    usable = list(tokens[:-1])
    keys = chain(fingerprint, salt, usable, block=block)
    said = token_bytes(usable)
    rows = _chain_rows(index, keys, said, block)
    covered = len(rows) * block
    child, more = _longest_child(index.children(keys[len(rows)]), said[covered * _TOKEN_BYTES :])
    if child is not None:
        rows, covered = [*rows, child], covered + more
    whole = _longest_whole(index.children(keys[0]), said)
    if whole is not None and len(whole.tokens) // _TOKEN_BYTES > covered:
        return Match((whole,), len(whole.tokens) // _TOKEN_BYTES)
    return Match(tuple(rows), covered)


def _chain_rows(
    index: BlockIndex, keys: Sequence[bytes], said: bytes, block: int
) -> list[BlockRow]:
    best: dict[bytes, BlockRow] = {}
    for row in index.of_keys(keys[1:]):
        if is_cuttable(row.form) and _better(row, best.get(row.key)):
            best[row.key] = row
    rows: list[BlockRow] = []
    size = block * _TOKEN_BYTES
    for number, key in enumerate(keys[1:]):
        found = best.get(key)
        if found is None or found.tokens != said[number * size : (number + 1) * size]:
            break
        rows.append(found)
    return rows


def _longest_child(children: Sequence[BlockRow], said: bytes) -> tuple[BlockRow | None, int]:
    found, most = None, 0
    for row in children:
        if is_cuttable(row.form):
            agreed = _agreed(row.tokens, said)
            if agreed > most or (agreed == most > 0 and _better(row, found)):
                found, most = row, agreed
    return found, most


def _longest_whole(children: Sequence[BlockRow], said: bytes) -> BlockRow | None:
    wholes = (row for row in children if not is_cuttable(row.form) and said.startswith(row.tokens))
    return max(wholes, key=lambda row: len(row.tokens), default=None)


def _better(row: BlockRow, other: BlockRow | None) -> bool:
    return other is None or rank_of(row.form) < rank_of(other.form)


def _agreed(one: bytes, other: bytes) -> int:
    """How many tokens two runs have in common at their beginning."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most // _TOKEN_BYTES
    low, high = 0, most // _TOKEN_BYTES  # agree up to low, not up to high
    while high - low > 1:
        middle = (low + high) // 2
        same = one[: middle * _TOKEN_BYTES] == other[: middle * _TOKEN_BYTES]
        low, high = (middle, high) if same else (low, middle)
    return low
