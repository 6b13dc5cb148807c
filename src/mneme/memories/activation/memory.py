"""The keys and values of one engine: opened for a prompt, computed, cut into blocks and kept.

Knows nothing of cubes: rows come from whoever holds them (`BlockIndex`) and go back to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mneme.core.errors import GateFailedError
from mneme.core.rows import BlockRow
from mneme.memories.activation.block_file import checksum, pack, unpack
from mneme.memories.activation.forms import codec_name, is_exact
from mneme.memories.activation.keys import (
    BLOCK,
    block_key,
    root_key,
    token_bytes,
)
from mneme.memories.activation.kv import Held, cut, join, tokens_in
from mneme.memories.activation.match import longest_match

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.core.engine import KV, Engine, Session
    from mneme.memories.activation.match import BlockIndex, Match
    from mneme.memories.activation.tiers import Fetched, Tiers

_SAME = 1e-4  # relative error of logits that is rounding, for float32 (seen: up to 2.2e-5)
_SAME_HALF = 5e-2  # the same, for bfloat16 and float16


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A prompt whose beginning was found.

    Attributes:
        session: Goes on after the `tokens` that were found.
        tokens: How many were found; 0: a plain prefill.
        held: What was put in; None where nothing was found.
        rows: The blocks that were used.
        lost: Blocks that are missing or damaged, to be forgotten.
        by_tier: Tokens found, by where.
        load_s: To read, check and join.
        decode_s: To decode.
        loaded_bytes: Of files.
        built_s: What computing the found tokens once took.
        failed: Tiers that did not answer, in words.
        woven_tokens: Of the tokens, those that were computed behind other tokens (`weave`).
        computed_tokens: Of the tokens, those that were computed for this opening.
        partial: Whether only some of the tokens were loaded (`partial`).
    """

    session: Session
    tokens: int = 0
    held: Held | None = None
    rows: tuple[BlockRow, ...] = ()
    lost: tuple[BlockRow, ...] = ()
    by_tier: Mapping[str, int] = field(default_factory=dict)
    load_s: float = 0.0
    decode_s: float = 0.0
    loaded_bytes: int = 0
    built_s: float = 0.0
    failed: tuple[str, ...] = ()
    woven_tokens: int = 0
    computed_tokens: int = 0
    partial: bool = False

    @property
    def exact(self) -> bool:
        """Whether all that was put in came back bit by bit, and has seen what stands before it."""
        if self.woven_tokens or self.partial:
            return False
        return all(is_exact(row.form) for row in self.rows)

    @property
    def hit_tokens(self) -> int:
        """How many tokens did not have to be computed."""
        return self.tokens - self.computed_tokens


class Feeds(Protocol):
    """What an answer is fed to, token by token: a session, or one that is narrowed."""

    def feed(self, tokens: Sequence[int]) -> Any: ...  # noqa: ANN401 (a tensor)


class Blocks(NamedTuple):
    """A run of tokens as rows, and the files of those that are new."""

    rows: list[BlockRow]
    files: dict[str, bytes]


