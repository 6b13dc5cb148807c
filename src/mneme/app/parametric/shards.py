"""Facts to shards: what goes where, promised, written, proven, split where it does not fit."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from mneme.app.parametric.reading import facts_in
from mneme.core.errors import (
    BackendUnavailableError,
    GateFailedError,
    InvalidInputError,
    MissingDependencyError,
    MnemeError,
)
from mneme.core.lifecycle import HIDDEN
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.placing import ShardSize, place, split
from mneme.memories.parametric.training import Run
from mneme.transform.text_to_adapter import DoesNotFitError, Place, sources_of, training_of
from mneme.vault.adapter_writer import shards_of, wanted_ids
from mneme.vault.draft import Tuned
from mneme.vault.stale import facts_of, is_to_build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.parametric.runs import Runs
    from mneme.app.parametric.weights import Weights
    from mneme.core.cube import MemCube
    from mneme.core.rows import VersionRow
    from mneme.memories.activation.builders import Builders
    from mneme.memories.parametric.facts import Entry
    from mneme.memories.parametric.phrasings import Bank
    from mneme.memories.parametric.training import Training
    from mneme.transform.text_to_adapter import Tuner
    from mneme.vault.adapters import Shard
    from mneme.vault.vault import Vault

    Progress = Callable[[int, int, float], None]

_LOOK_STEPS = 8  # of training, between two looks whether it is still wanted
_ASKED = 200  # prompts of other shards that a new one must leave alone


class Wanted(NamedTuple):
    """A shard that is to be written.

    cube_id: The shard that gets more facts; None: a new one.
    ledger: All its facts.
    """

    cube_id: str | None
    ledger: FactLedger


class Plan(NamedTuple):
    """What a promotion comes to.

    shards: To be written.
    there: Ids of shards that carry some of the facts already.
    promised: Ids of shards that are to carry some of them, and are still to be written.
    left: Id of each cube that stays text, and why.
    """

    shards: list[Wanted]
    there: list[str]
    promised: list[str]
    left: list[tuple[str, str]]


class Shards:
    """Writes and keeps up the shards of one engine."""

    def __init__(
        self,
        vault: Vault,
        weights: Weights,
        tuner: Tuner,
        builders: Builders,
        runs: Runs,
        bank: Bank,
    ) -> None:
        self._vault, self._weights, self._tuner = vault, weights, tuner
        self._builders, self._runs, self._bank = builders, runs, bank

    def plan(self, path: str, rows: Sequence[VersionRow], training: Training) -> Plan:
        """What is to be written so that weights know the facts of cubes.

        Args:
            path: Of the namespace.
            rows: Cubes.
            training: How many facts a shard takes.
        """
        read = facts_in(self._vault, path, rows, self._bank)
        shards = self._weights.shards(path)
        carried = {cube_id: s.row.id for s in shards for cube_id in s.source_ids}
        promised = self._promised(path)
        ids = [fact.cube_id for fact in read.facts]
        there = dict.fromkeys(carried[i] for i in ids if i in carried)
        waiting = dict.fromkeys(promised[i] for i in ids if i in promised and i not in carried)
        fresh = [f for f in read.facts if f.cube_id not in {*carried, *promised}]
        ready = self._tuner.prepare(fresh)
        left = [*read.unread, *((fact.cube_id, why) for fact, why in ready.left_out)]
        wanted: list[Wanted] = []
        for kind in dict.fromkeys(read.labels[e.fact.cube_id] for e in ready.ledger.entries):
            entries = [e for e in ready.ledger.entries if read.labels[e.fact.cube_id] == kind]
            held = {s.row.id: self._still(path, s) for s in shards if _grows(s.row, training)}
            sizes = [
                ShardSize(
                    shard=s.row.id,
                    facts=len(held[s.row.id]),
                    group=(s.row.labels or "", s.row.trust),
                )
                for s in shards
                if s.row.id in held
            ]
            for placed in place(sizes, entries, training.facts_per_shard, group=kind):
                known = held[placed.shard] if placed.shard else ()
                wanted.append(Wanted(placed.shard, FactLedger((*known, *placed.facts))))
        return Plan(wanted, list(there), list(waiting), left)

    def promise(self, path: str, wanted: Wanted, training: Training) -> MemCube:
        """Write down what a shard is to carry, and the job that writes its weights.

        A shard that is in use stays in use as it is until then.
        """
        row, text = self._vault.adapters.promise(path, self._header(wanted, training))
        return self._vault.reader.show(path, row, text)

    def write(
        self,
        path: str,
        wanted: Wanted,
        training: Training,
        progress: Progress | None = None,
    ) -> list[MemCube]:
        """Write a shard now; several where its facts do not fit into one.

        Raises:
            GateFailedError: None of it could be proven.
        """
        cube_id = self.promise(path, wanted, training).id
        return self._attempt(path, cube_id, wanted, training, progress)

    def rebuild(self, path: str, cube_id: str, progress: Progress | None = None) -> list[MemCube]:
        """Write a shard that was promised, or that an edit made stale, from its texts as they are.

        Raises:
            GateFailedError: It stays text.
            CubeNotFoundError: It went meanwhile.
        """
        row, ids, facts = self._vault.adapters.header_of(path, cube_id)
        if not is_to_build(row):
            return [self._vault.reader.get(path, cube_id)]
        training = training_of(facts)
        with self._vault.parts.store.read() as tx:
            rows = [self._vault.lives.readable(tx, path, each) for each in ids]
        read = facts_in(self._vault, path, rows, self._bank)
        wanted = Wanted(cube_id, self._tuner.prepare(read.facts).ledger)
        return self._attempt(path, cube_id, wanted, training, progress)

    # -- within

    def _attempt(
        self,
        path: str,
        cube_id: str,
        wanted: Wanted,
        training: Training,
        progress: Progress | None,
    ) -> list[MemCube]:
        """A promised shard; as several where its facts do not fit; archived where it cannot be."""
        if len(wanted.ledger) > training.facts_per_shard:
            return self._several(path, cube_id, wanted, training, progress)
        try:
            return [self._written(path, cube_id, wanted.ledger, training, progress)]
        except DoesNotFitError:
            return self._several(path, cube_id, wanted, training, progress)
        except (GateFailedError, InvalidInputError, MissingDependencyError) as error:
            self._vault.adapters.refuse(path, cube_id, error.message)
            raise

    def _several(
        self,
        path: str,
        cube_id: str,
        wanted: Wanted,
        training: Training,
        progress: Progress | None,
    ) -> list[MemCube]:
        known = set(self._held(path, cube_id))
        self._vault.adapters.refuse(path, cube_id, "its facts are too many for one shard")
        if known:  # it stays in use with what it had
            entries = [e for e in wanted.ledger.entries if e.fact.cube_id not in known]
            return self.write(path, Wanted(None, FactLedger(tuple(entries))), training, progress)
        made: list[MemCube] = []
        failed: list[GateFailedError] = []
        for half in split(wanted.ledger):
            try:
                made += self.write(path, Wanted(None, half), training, progress)
            except GateFailedError as error:
                failed.append(error)
        if failed and not made:
            raise failed[0]
        return made

    def _held(self, path: str, cube_id: str) -> tuple[str, ...]:
        """The sources of a shard that is in use; nothing for one that is not."""
        shards = [s for s in self._weights.shards(path) if s.row.id == cube_id]
        return shards[0].source_ids if shards else ()

    def _still(self, path: str, shard: Shard) -> tuple[Entry, ...]:
        """The entries of a shard whose facts may still be said."""
        holds = self._vault.adapters.holds(path, shard.row, shard.source_ids)
        ledger = self._weights.ledger(path, shard.row.id)
        return tuple(entry for entry in ledger.entries if entry.fact.cube_id in holds)

    def _promised(self, path: str) -> dict[str, str]:
        """Of each fact that a shard is still to be written from, the id of that shard."""
        with self._vault.parts.store.read() as tx:
            rows = shards_of(tx, tx.cubes.namespace(path))
        found: dict[str, str] = {}
        for row in rows:
            if row.model == self._weights.base and row.state not in HIDDEN and is_to_build(row):
                found |= dict.fromkeys(wanted_ids(row), row.id)
        return found

    def _written(
        self,
        path: str,
        cube_id: str,
        ledger: FactLedger,
        training: Training,
        progress: Progress | None,
    ) -> MemCube:
        """One shard, written by whoever comes first; the others wait for it."""

        def watched(step: int, steps: int, loss: float) -> None:
            if step % _LOOK_STEPS == 0:
                self._vault.adapters.header_of(path, cube_id)  # it may have gone meanwhile
            if progress is not None:
                progress(step, steps, loss)

        def build() -> MemCube:
            run = Run(
                progress=watched,
                save=lambda data: self._runs.save(cube_id, data),
                saved=self._runs.saved(cube_id),
                save_every_s=self._runs.every_s,
            )
            try:
                row, text = self._tuner.write(self.place(path, [cube_id]), ledger, training, run)
            except BackendUnavailableError:  # somebody goes on from here
                raise
            except MnemeError:
                self._runs.drop(cube_id)
                raise
            self._runs.drop(cube_id)
            return self._vault.reader.show(path, row, text)

        return self._builders.once(f"tune {cube_id} {len(ledger)}", build)

    def place(self, path: str, cube_ids: Sequence[str]) -> Place:
        """Among what a shard is proven that is to stand for some others, or for one of them."""
        index = self._weights.index_without(path, cube_ids)
        asked = [
            prompt
            for shard in self._weights.shards(path)
            if shard.row.id not in cube_ids
            for entry in self._weights.ledger(path, shard.row.id).entries
            for prompt in entry.prompts[:1]
        ]
        return Place(
            path=path,
            cube_id=cube_ids[0] if len(cube_ids) == 1 else None,
            index=index,
            others=self._weights.indexes_of_others(path),
            asked=asked[:_ASKED],
            conflicts=lambda ledger: self._weights.rivals.newer(path, ledger),
        )

    def _header(self, wanted: Wanted, training: Training) -> Tuned:
        return Tuned(
            sources=sources_of(wanted.ledger),
            base=self._weights.base,
            carrier=training.writer,
            form=training.form,
            facts=len(wanted.ledger),
            cube_id=wanted.cube_id,
            extra={"training": asdict(training)},
        )


def _grows(row: VersionRow, training: Training) -> bool:
    """Whether further facts may go into a shard: written here, from texts, by the same writer.

    Not while others are promised to it.
    """
    same = row.method == "trained" and facts_of(row).get("carrier") == training.writer
    return same and not is_to_build(row)
