"""Engines that are attached to a memory, each with its keys and values."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from mneme.app.activation.attached import Attached
from mneme.app.activation.chat import Chat
from mneme.app.activation.keep import Keeper
from mneme.app.activation.opening import Opener
from mneme.app.activation.promote import Promoter
from mneme.app.activation.prompting import Prompter
from mneme.app.activation.proofs import keep_proof, mend_in_use
from mneme.app.activation.remote import Pins, RemoteChat
from mneme.core.errors import InvalidInputError
from mneme.memories.activation.ledger import Ledger
from mneme.transform.text_to_kv import Prefiller

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import TypeIs

    from mneme.app.activation.attached import KVSettings
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.protocols import TokenCounter
    from mneme.memories.activation.proof import Proof
    from mneme.vault.vault import Vault


class Engines:
    """The engines of one memory, by fingerprint.

    Args:
        vault: Has the rows of blocks and the places of their files.
        settings: How blocks are kept.
        counter: Estimates tokens for engines behind servers.
        chance: Gives numbers from 0 to 1, to sample what is verified.
        used: Told the numbers of blocks that were used.
    """

    def __init__(
        self,
        vault: Vault,
        settings: KVSettings,
        *,
        counter: TokenCounter,
        chance: Callable[[], float],
        used: Callable[[Sequence[int]], None],
    ) -> None:
        self._vault, self.settings = vault, settings
        self._counter, self._chance, self._used = counter, chance, used
        self.ledger = Ledger()
        self._attached: dict[str, Attached] = {}
        self._lock = Lock()
        self._drops = 0

    def attach(self, engine: Engine | RemoteEngine) -> None:
        """Let an engine use the memory; what is attached stays as it is."""
        if is_remote(engine):
            return
        with self._lock:
            if engine.fingerprint not in self._attached:
                self._attached[engine.fingerprint] = self._made(engine)

    def detach(self, engine: Engine | RemoteEngine) -> None:
        """Let go of an engine, and of the keys and values that are in memory for it."""
        with self._lock:
            known = self._attached.pop(getattr(engine, "fingerprint", ""), None)
        if known is not None:
            known.close()

    def get(self, engine: Engine) -> Attached:
        """An engine that was attached.

        Raises:
            InvalidInputError: It was not, or is none.
        """
        fingerprint = getattr(engine, "fingerprint", None)
        if not isinstance(fingerprint, str):
            raise InvalidInputError(
                f"engine takes what mneme.engine(path) gives, not {type(engine).__name__}"
            )
        known = self.find(fingerprint)
        if known is None:
            raise InvalidInputError("this engine is not attached; call memory.attach(engine) first")
        return known

    def find(self, fingerprint: str) -> Attached | None:
        """The engine of a fingerprint, if it is attached."""
        with self._lock:
            return self._attached.get(fingerprint)

    def promoter(self, engine: Engine | RemoteEngine) -> Promoter | Pins:
        """Promotes for an engine that is attached, or one behind a server."""
        if is_remote(engine):
            return self.pins(engine.id)
        attached = self.get(engine)
        return Promoter(self._vault, attached, self.prefiller(attached))

    def pins(self, engine_id: str) -> Pins:
        """Lets texts stand at the head of prompts for an engine behind a server."""
        return Pins(self._vault, engine_id, self._counter)

    def chat(self, engine: Engine | RemoteEngine) -> Chat | RemoteChat:
        """Chats with an engine that is attached, or one behind a server."""
        if is_remote(engine):
            return RemoteChat(self._vault, engine, self._counter)
        attached = self.get(engine)
        opener = Opener(self._vault, attached, self.settings, chance=self._chance, used=self._used)
        prefiller = self.prefiller(attached)
        keeper = Keeper(self._vault, attached, prefiller, form=self.settings.form)
        return Chat(engine, Prompter(self._vault, engine), opener, keeper)

    def prove(self, engine: Engine, texts: Sequence[str] | None) -> Proof:
        """Measure whether texts may be moved in prompts of an engine, and keep what came out."""
        from mneme.memories.activation.proof import prompts_of, prove

        engine = self.get(engine).engine
        runs = [engine.render([{"role": "user", "content": text}]) for text in texts or ()]
        proof = prove(engine, prompts_of(runs) if runs else None, mend=mend_in_use())
        keep_proof(self._vault, proof)
        return proof

    def prefiller(self, attached: Attached) -> Prefiller:
        """Builds activation cubes for an engine."""
        from mneme.memories.activation.eviction import order

        return Prefiller(
            self._vault, attached.memory, disk_bytes=self.settings.disk_bytes,
            worst=lambda rows: order(
                rows, self._vault.parts.clock.now_us(), eviction=self.settings.eviction
            ),
        )  # fmt: skip

    def all(self) -> list[Attached]:
        """Every engine that is attached."""
        with self._lock:
            return list(self._attached.values())

    def let_go(self, _path: str = "") -> None:
        """Drop from memory what no longer has a row, whoever deleted it."""
        attached = self.all()
        if not attached:
            return
        drops = self._vault.blocks.drops()
        if drops == self._drops:
            return
        for each in attached:
            each.memory.tiers.forget_all_but(self._vault.blocks.present)
        self._drops = drops

    def bytes(self) -> dict[str, int]:
        """Bytes in memory, by tier."""
        sums: dict[str, int] = {}
        for each in self.all():
            for tier, size in each.memory.tiers.bytes().items():
                sums[tier] = sums.get(tier, 0) + size
        return sums

    def close(self) -> None:
        """Stop what runs behind, and let go of all."""
        for each in self.all():
            self.detach(each.engine)

    def _made(self, engine: Engine) -> Attached:
        from mneme.memories.activation.builders import Builders
        from mneme.memories.activation.memory import ActivationMemory
        from mneme.memories.activation.prefetch import Prefetcher
        from mneme.memories.activation.tiers import Tiers

        settings = self.settings
        tiers = Tiers(
            self._vault.parts.blobs,
            device=engine.device,
            dtype=engine.model.dtype,
            host_bytes=settings.host_bytes,
            device_bytes=settings.device_bytes,
            eviction=settings.eviction,
        )
        memory = ActivationMemory(engine, tiers, block=settings.block_tokens)
        return Attached(engine, memory, Builders(settings.folder), Prefetcher(tiers))


def is_remote(engine: Engine | RemoteEngine) -> TypeIs[RemoteEngine]:
    """Whether an engine is behind a server."""
    return hasattr(engine, "stream") and not hasattr(engine, "session")
