"""Text to keys and values: what a model computed of cubes, kept as blocks under a cube of its own.

Built from the text alone, or from blocks that are exact; proven on a question before it may be
used; committed only if the text is still the one that was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.core.clock import from_us
from mneme.core.errors import GateFailedError, InvalidInputError, MnemeError, StoreFullError
from mneme.memories.activation.forms import codec_name, is_exact, policy_name
from mneme.memories.activation.keys import run_keys, salt_of
from mneme.memories.activation.match import ExactOnly
from mneme.memories.activation.prompt import (
    Promoted,
    harmless,
    messages_of,
    stable_tokens,
    title_of,
)
from mneme.vault.draft import Prefilled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.engine import KV
    from mneme.core.rows import BlockRow, VersionRow
    from mneme.memories.activation.memory import ActivationMemory, Blocks, Opening
    from mneme.vault.vault import Vault

    Worst = Callable[[list[BlockRow]], list[BlockRow]]

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_PROBE: Final = "What is said above?"
_ROOM: Final = 64  # tokens of the window that a question and an answer need at least
_ERRORS: Final = {"bf16": 0.05, "int8": 0.05, "int4": 0.5, "lowrank": 0.5}


class Text(NamedTuple):
    """A cube with its text, as it is now."""

    row: VersionRow
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How to build.

    Attributes:
        codec: "raw", "bf16", "int8", "int4" or "lowrank".
        policy: Which leaves tokens out; None keeps all.
        keep: The share that it keeps.
        exact: Whether the policy only computes in another way, and leaves nothing out.
        sentences: Whether to keep an index of sentences too, so that a question can load of a long
            text only what it looks at.
    """

    codec: str = "raw"
    policy: str | None = None
    keep: float = 1.0
    exact: bool = False
    sentences: bool = False

    @property
    def form(self) -> str:
        """The name of the form."""
        return f"{self.policy}-{self.keep:.2f}+{self.codec}" if self.thins else self.codec

    @property
    def thins(self) -> bool:
        """Whether tokens are left out."""
        return self.policy is not None and not self.exact


def order_of(form: str, *, sentences: bool = False) -> Order:
    """The order of a form."""
    policy = policy_name(form)
    if policy is None:
        return Order(codec=codec_name(form), sentences=sentences)
    name, _, keep = policy.rpartition("-")
    return Order(codec=codec_name(form), policy=name, keep=float(keep))


class _Run(NamedTuple):
    """A run of tokens in the making: what to keep, and what it must agree with.

    kv: Of all tokens; None where some were left out.
    """

    tokens: list[int]
    blocks: Blocks
    kv: KV | None
    cost_s: float


