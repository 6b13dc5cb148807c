"""Any history of facts leaves shards that say what may be said, and files of nothing else."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mneme import CubeNotFoundError, InvalidInputError, Namespace, VersionConflictError
from mneme.testing.clocks import HandClock
from mneme.testing.shards import Shelf, files_of, header_of
from mneme.vault.stale import TUNE
from mneme.vault.sweep import GRACE_US

WORDS = ("green", "blue", "red")


@dataclass
class Fact:
    """What the model knows of a text."""

    id: str
    said: int = 1  # the version that holds its text
    archived: bool = False
    forgotten: bool = False


@dataclass
class Version:
    """What one version of a shard was written from."""

    digest: str
    sources: tuple[tuple[Fact, int], ...]


@dataclass
class Made:
    """What the model knows of a shard."""

    id: str
    number: int
    method: str
    sources: tuple[tuple[Fact, int], ...]
    state: str
    now: str = ""  # the digest
    ended: str = ""
    used: bool = False  # before it became stale
    carried: set[str] = field(default_factory=set)  # ids, of any version
    versions: dict[int, Version] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)  # ids of facts that took it along
    forgotten: bool = False
    promised: tuple[Fact, ...] | None = None

    @property
    def visible(self) -> bool:
        return not self.hidden and not self.forgotten

    @property
    def in_use(self) -> bool:
        return self.visible and self.state == "activated" and not self.ended

    @property
    def wanted(self) -> bool:
        """Whether an erasure has it written again."""
        if self.forgotten or self.ended in {"refused", "demoted"}:
            return False
        return self.used if self.ended else self.state != "archived"

    @property
    def carries(self) -> list[str]:
        """Ids of what it was written from."""
        return [fact.id for fact, _ in self.sources]

    @property
    def ids(self) -> tuple[str, ...]:
        """Of what it is to be written from."""
        facts = [f for f, _ in self.sources] if self.promised is None else self.promised
        return tuple(fact.id for fact in facts)


class ShardsMachine(RuleBasedStateMachine):
    """Changes facts and shards, and a model of them."""

    facts = Bundle("facts")
    known: list[Fact]
    made: dict[str, Made]
    count: int

    @initialize(target=facts)
    def open(self) -> MultipleResults[Fact]:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = HandClock()
        self.shelf = Shelf(self.folder / "store", self.clock)
        self.known, self.made, self.count = [], {}, 0
        facts = [self.add(word) for word in (*WORDS, *WORDS[:1])]
        self._kept((facts[0], facts[1]), None, "trained")
        return multiple(*facts)

    def teardown(self) -> None:
        if hasattr(self, "shelf"):
            self.shelf.adapters.sweep()
            assert self.shelf.memory.verify().problems == ()
            self.shelf.memory.close()
            shutil.rmtree(self.folder)

    @property
    def alice(self) -> Namespace:
        return self.shelf.memory.namespace("alice")

    # -- facts

    @rule(target=facts, word=st.sampled_from(WORDS))
    def add_fact(self, word: str) -> Fact:
        return self.add(word)

    def add(self, word: str) -> Fact:
        fact = Fact(self.alice.add(self._text(word), type="fact")[0].id)
        self.known.append(fact)
        return fact

    @rule(fact=facts, word=st.sampled_from(WORDS))
    def edit(self, fact: Fact, word: str) -> None:
        text = self._text(word)
        if not self._refused(fact.forgotten, lambda: self.alice.update(fact.id, text=text)):
            self._changed(fact)

    @rule(fact=facts, data=st.data())
    def roll_back_fact(self, fact: Fact, data: st.DataObject) -> None:
        if not fact.forgotten:
            newest = self.alice.get(fact.id).version
            self.alice.rollback(fact.id, to_version=data.draw(st.integers(1, newest)))
            self._changed(fact)

    @rule(fact=facts)
    def archive_or_activate(self, fact: Fact) -> None:
        if not fact.forgotten:
            (self.alice.activate if fact.archived else self.alice.archive)(fact.id)
            fact.archived = not fact.archived

    @rule(fact=facts)
    def forget(self, fact: Fact) -> None:
        if self._refused(fact.forgotten, lambda: self.alice.forget(fact.id)):
            return
        fact.forgotten = True
        for made in self.made.values():
            if fact.id in made.carried and not made.forgotten:
                made.hidden.add(fact.id)

    @rule(fact=facts)
    def restore(self, fact: Fact) -> None:
        if fact.forgotten:
            self.alice.restore(fact.id)
            fact.forgotten = False
            for made in self.made.values():
                made.hidden.discard(fact.id)

    @rule(fact=consumes(facts), data=st.data())
    def erase(self, fact: Fact, data: st.DataObject) -> None:
        others = [m.id for m in self.made.values() if data.draw(st.booleans())][:1]
        gone = [m for m in self.made.values() if fact.id in m.carried or m.id in others]
        left = self._left(fact, gone, others)
        stays = {n for m in self.made.values() if m not in gone for n in m.names}
        names = {n for m in gone for n in m.names} - stays
        receipt = self.alice.erase([fact.id, *others])
        assert set(receipt.erased) == {fact.id, *(m.id for m in gone)}
        assert (receipt.checked["files"], receipt.checked["files_found"]) == (len(names), 0)
        assert receipt.rows["adapter_file"] == sum(len(m.names) for m in gone)
        assert (receipt.checked["found"], receipt.complete) == (0, True)
        for made in gone:
            del self.made[made.id]
        fact.forgotten = True
        self.known.remove(fact)
        assert len(receipt.rebuilt) == len(left)
        for cube_id, (old, facts) in zip(receipt.rebuilt, left, strict=True):
            cube = self.alice.get(cube_id)
            assert cube.metadata["shard"] == self._free(old.number)
            assert [s.cube_id for s in cube.provenance.sources] == [f.id for f in facts]
            self._add(cube_id, tuple(facts), cube.metadata["shard"], "generated")

    def _left(
        self, fact: Fact, gone: list[Made], targets: list[str]
    ) -> list[tuple[Made, list[Fact]]]:
        """What is promised again: in order of writing, what was merged last."""
        facts = {each.id: each for each in self.known}
        wanted = [m for m in gone if m.wanted and m.id not in targets]
        live = {i for m in self.made.values() if m not in gone and m.in_use for i in m.carries}
        left = []
        for merged in (False, True):
            for made in wanted:
                if (made.method == "merged") != merged:
                    continue
                ids = [i for i in made.ids if i != fact.id and not (merged and i in live)]
                live |= set(ids)
                found = [facts[i] for i in ids if not facts[i].forgotten]
                if found:
                    left.append((made, found))
        return left

    # -- shards

    @rule(data=st.data())
    def promise(self, data: st.DataObject) -> None:
        facts = self._some(data)
        if not facts:
            return
        row = self.shelf.promise(*(self.alice.get(fact.id) for fact in facts))
        self._add(row.id, facts, self._free(), "generated")

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def promise_more(self, data: st.DataObject) -> None:
        made, facts = self._one(data), self._some(data)
        if not made.visible or not facts:
            return
        cubes = [self.alice.get(fact.id) for fact in facts]
        if made.ended == "demoted":
            with pytest.raises(InvalidInputError):
                self.shelf.promise(*cubes, into=made.id)
            return
        self.shelf.promise(*cubes, into=made.id)
        if made.in_use:
            made.promised = facts
            return
        made.state, made.ended, made.now, made.promised = "generated", "", "", None
        made.method = "trained"
        self._carry(made, facts)

    @rule(data=st.data(), into=st.booleans())
    def tune(self, data: st.DataObject, into: bool) -> None:
        self._tune(data, into=into)

    def _tune(self, data: st.DataObject, *, into: bool) -> None:
        facts = self._some(data)
        target = self._one(data) if into and self.made else None
        if not facts or (target is not None and not target.visible):
            return
        if target is not None and target.ended == "demoted":
            with pytest.raises(InvalidInputError):
                self._kept(facts, target, "trained")
            return
        self._kept(facts, target, "trained")

    @rule(data=st.data())
    def tune_more(self, data: st.DataObject) -> None:
        self._tune(data, into=True)

    @rule(data=st.data(), shelve=st.booleans())
    def merge(self, data: st.DataObject, shelve: bool) -> None:
        parts = [m for m in self.made.values() if m.in_use and m.method == "trained"][:2]
        facts = tuple(dict.fromkeys(f.id for m in parts for f, _ in m.sources))
        found = tuple(f for f in self.known if f.id in facts and not f.forgotten)
        if len(parts) < 2 or not found:
            return
        self._kept(found, None, "merged")
        for part in parts if shelve else ():
            self.alice.archive(part.id)
            part.state = "archived"

    @rule(fact=facts)
    def keep_what_was_edited_meanwhile(self, fact: Fact) -> None:
        if not fact.forgotten:
            before = self.alice.get(fact.id)
            self.alice.update(fact.id, text=self._text("other"))
            self._changed(fact)
            with pytest.raises(VersionConflictError):
                self.shelf.tune(before)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        made = self._one(data)
        adding = made.in_use and made.promised is not None
        if self._refused(
            not made.visible, lambda: self.shelf.adapters.refuse("alice", made.id, "no")
        ):
            return
        made.promised = None
        if not adding:
            made.state, made.ended, made.now = "archived", "refused", ""

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def demote(self, data: st.DataObject) -> None:
        made = self._one(data)
        if self._refused(not made.visible, lambda: self.shelf.adapters.demote("alice", made.id)):
            return
        made.state, made.ended, made.now, made.promised = "archived", "demoted", "", None
        made.names = set()

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def archive_or_activate_shard(self, data: st.DataObject) -> None:
        made = self._one(data)
        if not made.visible:
            return
        if made.ended or made.state == "generated":
            with pytest.raises(InvalidInputError):
                self.alice.activate(made.id)
        elif made.state == "archived":
            self.alice.activate(made.id)
            made.state = "activated"
        else:
            self.alice.archive(made.id)
            made.state = "archived"

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def forget_or_restore_shard(self, data: st.DataObject) -> None:
        made = self._one(data)
        if made.visible:
            self.alice.forget(made.id)
            made.forgotten = True
        else:  # also while a source of it is hidden
            self.alice.restore(made.id)
            made.forgotten, made.hidden = False, set()

    @precondition(lambda self: any(made.versions for made in self.made.values()))
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        some = sorted(made.id for made in self.made.values() if made.versions)
        made = self.made[data.draw(st.sampled_from(some))]
        number = data.draw(st.sampled_from(sorted(made.versions)))
        old = made.versions[number]

        def act() -> object:
            return self.alice.rollback(made.id, to_version=number)

        true = all(not f.forgotten and f.said == said for f, said in old.sources)
        if made.visible and not (true and any(n.startswith(old.digest) for n in made.names)):
            with pytest.raises(InvalidInputError):
                act()
        elif not self._refused(not made.visible, act):
            if made.ended or made.state == "generated":
                made.state = "activated"
            made.ended, made.now, made.sources = "", old.digest, old.sources
            made.method = self.alice.get(made.id).provenance.method

    # -- the world

    @rule()
    def reopen(self) -> None:
        self.shelf.memory.close()
        self.shelf = Shelf(self.folder / "store", self.clock)

    @rule(fact=facts)
    def die_before_the_rows(self, fact: Fact) -> None:
        if not fact.forgotten:
            self.shelf.put(files_of(self.alice.get(fact.id), said=f"lost {self.count}"))

    @rule()
    def time_passes(self) -> None:
        self.clock.move_s(GRACE_US / 1e6 + 1)
        self.shelf.adapters.sweep()
        assert self.shelf.files() == self.shelf.rows()

    # -- what must hold

    @invariant()
    def shards_are_those_in_use_and_say_what_may_be_said(self) -> None:
        if not hasattr(self, "shelf"):
            return
        wanted = {m.id: tuple(f.id for f, _ in m.sources) for m in self.made.values() if m.in_use}
        assert self.shelf.usable() == wanted
        every = [fact.id for fact in self.known]
        for shard in self.shelf.adapters.shards("alice", "b" * 64):
            made = self.made[shard.row.id]
            assert (shard.digest, shard.number) == (made.now, made.number)
            assert self.shelf.adapters.holds("alice", shard.row, every) == {
                fact.id
                for fact, said in made.sources
                if not fact.forgotten and not fact.archived and fact.said == said
            }

    @invariant()
    def files_are_those_of_versions_that_are_there(self) -> None:
        if not hasattr(self, "shelf"):
            return
        names = {name for made in self.made.values() for name in made.names}
        assert self.shelf.rows() == names
        with self.shelf.memory.vault.parts.store.read() as tx:
            doomed = set(tx.outbox.doomed(1 << 62))
        assert names <= self.shelf.files() <= names | doomed
        for made in self.made.values():
            for number, version in made.versions.items() if made.visible else ():
                digest, files = self.shelf.adapters.files_of("alice", made.id, number)
                held = {n for n in made.names if n.startswith(version.digest)}
                assert {file.name for file in files} == held
                assert digest == (version.digest if held else "")

    @invariant()
    def what_is_to_be_written_has_a_job(self) -> None:
        if not hasattr(self, "shelf"):
            return
        with self.shelf.memory.vault.parts.store.read() as tx:
            jobs = {json.loads(j.payload)["cube"] for j in tx.ledger.jobs() if j.kind == TUNE}
        for made in self.made.values():
            promised = made.state == "generated" or (made.in_use and made.promised is not None)
            if made.visible and (promised or (made.ended == "stale" and made.used)):
                assert made.id in jobs

    # -- within

    def _text(self, word: str) -> str:
        self.count += 1
        return f"The door of house number {self.count} in the lane is painted {word}."

    def _some(self, data: st.DataObject) -> tuple[Fact, ...]:
        there = [fact for fact in self.known if not fact.forgotten]
        if not there:
            return ()
        numbers = st.lists(st.sampled_from(range(len(there))), min_size=1, max_size=3, unique=True)
        return tuple(there[number] for number in data.draw(numbers))

    def _one(self, data: st.DataObject) -> Made:
        return self.made[data.draw(st.sampled_from(sorted(self.made)))]

    def _free(self, wanted: int = 0) -> int:
        taken = {made.number for made in self.made.values()}
        if wanted and wanted not in taken:
            return wanted
        return next(number for number in range(1, 999) if number not in taken)

    def _add(self, cube_id: str, facts: tuple[Fact, ...], number: int, state: str) -> Made:
        self.made[cube_id] = Made(cube_id, number, "trained", (), state)
        self._carry(self.made[cube_id], facts)
        return self.made[cube_id]

    def _carry(self, made: Made, facts: tuple[Fact, ...]) -> None:
        made.sources = tuple((fact, fact.said) for fact in facts)
        made.carried |= {fact.id for fact in facts}

    def _kept(self, facts: tuple[Fact, ...], target: Made | None, method: str) -> None:
        cubes = [self.alice.get(fact.id) for fact in facts]
        files = files_of(*cubes, said=method)
        digest = next(iter(files)).digest
        into = None if target is None else target.id
        header = header_of(*cubes, into=into, digest=digest, method=method)
        row, _ = self.shelf.adapters.keep("alice", header, self.shelf.put(files))
        if target is None:
            target = self._add(row.id, facts, self._free(), "activated")
        self._carry(target, facts)
        shelved = target.state == "archived" and not target.ended
        target.state = "archived" if shelved else "activated"
        target.now, target.ended, target.method, target.promised = digest, "", method, None
        target.names |= {file.name for file in files}
        target.versions[row.version] = Version(digest, target.sources)

    def _changed(self, fact: Fact) -> None:
        """What an edit does to the shards that carry a fact now."""
        said = self.shelf.memory.vault.reader.header("alice", fact.id).text_version
        if said == fact.said:
            return
        fact.said = said
        for made in self.made.values():
            ready = made.state == "generated" and made.visible
            if fact in [each for each, _ in made.sources] and not made.ended and not ready:
                made.used = made.state != "archived"
                made.state, made.ended = "archived", "stale"

    def _refused(self, hidden: bool, act: Callable[[], object]) -> bool:
        if hidden:
            with pytest.raises(CubeNotFoundError):
                act()
        else:
            act()
        return hidden


@pytest.mark.parametrize(
    ("runs", "steps"), [(40, 40), pytest.param(200, 60, marks=pytest.mark.slow)]
)
def test_shards_say_what_may_be_said_and_leave_nothing(runs: int, steps: int) -> None:
    run_state_machine_as_test(
        ShardsMachine,
        _min_steps=steps // 2,  # else most histories are too short to tell anything
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
