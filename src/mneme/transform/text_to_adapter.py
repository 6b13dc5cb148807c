"""Text to weights: facts become a shard, written from the base and proven before it may be used.

What fails its gate stays text; what was changed meanwhile is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import GateFailedError, InvalidInputError
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.synthesis import entries_of
from mneme.memories.parametric.training import Run
from mneme.vault.draft import Tuned

if TYPE_CHECKING:
    from mneme.core.engine import Engine
    from mneme.core.protocols import LanguageModel
    from mneme.core.rows import VersionRow
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.bundle import Bundle
    from mneme.memories.parametric.facts import Fact
    from mneme.memories.parametric.gate_report import GateReport
    from mneme.memories.parametric.phrasings import Bank
    from mneme.memories.parametric.router import RouterIndex
    from mneme.memories.parametric.training import Training
    from mneme.vault.vault import Vault

_NEW = "new"  # how a shard without a cube is called in an index
_PROBES = 200  # prompts that ask for something else, of each kind
_FITS = ("efficacy", "paraphrase")  # what fails where too many facts share a shard


class Prepared(NamedTuple):
    """Facts with their prompts, and those that cannot be asked for."""

    ledger: FactLedger
    left_out: list[tuple[Fact, str]]


class Fresh(NamedTuple):
    """An adapter that nobody has judged yet.

    method: "trained" or "merged".
    extra: Further facts for the metadata, as JSON.
    """

    adapter: Adapter
    ledger: FactLedger
    figures: Mapping[str, float]
    method: str = "trained"
    extra: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose shard is written, and among what.

    Attributes:
        path: Of the namespace.
        cube_id: The cube that is to hold it; None: a new one.
        index: A copy of the index of this namespace, without this shard.
        others: Those of other owners.
        asked: Prompts that other shards answer.
        conflicts: Ids of cubes that say something newer of the same.
    """

    path: str
    cube_id: str | None
    index: RouterIndex
    others: Sequence[RouterIndex] = ()
    asked: Sequence[str] = ()
    conflicts: Callable[[FactLedger], Sequence[str]] = lambda _ledger: ()


class DoesNotFitError(GateFailedError):
    """The facts are too many for one shard: fewer may fit."""