class Prefiller:
    """Builds activation cubes of one engine.

    Args:
        vault: Where cubes and blocks are.
        memory: The engine's keys and values.
        disk_bytes: Most bytes of blocks on disk.
        worst: Orders blocks by what is lost with them, the least first.
    """

    def __init__(
        self, vault: Vault, memory: ActivationMemory, *, disk_bytes: int, worst: Worst
    ) -> None:
        self._vault, self._memory = vault, memory
        self._disk_bytes, self._worst = disk_bytes, worst

    def build(
        self, path: str, ids: Sequence[str], order: Order, extra: Mapping[str, object] = _NOTHING
    ) -> tuple[VersionRow, str]:
        """Compute, prove and keep the keys and values of cubes, in this order in one prompt.

        Args:
            path: Of the namespace.
            ids: Of the cubes.
            order: How to keep them.
            extra: Further facts for the metadata.

        Raises:
            CubeNotFoundError: One of them is not readable.
            InvalidInputError: They are longer than the model's window.
            GateFailedError: What was kept does not answer as what was computed.
            StoreFullError: There is no room for it.
            VersionConflictError: A text was changed meanwhile.
            UnsuitedModelError: The model does not allow this form.
        """
        texts = texts_of(self._vault, path, ids)
        promoted = promoted_of(texts, self._memory.engine.special)
        tokens = stable_tokens(self._memory.engine, promoted)
        self._check_length(tokens)
        run = self._thinned(path, tokens, order) if order.thins else self._run(path, tokens, order)
        error = self._prove(run, promoted, order)
        if order.sentences and run.kv is not None:
            self._add_index(path, tokens, run.kv, run.blocks)
        header = Prefilled(
            sources=tuple((text.row.id, text.row.version) for text in texts),
            engine=self._memory.engine.fingerprint,
            form=order.form,
            tokens=len(tokens),
            method="thinned" if order.thins else "prefill",
            extra={
                **extra,
                "sentences": order.sentences,
                "error": error,
                "seconds": round(run.cost_s, 6),
            },
        )
        return self.keep(path, header, run.blocks)

    def keep(self, path: str, header: Prefilled, blocks: Blocks) -> tuple[VersionRow, str]:
        """Keep blocks under an activation cube: files first, then rows in one transaction.

        Raises:
            StoreFullError: There is no room for them.
            CubeNotFoundError: A source went meanwhile; nothing is kept.
            VersionConflictError: A source was changed meanwhile; likewise.
        """
        self._make_room(blocks)
        rows = [row for row in blocks.rows if row.name in blocks.files]
        self._vault.blocks.expect([row.name for row in rows])
        self._memory.tiers.keep(blocks.files, rows)
        try:
            return self._vault.blocks.keep(path, header, blocks.rows)
        except MnemeError:
            self._memory.tiers.forget(blocks.files)
            raise

    def _make_room(self, blocks: Blocks) -> None:
        """Drop what is worth least; of the run itself, nothing."""
        own = {row.name for row in blocks.rows}

        def worst(rows: list[BlockRow]) -> list[BlockRow]:
            return sorted(self._worst(rows), key=lambda row: row.name in own)

        whole = sum(row.size for row in blocks.rows)
        wanted = sum(len(data) for data in blocks.files.values())
        if whole > self._disk_bytes or not self._vault.blocks.make_room(
            wanted, self._disk_bytes, worst
        ):
            raise StoreFullError(
                f"keys and values of {whole} bytes do not fit into kv_disk_bytes = "
                f"{self._disk_bytes}; raise it, or use a smaller form such as int8"
            )

    def _check_length(self, tokens: Sequence[int]) -> None:
        room = self._memory.engine.window - _ROOM
        if len(tokens) > room:
            raise InvalidInputError(
                f"the text has {len(tokens)} tokens, the model takes {room} and a question; "
                "promote its sections instead"
            )

    def _run(self, path: str, tokens: list[int], order: Order) -> _Run:
        """Compute what is not there yet, and cut it into blocks."""
        memory, salt = self._memory, salt_of(self._vault.parts.secret, path)
        fingerprint = memory.engine.fingerprint
        epoch = memory.tiers.epoch
        with self._vault.blocks.matching(path, fingerprint) as index:
            match = memory.match(ExactOnly(index), salt, [*tokens, tokens[-1]])
            keys = run_keys(fingerprint, salt, tokens, block=memory.block)
            known = {row.key: row for row in index.of_keys(keys) if row.form == order.form}
        opening = memory.open(match, epoch=epoch)
        if opening.lost:
            self._vault.blocks.drop([row.number for row in opening.lost])
        begun = perf_counter()
        kv = self._computed(opening, tokens, order)
        cost_s = opening.built_s + perf_counter() - begun
        blocks = memory.blocks(salt, tokens, kv, form=order.form, cost_s=cost_s, known=known)
        return _Run(tokens, blocks, kv, cost_s)

    def _computed(self, opening: Opening, tokens: Sequence[int], order: Order) -> KV:
        """Keys and values of all tokens, those that are not there yet computed as was asked."""
        from mneme.memories.activation.kv import join
        from mneme.memories.activation.memory import whole_run
        from mneme.memories.activation.policies import build_policy

        rest = tokens[opening.tokens :]
        if rest and order.policy is not None:
            known = None if opening.held is None else opening.held.kv
            held = build_policy(order.policy).thin(
                self._memory.engine, rest, 1.0, past=known, position=opening.tokens
            )
            return held.kv if known is None else join([known, held.kv])
        if rest:
            opening.session.feed(rest)
        kv = whole_run(opening, opening.session, len(tokens))
        if kv is None:
            raise AssertionError("exact blocks hold every token")
        return kv

    def _thinned(self, path: str, tokens: list[int], order: Order) -> _Run:
        """What a policy keeps of a run of tokens, the question unknown."""
        from mneme.memories.activation.policies import build_policy

        salt, begun = salt_of(self._vault.parts.secret, path), perf_counter()
        held = build_policy(order.policy or "").thin(self._memory.engine, tokens, order.keep)
        cost_s = perf_counter() - begun
        blocks = self._memory.whole(salt, tokens, held, form=order.form, cost_s=cost_s)
        return _Run(tokens, blocks, None, cost_s)

    def _add_index(self, path: str, tokens: list[int], kv: KV, blocks: Blocks) -> None:
        from mneme.memories.activation.partial import index_row

        row, data = index_row(self._memory, salt_of(self._vault.parts.secret, path), tokens, kv)
        blocks.rows.append(row)
        blocks.files[row.name] = data

    def _prove(self, run: _Run, promoted: Sequence[Promoted], order: Order) -> float | None:
        """How far what is kept answers from what was computed; the gate of activation memory.

        None where tokens were left out: there is nothing to hold it against, and it only has to
        answer at all.

        Raises:
            GateFailedError: Further than the form allows.
        """
        from mneme.memories.activation.memory import relative

        engine = self._memory.engine
        said = [{"role": "user", "content": _PROBE}]
        plain = not engine.has_template
        prompt = engine.render(messages_of(promoted, said, "", plain=plain))
        rest = prompt[len(run.tokens) :] or prompt[-1:]
        if run.kv is None:
            self._memory.answer_of(run.blocks, rest)
            return None
        computed = engine.session(run.kv).feed(rest)
        error = relative(self._memory.answer_of(run.blocks, rest), computed)
        most = 0.0 if is_exact(order.form) else _ERRORS[codec_name(order.form)]
        if error > most:
            raise GateFailedError(
                f"the form {order.form} changes what the model answers by {error:.2g} of its "
                f"largest logit ({most} is allowed); use a more faithful form, or the text"
            )
        return error


def texts_of(vault: Vault, path: str, ids: Sequence[str]) -> list[Text]:
    """Cubes with their texts, as they are now.

    Raises:
        CubeNotFoundError: One of them is not readable.
    """
    with vault.parts.store.read() as tx:
        rows = [vault.lives.readable(tx, path, cube_id) for cube_id in ids]
        return [Text(row, tx.cubes.body(row.key, row.text_version)[0]) for row in rows]


def promoted_of(texts: Sequence[Text], special: Sequence[str]) -> list[Promoted]:
    """Cubes as they stand at the head of a prompt."""
    return [
        Promoted(
            title_of(
                row.type,
                None if row.event_at is None else f"{from_us(row.event_at):%Y-%m-%d}",
                trusted=row.trust == "trusted",
            ),
            harmless(body, special),
        )
        for row, body in texts
    ]
