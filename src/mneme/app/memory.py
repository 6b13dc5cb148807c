"""MemoryOS: the verbs on a whole store, each a short delegation."""

from __future__ import annotations

import random
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Self

from mneme.core.moments import optional_us
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.schedule.jobs import Jobs
from mneme.schedule.usage import Usage
from mneme.schedule.worker import Worker
from mneme.vault import audit
from mneme.vault.keys import KeyRing
from mneme.vault.stale import PREFILL, TUNE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from mneme.app.activation.attached import KVSettings
    from mneme.app.activation.reply import Reply
    from mneme.app.parametric.settings import AdapterSettings
    from mneme.core.cube import MemCube
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.protocols import LanguageModel, TokenCounter
    from mneme.core.tabular import QueryDoor
    from mneme.ingest.reader import Limits
    from mneme.memories.activation.proof import Proof
    from mneme.vault.audit import AuditEntry
    from mneme.vault.upkeep import Report, Stats
    from mneme.vault.vault import Vault

    Moment = datetime | str | None
    Cubes = list[MemCube]  # `list` is a verb within Namespace
    Target = str | Sequence[str] | None


from mneme.app.access import AccessVerbs
from mneme.app.activation.engines import Engines, is_remote
from mneme.app.activation.jobs import hurry, prefilling
from mneme.app.activation.prompting import Prompter
from mneme.app.handlers import handlers_of
from mneme.app.namespace import Namespace
from mneme.app.parametric.jobs import tuning
from mneme.app.parametric.models import Models
from mneme.app.parametric.together import Together
from mneme.app.shared import Shared
from mneme.ingest.listen import Listener
from mneme.recall.search import Searcher

_LONGEST_PROOF = 1 << 20  # bytes of a text to measure by


