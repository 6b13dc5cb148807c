"""The engines of a memory, each with its shards."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING

from mneme.app.parametric.answering import WeightsChat
from mneme.app.parametric.runs import Runs
from mneme.app.parametric.served import ServedChat
from mneme.app.parametric.shards import Shards
from mneme.app.parametric.weights import Weights
from mneme.core.errors import CubeNotFoundError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.phrasings import bank_of
from mneme.transform.text_to_adapter import Tuner
from mneme.vault.stale import TUNE, is_to_build

if TYPE_CHECKING:
    from collections.abc import Collection

    from mneme.app.activation.engines import Engines
    from mneme.app.parametric.settings import AdapterSettings
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.protocols import LanguageModel
    from mneme.memories.parametric.phrasings import Bank
    from mneme.vault.vault import Vault


class Models:
    """Weights of the engines that are attached, made when they are first needed.

    Args:
        vault: Has rows and files.
        engines: Those that are attached.
        settings: How shards are kept and served.
        model: A language model that words paraphrases, where there is one.
    """

    def __init__(
        self,
        vault: Vault,
        engines: Engines,
        settings: AdapterSettings,
        model: LanguageModel | None = None,
    ) -> None:
        self.vault, self._engines, self.settings = vault, engines, settings
        self._model = model
        self.runs = Runs(settings.folder, settings.checkpoint_s)
        self._bank: Bank | None = None
        self._weights: dict[str, Weights] = {}
        self._served: dict[str, ServedChat] = {}
        self._lock = Lock()

    @property
    def bank(self) -> Bank:
        """How relations are said and asked for.

        Raises:
            InvalidInputError: The file that the settings name is no bank of phrasings.
        """
        if self._bank is None:
            self._bank = bank_of(self.settings.phrasings)
        return self._bank

    def weights(self, engine: Engine) -> Weights:
        """The shards of an engine that is attached.

        Raises:
            InvalidInputError: It is not.
        """
        self._engines.get(engine)
        with self._lock:
            if engine.fingerprint not in self._weights:
                self._weights[engine.fingerprint] = Weights(
                    self.vault, engine, self.settings, self.bank
                )
            return self._weights[engine.fingerprint]

    def shards(self, engine: Engine) -> Shards:
        """Writes the shards of an engine that is attached."""
        attached = self._engines.get(engine)
        return Shards(
            self.vault, self.weights(engine), self.tuner(engine), attached.builders, self.runs,
            self.bank,
        )  # fmt: skip

    def tuner(self, engine: Engine) -> Tuner:
        """Writes adapters of an engine."""
        return Tuner(self.vault, engine, self.bank, self._model)

    def chat(self, engine: Engine) -> WeightsChat:
        """Answers from the shards of an engine."""
        return WeightsChat(self.weights(engine))

    def served(self, engine: RemoteEngine) -> ServedChat | None:
        """Answers from shards on a server; None where it takes none."""
        adapters = engine.adapters
        if adapters is None:
            return None
        with self._lock:
            if engine.id not in self._served:
                self._served[engine.id] = ServedChat(self.vault, adapters, self.bank)
            return self._served[engine.id]

    def of_base(self, base: str) -> Shards | None:
        """Writes shards of a base, if an engine of it is attached."""
        for attached in self._engines.all():
            if base_of(attached.engine.fields) == base:
                return self.shards(attached.engine)
        return None

    def hurry(self, engine: Engine) -> None:
        """Have shards that wait for an engine written now, since it is there."""
        base, now = base_of(engine.fields), self.vault.parts.clock.now_us()
        with self.vault.parts.store.read() as tx:
            waiting = [job for job in tx.ledger.jobs() if job.kind == TUNE and job.due_at > now]
        for job in waiting:
            told = json.loads(job.payload)
            try:
                row, _, _ = self.vault.adapters.header_of(told["namespace"], told["cube"])
            except CubeNotFoundError:
                continue
            if row.model == base:
                with self.vault.parts.store.write() as tx:
                    tx.ledger.enqueue(TUNE, job.unique_key, job.payload, now)

    def detach(self, fingerprint: str) -> None:
        """Let go of an engine's shards."""
        with self._lock:
            known = self._weights.pop(fingerprint, None)
        if known is not None:
            known.close()

    def let_go(self, path: str = "") -> None:
        """Drop from memory, and of runs under way, what no longer has a row."""
        with self._lock:
            known: list[Weights | ServedChat] = [*self._weights.values(), *self._served.values()]
        for each in known:
            each.let_go(path)
        self.runs.keep_only(self._to_build)

    def bytes(self) -> int:
        """Bytes of shards in memory."""
        with self._lock:
            return sum(each.bytes() for each in self._weights.values())

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            names = list(self._weights)
        for name in names:
            self.detach(name)

    def _to_build(self, cube_ids: Collection[str]) -> set[str]:
        """Those of the shards that are still to be written."""
        found = set()
        with self.vault.parts.store.read() as tx:
            for job in tx.ledger.jobs():
                if job.kind == TUNE:
                    told = json.loads(job.payload)
                    namespace = tx.cubes.namespace(told["namespace"])
                    row = namespace and tx.cubes.current(namespace.number, told["cube"])
                    if row and row.id in cube_ids and is_to_build(row):
                        found.add(row.id)
        return found
