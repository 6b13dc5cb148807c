"""Load of a stored run only the sentences that a question looks at (SentenceKV, arXiv:2504.00970).

An index of a run is kept beside its blocks, as a block without tokens whose form is `INDEX`: it
lives and goes with the cube that holds it. For a question it is read first; then only the files of
blocks in which a chosen sentence lies.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING, Final

from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from mneme.core.errors import InvalidInputError
from mneme.core.rows import BlockRow
from mneme.memories.activation.block_file import checksum
from mneme.memories.activation.keys import block_key, root_key
from mneme.memories.activation.kv import cut, join, tokens_in
from mneme.memories.activation.memory import Opening
from mneme.memories.activation.sentences import Digests, choose, index, load, queries_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.match import Match
    from mneme.memories.activation.memory import ActivationMemory
    from mneme.memories.activation.sentences import Span

INDEX: Final = "sentences+raw"
_LONGEST: Final = 32  # tokens; a sentence that is longer is cut
_SINKS: Final = 4  # tokens at the head of every prompt, which all others look at
_NEWEST: Final = 32  # tokens of the run behind which the question is looked at
_ENDS: Final = (".", "!", "?", "…", "。", "！", "？", "\n")
_TOKEN_BYTES: Final = 4


def sentence_spans(engine: Engine, tokens: Sequence[int]) -> list[Span]:
    """Where sentences are among tokens: up to a full stop, or a line end, or so many tokens."""
    spans: list[Span] = []
    start = 0
    for at, token in enumerate(tokens, start=1):
        whole = engine.decode([token]).rstrip(" \"')]").endswith(_ENDS)
        if whole or at - start == _LONGEST or at in {_SINKS, len(tokens)}:
            spans.append((start, at))
            start = at
    return spans


def index_row(
    memory: ActivationMemory, salt: bytes, tokens: Sequence[int], kv: KV
) -> tuple[BlockRow, bytes]:
    """The index of a run, as a row and its file."""
    digests = index(kv, sentence_spans(memory.engine, tokens))
    data = write_tensors({k: v.contiguous() for k, v in digests.tensors().items()})
    fingerprint = memory.engine.fingerprint
    root = root_key(fingerprint, salt)
    row = BlockRow(
        0, fingerprint, block_key(root, fingerprint, salt, tokens), root,
        INDEX, b"", 0, len(data), checksum(data), 0.0,
    )  # fmt: skip
    return row, data


def open_partly(
    memory: ActivationMemory,
    match: Match,
    index_of: BlockRow,
    rest: Sequence[int],
    keep: float,
) -> Opening | None:
    """A session that has read what a question looks at of a run.

    Args:
        memory: Of the engine.
        match: The whole run, in full blocks and perhaps a shorter one.
        index_of: The row of the run's index.
        rest: Tokens of the prompt after the run.
        keep: The share of the run's tokens to load.

    Returns:
        None where the index or a block is missing or damaged.

    Raises:
        UnsuitedModelError: The model slides or cannot be watched.
    """
    begun = perf_counter()
    digests = _digests(memory, index_of)
    if digests is None:
        return None
    reader = _Reader(memory, match)
    budget = max(1, math.ceil(keep * match.tokens))
    newest = min(_NEWEST, budget)
    near = [(0, min(_SINKS, match.tokens)), (max(0, match.tokens - newest), match.tokens)]
    try:
        past = load(reader.read, _apart(near), 0)
        queries = queries_of(memory.engine, past.kv, match.tokens, rest)
        chosen = choose(digests, queries, budget, newest_tokens=newest)
        held = load(reader.read, _with_sinks(chosen), 0)
    except _MissingError:
        return None
    rows = tuple(reader.rows)
    return Opening(
        session=memory.engine.session(held.kv, position=match.tokens),
        tokens=match.tokens,
        held=held,
        rows=rows,
        by_tier=dict(reader.by_tier),
        load_s=perf_counter() - begun,
        loaded_bytes=index_of.size + sum(row.size for row in rows),
        built_s=sum(row.cost_s for row in match.rows),
        partial=True,
    )


class _MissingError(Exception):
    """A block that is wanted is not there."""


class _Reader:
    """Reads tokens of a run, each block once."""

    def __init__(self, memory: ActivationMemory, match: Match) -> None:
        self._memory, self._match = memory, match
        self._known: dict[int, KV] = {}
        self.rows: list[BlockRow] = []
        self.by_tier: dict[str, int] = {}

    def read(self, first: int, end: int) -> KV:
        """Keys and values of the tokens from one to another."""
        pieces = []
        for number, row in enumerate(self._match.rows):
            stop = min(row.start + len(row.tokens) // _TOKEN_BYTES, self._match.tokens)
            if row.start < end and stop > first:
                kv = self._block(number)
                pieces.append(
                    cut(kv, max(first, row.start) - row.start, min(end, stop) - row.start)
                )
        return join(pieces)

    def _block(self, number: int) -> KV:
        if number not in self._known:
            row = self._match.rows[number]
            fetched = self._memory.tiers.fetch([row])
            held, tier = fetched.held[0], fetched.tier[0]
            if held is None or held.positions is not None:
                raise _MissingError
            self._known[number] = held.kv
            self.rows.append(row)
            self.by_tier[str(tier)] = self.by_tier.get(str(tier), 0) + tokens_in(held.kv)
        return self._known[number]


def _digests(memory: ActivationMemory, row: BlockRow) -> Digests | None:
    data = memory.tiers.file(row)
    if data is None:
        return None
    try:
        return Digests.of_tensors(read_tensors(bytes(data)))
    except InvalidInputError:
        return None


def _apart(spans: Sequence[Span]) -> list[Span]:
    """Two spans without what they share."""
    (first, end), (start, stop) = spans
    return [(first, stop)] if start <= end else [(first, end), (start, stop)]


def _with_sinks(spans: Sequence[Span]) -> list[Span]:
    """The head of the prompt comes along whatever the question looks at."""
    if spans and spans[0][0] == 0:
        return list(spans)
    first = spans[0][0] if spans else _SINKS
    return [(0, min(_SINKS, first)), *spans]