class Tuner:
    """Writes shards of one engine.

    Args:
        vault: Where cubes and files are.
        engine: The base.
        bank: How relations are said and asked for.
        model: A language model that words paraphrases, where there is one.
    """

    def __init__(
        self, vault: Vault, engine: Engine, bank: Bank, model: LanguageModel | None = None
    ) -> None:
        self._vault, self._engine = vault, engine
        self._bank, self._model = bank, model

    def prepare(self, facts: Sequence[Fact]) -> Prepared:
        """Prompts for facts, some of them held back for the gate."""
        found = entries_of(facts, self._bank, known=self._known, model=self._model)
        return Prepared(FactLedger(tuple(found.entries)), list(found.left_out))

    def write(
        self, place: Place, ledger: FactLedger, training: Training, run: Run
    ) -> tuple[VersionRow, str]:
        """Write a shard, prove it, keep it.

        Raises:
            GateFailedError: It does not say what its texts say, or changes what it must not.
            DoesNotFitError: The same, and fewer facts may do better.
            CubeNotFoundError: A source went meanwhile; nothing is kept.
            VersionConflictError: A source was changed meanwhile; likewise.
            UnsuitedModelError: The model has nothing that can be adapted.
        """
        from mneme.memories.parametric.course import course_of
        from mneme.memories.parametric.writers import build_writer

        if not len(ledger):
            raise InvalidInputError("there is no fact that could be asked for; it stays text")
        course = course_of(
            self._engine, ledger, bank=self._bank, distill=training.distill > 0,
            seed=training.seed, after_turns=training.after_turns,
        )  # fmt: skip
        written = build_writer(training.writer).write(self._engine, course, training, run)
        fresh = Fresh(written.adapter, ledger, written.figures)
        return self.keep(place, fresh, training)

    def keep(self, place: Place, fresh: Fresh, training: Training) -> tuple[VersionRow, str]:
        """Hold an adapter against its gate as it will be kept, and keep it if it passes."""
        adapter, ledger = fresh.adapter, fresh.ledger
        from mneme.memories.parametric.bundle import pack, rows, unpack

        about = {
            "owner": place.path,
            "base": adapter.base,
            "carrier": adapter.carrier,
            "form": training.form,
            "training": asdict(training),
        }
        trial = pack(adapter, ledger, {}, about, training.form)
        tried = unpack(trial.files, rows(trial), base=adapter.base).adapter
        size = len(trial.files["adapter_model.safetensors"])
        report = self.judge(place, tried, ledger, size)
        header = Tuned(
            sources=sources_of(ledger),
            base=adapter.base,
            carrier=adapter.carrier,
            form=training.form,
            facts=len(ledger),
            cube_id=place.cube_id,
            method=fresh.method,
            extra={
                "training": asdict(training),
                "gate": json.loads(report.to_json()),
                "figures": dict(fresh.figures),
                **fresh.extra,
            },
        )
        if not report.passed:
            fewer = (
                set(report.failed) <= set(_FITS) and len(ledger) > 1 and fresh.method == "trained"
            )
            error = DoesNotFitError if fewer else GateFailedError
            why = report.reason.removeprefix(f"{report.shard} stays text: ")
            raise error(f"the shard stays text: {why}")
        bundle = pack(adapter, ledger, json.loads(report.to_json()), about, training.form)
        return stored(self._vault, place.path, header, bundle)

    def judge(self, place: Place, adapter: Adapter, ledger: FactLedger, size: int) -> GateReport:
        """The gate: what the adapter answers, and what it must leave alone."""
        from mneme.memories.parametric.gate import probe_logits, run_gate
        from mneme.memories.parametric.neighbours import neighbours
        from mneme.memories.parametric.writers import build_carrier

        near = neighbours(ledger, self._bank, self._known, seed=1, count=2 * _PROBES)
        probes = [*list(place.asked)[:_PROBES], *near[1::2]] or near
        before = probe_logits(self._engine, probes)
        applied = build_carrier(adapter.carrier).apply(self._engine, adapter)
        place.index.put(place.cube_id or _NEW, ledger)  # a copy: nobody is routed by it
        try:
            return run_gate(
                self._engine,
                applied,
                ledger,
                adapter_base=adapter.base,
                index=place.index,
                shard=place.cube_id or _NEW,
                probes=probes,
                before=before,
                neighbours=near[::2],
                others=place.others,
                conflicts=place.conflicts(ledger),
                size_bytes=size,
            )
        finally:
            applied.close()

    def _known(self, text: str) -> bool:
        """Whether the tokenizer knows every word of a text."""
        from mneme.memories.parametric.course import knows

        return knows(self._engine, text)


def keep_unproven(
    vault: Vault, path: str, adapter: Adapter, ledger: FactLedger, header: Tuned
) -> tuple[VersionRow, str]:
    """Keep an adapter that nothing is routed to, so that no gate stands before it."""
    from mneme.memories.parametric.bundle import pack

    about = {"owner": path, "method": header.method}
    return stored(vault, path, header, pack(adapter, ledger, {}, about, header.form))


def stored(vault: Vault, path: str, header: Tuned, bundle: Bundle) -> tuple[VersionRow, str]:
    """Keep a version: files first, then rows in one transaction.

    Raises:
        StoreFullError: There is no room for the files.
        CubeNotFoundError: A source went meanwhile; nothing is kept.
        VersionConflictError: A source was changed meanwhile; likewise.
    """
    from mneme.memories.parametric.bundle import rows

    files = rows(bundle)
    place = vault.parts.adapters
    if place is None:
        raise InvalidInputError("this memory has no place for adapters")
    vault.adapters.expect([file.name for file in files])
    place.put({file.name: bundle.files[file.part] for file in files})
    return vault.adapters.keep(path, replace(header, digest=bundle.digest), files)


def training_of(facts: Mapping[str, Any]) -> Training:
    """The settings that a shard was written with, from its metadata."""
    from mneme.memories.parametric.training import Training

    said = facts.get("training")
    known = Training.__dataclass_fields__
    return Training(**{name: at for name, at in (said or {}).items() if name in known})


def sources_of(ledger: FactLedger) -> tuple[tuple[str, int], ...]:
    """Id and version of the cubes that facts came from, in order."""
    seen: dict[str, int] = {}
    for entry in ledger.entries:
        seen.setdefault(entry.fact.cube_id, entry.fact.version)
    return tuple(seen.items())