class MemoryOS(AccessVerbs):
    """One store of memories, and the background work on it. A context manager."""

    def __init__(
        self,
        vault: Vault,
        *,
        counter: TokenCounter,
        door: QueryDoor,
        limits: Limits,
        kv: KVSettings,
        adapters: AdapterSettings,
        with_worker: bool = True,
        model: LanguageModel | None = None,
        learn: bool = False,
        sleeps: bool = True,
    ) -> None:
        self.vault = vault
        self._usage = Usage(vault.parts)
        self._jobs = Jobs(vault, self._usage)
        listener = Listener(vault, model=model)
        self._jobs.handle(handlers_of(vault, self._jobs, listener, model, sleeps=sleeps))
        self._engines = Engines(
            vault, kv, counter=counter, chance=random.random, used=self._usage.count_blocks
        )
        self._models = Models(vault, self._engines, adapters, model)
        self._jobs.handle(
            {
                PREFILL: prefilling(vault, self._engines),
                TUNE: tuning(vault, self._models, self._jobs.keep_on),
            }
        )
        self._worker = Worker(self._jobs, vault.parts.clock, self._let_go) if with_worker else None
        self._closed = False
        self._keys = KeyRing(vault.parts)
        self._shared = Shared(
            vault=vault,
            searcher=Searcher(vault, counter),
            usage=self._usage,
            limits=limits,
            wake=self._wake,
            catch_up=listener.catch_up,
            counter=counter,
            door=door,
            model=model,
            learn=learn,
            engines=self._engines,
            models=self._models,
        )
        vault.eraser.caches += [door.let_go, self._let_go]
        self._wake()  # another process may have left jobs behind

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @strict
    def namespace(self, path: str | tuple[str, ...]) -> Namespace:
        """The memories of one owner; `"acme/alice"` or `("acme", "alice")`."""
        return Namespace(self._shared, checks.namespace_of(path))

    @strict
    def namespaces(self, prefix: str = "") -> list[str]:
        """Paths of namespaces that hold a cube."""
        start = checks.text_of(prefix, name="prefix", max_bytes=1024) if prefix != "" else ""
        with self.vault.parts.store.read() as tx:
            return tx.cubes.namespaces(start, self.vault.parts.clock.now_us())

    @strict
    def attach(self, engine: Engine | RemoteEngine) -> None:
        """Let a model use the memory: cubes can become keys and values for it, and be asked.

        Args:
            engine: What `mneme.engine(path)` or `mneme.remote_engine(...)` gives. What an edit
                made stale for it is built again by a job.
        """
        self._engines.attach(engine)
        if not is_remote(engine):
            hurry(self.vault, engine.fingerprint)
            self._models.hurry(engine)
            if self._worker is not None:
                self._worker.wake()  # it also notices what other processes erase

    @strict
    def prove(self, engine: Engine, *, texts: Sequence[str] | None = None) -> Proof:
        """Measure whether promoted texts may be moved to other places in prompts of a model.

        An approximation (EPIC: the first tokens of a moved text are computed again) that saves the
        prefill of texts whose keys and values were computed behind other texts. It is off for a
        model until this has passed for it; what is found stays with the store.

        Args:
            engine: One that is attached.
            texts: Such as will be promoted, of 64 tokens or more each; None: random tokens, which
                tell something only of models that continue what they saw before.

        Raises:
            InvalidInputError: The engine is not attached.
            UnsuitedModelError: The model's keys cannot be moved.
        """
        if texts is not None:
            texts = [checks.text_of(each, name="texts", max_bytes=_LONGEST_PROOF) for each in texts]
        return self._engines.prove(engine, texts)

    @strict
    def chat_many(
        self,
        questions: Sequence[tuple[str, str]],
        *,
        engine: Engine,
        budget_tokens: int = 1500,
        max_new_tokens: int = 256,
    ) -> list[Reply]:
        """Answer questions of many namespaces in batches; nothing is remembered.

        Each row of a batch has its own namespace's shard on, or none: then text is in its prompt.

        Args:
            questions: Namespace and question of each.
            engine: One that is attached.
            budget_tokens: Of recalled text, for each.
            max_new_tokens: Of each answer, the likeliest one (greedy).
        """
        asked = [
            self.namespace(path)._asking(question, budget_tokens, max_new_tokens)
            for path, question in checks.pairs_of(questions, name="questions")
        ]
        prompter = Prompter(self.vault, self._engines.get(engine).engine)
        return Together(self._models.weights(engine), prompter).answer(asked)

    @strict
    def detach(self, engine: Engine | RemoteEngine) -> None:
        """Let go of a model; what was built for it stays on disk."""
        self._models.detach(getattr(engine, "fingerprint", ""))
        self._engines.detach(engine)

    @strict
    def drain(self, timeout_s: float | None = None) -> int:
        """Run due jobs in this thread until none is left or time is up; the number run."""
        left_s = checks.seconds_of(timeout_s, name="timeout_s")
        end = None if left_s is None else monotonic() + left_s
        ran = 0
        while (end is None or monotonic() < end) and self._jobs.run_one():
            ran += 1
        return ran

    @strict
    def verify(self, *, audit_head: str | None = None) -> Report:
        """Check rows, indexes, checksums, derivation and the audit chain."""
        if audit_head != "":  # the head of a store in which nothing was done yet
            checks.name_of(audit_head, name="audit_head")
        return self.vault.upkeep.verify(audit_head)

    @strict
    def audit(self, *, since: Moment = None) -> list[AuditEntry]:
        """The audit entries, oldest first."""
        after = optional_us(since, self._shared.limits.zone, name="since")
        with self.vault.parts.store.read() as tx:
            return list(audit.entries(tx.ledger, after))

    @strict
    def audit_head(self) -> str:
        """The newest hash of the audit chain, to keep outside."""
        with self.vault.parts.store.read() as tx:
            return tx.ledger.last_audit()[1]

    @strict
    def rebuild(self, *, progress: Callable[[int, int], None] | None = None) -> None:
        """Make every index entry anew from the texts."""
        self.vault.upkeep.rebuild(progress)

    @strict
    def reindex(self, *, progress: Callable[[int, int], None] | None = None) -> None:
        """Give every text a vector of the embedder in the settings; may be interrupted."""
        self.vault.upkeep.embed_missing(progress, keep_on=lambda: True)

    @strict
    def snapshot(self, path: str | Path) -> None:
        """Write a consistent copy to a new folder, which `open` can open."""
        self.vault.upkeep.snapshot(checks.path_of(path))

    @strict
    def stats(self) -> Stats:
        """Counts, bytes and job states; what keys and values saved in this process."""
        known = self.vault.upkeep.stats()
        in_memory = {f"activation {tier}": n for tier, n in self._engines.bytes().items()}
        in_memory["parametric host"] = self._models.bytes()
        return replace(known, bytes=known.bytes | in_memory, ledger=self._engines.ledger.sums())

    @property
    def counter(self) -> TokenCounter:
        """Counts the tokens of texts for a prompt."""
        return self._shared.counter

    def close(self) -> None:
        """Stop background work and close the store."""
        if self._closed:
            return
        self._closed = True
        if self._worker is not None:
            self._worker.stop()
        self._models.close()
        self._engines.close()
        try:
            self._usage.flush()
        finally:
            self.vault.parts.store.close()

    def _let_go(self, path: str = "") -> None:
        """Drop from memory what was computed of texts that are gone."""
        self._engines.let_go(path)
        self._models.let_go(path)

    def _wake(self) -> None:
        """Let the worker look for jobs, if there are any."""
        if self._worker is not None and not self._closed and self._jobs.next_due() is not None:
            self._worker.wake()