class ActivationMemory:
    """Opens prompts on what is kept, and cuts what was computed into blocks.

    Args:
        engine: Whose keys and values they are.
        tiers: Where their bytes are.
        block: Tokens of a full block.
    """

    def __init__(self, engine: Engine, tiers: Tiers, *, block: int = BLOCK) -> None:
        self.engine, self.tiers, self.block = engine, tiers, block

    def match(self, index: BlockIndex, salt: bytes, tokens: Sequence[int]) -> Match:
        """The longest known beginning of a prompt that leaves a token to compute.

        Args:
            index: The rows of the namespace and the engine.
            salt: Of the namespace.
            tokens: The whole prompt.
        """
        return longest_match(index, self.engine.fingerprint, salt, tokens, block=self.block)

    def open(self, match: Match, *, epoch: int | None = None) -> Opening:
        """A session that has read what was found of a prompt.

        Whatever is missing, damaged or does not answer is left to be computed.

        Args:
            match: What is known of it.
            epoch: `tiers.epoch` before the rows were read.
        """
        if not match.rows:
            return Opening(session=self.engine.session(record=True))
        begun = perf_counter()
        fetched = self.tiers.fetch(match.rows, epoch=epoch)
        rows, held, covered = _usable(match, fetched)
        lost = (*fetched.damaged, *fetched.missing)
        if held is None:
            return Opening(
                session=self.engine.session(record=True), lost=lost, failed=fetched.failed
            )
        session = self.engine.session(held.kv, position=covered, record=True)
        return Opening(
            session=session,
            tokens=covered,
            held=held,
            rows=rows,
            lost=lost,
            by_tier=_by_tier(rows, fetched, covered),
            load_s=perf_counter() - begun - fetched.decode_s,
            decode_s=fetched.decode_s,
            loaded_bytes=sum(row.size for row in rows),
            built_s=sum(row.cost_s for row in rows),
            failed=fetched.failed,
        )

    def answer_of(self, blocks: Blocks, rest: Sequence[int]) -> object:
        """The logits with which a prompt goes on from files of blocks.

        Args:
            blocks: A whole run; those without a file here are taken from the tiers.
            rest: Tokens after the run.

        Raises:
            GateFailedError: A block is not there, or the logits are no numbers.
        """
        import torch

        there = self.tiers.fetch([row for row in blocks.rows if row.name not in blocks.files])
        others = iter(there.held)
        parts = []
        for row in blocks.rows:
            data = blocks.files.get(row.name)
            held = next(others) if data is None else self._unpacked(row, data)
            if held is None:
                raise GateFailedError("a block went while it was built upon; promote it again")
            parts.append(held)
        tokens = blocks.rows[-1].start + len(blocks.rows[-1].tokens) // 4
        kv = parts[0].kv if len(parts) == 1 else join([part.kv for part in parts])
        logits = self.engine.session(kv, position=tokens).feed(rest)
        if not torch.isfinite(logits).all():
            raise GateFailedError("what was kept gives no numbers; use a more faithful form")
        return logits

    def _unpacked(self, row: BlockRow, data: bytes) -> Held:
        return unpack(
            memoryview(data), checksum=row.checksum, form=row.form, tokens=len(row.tokens) // 4,
            dtype=self.tiers.dtype, device=self.engine.device,
        )  # fmt: skip

    @property
    def tolerance(self) -> float:
        """The relative error of logits that is only rounding."""
        return _SAME if "32" in self.engine.fields["dtype"] else _SAME_HALF

    def blocks(
        self,
        salt: bytes,
        tokens: Sequence[int],
        kv: KV,
        *,
        form: str,
        cost_s: float,
        known: Mapping[bytes, BlockRow],
    ) -> Blocks:
        """Cut a run of tokens from the first one on into blocks.

        Args:
            salt: Of the namespace.
            tokens: All tokens of the run.
            kv: Their keys and values.
            form: How to keep them.
            cost_s: What computing all of them takes.
            known: Blocks that are there in this form, by key: they are not made again.
        """
        fingerprint = self.engine.fingerprint
        parent = root_key(fingerprint, salt)
        made = Blocks([], {})
        for start in range(0, len(tokens), self.block):
            own = tokens[start : start + self.block]
            key = block_key(parent, fingerprint, salt, own)
            row = known.get(key)
            if row is None:
                data = pack(Held(cut(kv, start, start + len(own)), None), form)
                row = BlockRow(
                    0, fingerprint, key, parent, form,
                    token_bytes(own), start, len(data), checksum(data),
                    cost_s * len(own) / len(tokens),
                )  # fmt: skip
                made.files[row.name] = data
            made.rows.append(row)
            parent = key
        return made

    def whole(
        self, salt: bytes, tokens: Sequence[int], held: Held, *, form: str, cost_s: float
    ) -> Blocks:
        """A run from which tokens were left out, as one block that is used whole."""
        codec_name(form)
        fingerprint = self.engine.fingerprint
        parent = root_key(fingerprint, salt)
        data = pack(held, form)
        row = BlockRow(
            0, fingerprint, block_key(parent, fingerprint, salt, tokens), parent,
            form, token_bytes(tokens), 0, len(data),
            checksum(data), cost_s,
        )  # fmt: skip
        return Blocks([row], {row.name: data})


def whole_run(opening: Opening, session: Session, tokens: int) -> KV | None:
    """Keys and values of the first `tokens` of a prompt after its session was fed.

    None where tokens were left out of what was put in: then there is no whole run.
    """
    if opening.held is not None and opening.held.positions is not None:
        return None
    parts = [] if opening.held is None else [opening.held.kv]
    missing = tokens - opening.tokens
    if missing > 0:
        parts.append(cut(session.recorded(), 0, missing))
    kv = join(parts)
    return kv if tokens_in(kv) == tokens else cut(kv, 0, tokens)


def relative(one: object, other: object) -> float:
    """The largest difference of two rows of logits, relative to the largest of them."""
    import torch

    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        raise TypeError("logits are tensors")
    most = other.abs().max().clamp_min(1e-9)
    error = float(((one - other).abs().max() / most).item())
    return float("inf") if isnan(error) else error


def greedy(
    engine: Engine, session: Feeds, logits: object, most: int, note: Callable[[int], None]
) -> list[int]:
    """The likeliest tokens one after another, up to `most` or to an end.

    Args:
        engine: Says what ends an answer.
        session: Was fed the prompt.
        logits: What that gave.
        most: Tokens.
        note: Told each token as soon as it is known.
    """
    import torch

    tokens: list[int] = []
    while isinstance(logits, torch.Tensor) and len(tokens) < most:
        token = int(logits.argmax().item())
        note(token)
        if engine.ends(token):
            break
        tokens.append(token)
        logits = session.feed([token]) if len(tokens) < most else None
    return tokens


def _usable(match: Match, fetched: Fetched) -> tuple[tuple[BlockRow, ...], Held | None, int]:
    """The blocks up to the first that is not there, joined, and the tokens that they cover."""
    found: list[Held] = []
    for held in fetched.held:
        if held is None:
            break
        found.append(held)
    if not found:
        return (), None, 0
    rows = match.rows[: len(found)]
    if found[0].positions is not None:
        return rows, found[0], match.tokens
    ends = rows[-1].start + len(rows[-1].tokens) // 4
    covered = min(match.tokens, ends)
    last = found[-1]
    wanted = covered - rows[-1].start
    if wanted < tokens_in(last.kv):
        found[-1] = Held(cut(last.kv, 0, wanted), None)
    return rows, Held(join([each.kv for each in found]), None), covered


def _by_tier(rows: Sequence[BlockRow], fetched: Fetched, covered: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row, tier in zip(rows, fetched.tier, strict=False):
        tokens = min(len(row.tokens) // 4, covered - row.start)
        counts[str(tier)] = counts.get(str(tier), 0) + tokens
    return counts
