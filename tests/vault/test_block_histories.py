"""Any history of texts leaves blocks of what may be said now, and of nothing else."""

from __future__ import annotations

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
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mneme import CubeNotFoundError, Namespace, VersionConflictError
from mneme.core.rows import BlockRow, VersionRow
from mneme.testing.clocks import HandClock
from mneme.testing.prefills import ENGINE, Places, rows_of
from mneme.vault.sweep import GRACE_US

WORDS = ("tea", "rye", "oats", "milk", "salt")


@dataclass
class Text:
    """What the model knows of a text."""

    id: str
    says: list[str]  # by version
    state: str = "activated"
    forgotten: bool = False

    @property
    def now(self) -> str:
        return self.says[-1]


@dataclass
class Made:
    """What the model knows of an activation cube."""

    id: str
    texts: tuple[Text, ...]
    said: tuple[str, ...]  # what was computed
    live: bool = True  # neither stale nor demoted
    archived: bool = False
    hidden: set[str] = field(default_factory=set)  # ids of what took it along
    names: set[str] = field(default_factory=set)  # of blocks that were not dropped


class BlocksMachine(RuleBasedStateMachine):
    """Changes texts and activation cubes, and a model of them."""

    texts = Bundle("texts")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.places = Places(self.folder / "store", HandClock())
        self.known: list[Text] = []
        self.made: dict[tuple[str, ...], Made] = {}

    known: list[Text]
    made: dict[tuple[str, ...], Made]

    def teardown(self) -> None:
        if hasattr(self, "places"):
            self.everything_down(down=False)
            self.places.memory.drain()
            assert self.places.memory.verify().problems == ()
            self.places.memory.close()
            shutil.rmtree(self.folder)

    @property
    def alice(self) -> Namespace:
        return self.places.memory.namespace("alice")

    # -- texts

    @rule(target=texts, word=st.sampled_from(WORDS))
    def add(self, word: str) -> Text:
        text = Text(self.alice.add(_said(word, len(self.known)))[0].id, [])
        text.says.append(_said(word, len(self.known)))
        self.known.append(text)
        return text

    @precondition(lambda self: self.known)
    @rule(text=texts, word=st.sampled_from(WORDS))
    def edit(self, text: Text, word: str) -> None:
        said = _said(word, self.known.index(text))
        if self._refused(text.forgotten, lambda: self.alice.update(text.id, text=said)):
            return
        text.says.append(said)
        self._changed(text)

    @rule(text=texts, data=st.data())
    def roll_back(self, text: Text, data: st.DataObject) -> None:
        if text.forgotten:
            return
        history = self.alice.history(text.id)
        to = data.draw(st.integers(1, len(history)))
        self.alice.rollback(text.id, to_version=to)
        same = history[to - 1].text == text.now and _text_version(self, text) == (
            _text_version(self, text, len(history))
        )
        text.says.append(history[to - 1].text)
        if not same:
            self._changed(text)

    @rule(text=texts)
    def archive_or_activate(self, text: Text) -> None:
        if text.forgotten:
            return
        if text.state == "activated":
            self.alice.archive(text.id)
            text.state = "archived"
        else:
            self.alice.activate(text.id)
            text.state = "activated"

    @rule(text=texts)
    def forget(self, text: Text) -> None:
        if self._refused(text.forgotten, lambda: self.alice.forget(text.id)):
            return
        text.forgotten = True
        for made in self.made.values():
            if text in made.texts and not made.hidden:
                made.hidden.add(text.id)

    @rule(text=texts)
    def restore(self, text: Text) -> None:
        if not text.forgotten:
            return
        self.alice.restore(text.id)
        text.forgotten = False
        for made in self.made.values():
            made.hidden.discard(text.id)

    @rule(text=consumes(texts))
    def erase(self, text: Text) -> None:
        gone = [key for key, made in self.made.items() if text in made.texts]
        receipt = self.alice.erase(text.id)
        assert set(receipt.erased) == {text.id, *(self.made[key].id for key in gone)}
        assert receipt.complete or self.places.far.down
        if receipt.rows.get("block"):
            assert receipt.complete != self.places.far.down
        for key in gone:
            del self.made[key]
        text.forgotten = True

    # -- activation cubes

    @rule(first=texts, other=texts, form=st.sampled_from(["raw", "int8"]))
    def promote(self, first: Text, other: Text, form: str) -> None:
        if self.places.far.down:
            return
        texts = (first,) if first is other else (first, other)
        if any(text.forgotten for text in texts):
            return
        cubes = [self.alice.get(text.id) for text in texts]
        row = self.places.promote(*cubes, form=form)
        key = (form, *(text.id for text in texts))
        assert key not in self.made or self.made[key].id == row.id
        said = tuple(text.now for text in texts)
        names = {each.name for each in rows_of("alice", "\n".join(said), form=form)}
        self.made[key] = Made(row.id, texts, said, names=names)

    @rule(text=texts)
    def promote_what_was_edited_meanwhile(self, text: Text) -> None:
        if text.forgotten or self.places.far.down:
            return
        before = self.alice.get(text.id)
        self.alice.update(text.id, text=_said("stale", self.known.index(text)))
        text.says.append(_said("stale", self.known.index(text)))
        self._changed(text)
        with pytest.raises(VersionConflictError):
            self.places.promote(before)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def demote(self, data: st.DataObject) -> None:
        made = self.made[data.draw(st.sampled_from(sorted(self.made)))]
        if self._refused(bool(made.hidden), lambda: self.places.blocks.demote("alice", made.id)):
            return
        made.live, made.names = False, set()

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def archive_cube(self, data: st.DataObject) -> None:
        made = self.made[data.draw(st.sampled_from(sorted(self.made)))]
        if made.hidden or not made.live:
            return
        (self.alice.activate if made.archived else self.alice.archive)(made.id)
        made.archived = not made.archived

    @precondition(lambda self: self.made)
    @rule(share=st.floats(0, 1))
    def make_room(self, share: float) -> None:
        rows = self.places.rows()
        total = sum(row.size for row in rows)
        order = sorted(rows, key=lambda row: (row.key, row.form))

        def worst(_: list[BlockRow]) -> list[BlockRow]:
            return order

        assert self.places.blocks.make_room(int(total * share), total, worst)
        left = {row.name for row in self.places.rows()}
        assert sum(row.size for row in self.places.rows()) + int(total * share) <= total
        for made in self.made.values():
            made.names &= left

    # -- the world

    @rule()
    def reopen(self) -> None:
        self.places.memory.close()
        self.places.memory = self.places.open(self.places.near, self.places.far)

    @rule(down=st.booleans())
    def everything_down(self, down: bool) -> None:
        self.places.far.down = down

    @rule()
    def time_passes(self) -> None:
        self.places.clock.move_s(GRACE_US / 1e6 + 1)
        self.places.memory.drain()

    # -- what must hold

    @invariant()
    def carriers_are_what_may_be_said_now(self) -> None:
        if not hasattr(self, "places"):
            return
        wanted = {
            made.id: (len(made.names), tuple(text.id for text in made.texts))
            for made in self.made.values()
            if made.live
            and not made.archived
            and not made.hidden
            and all(not t.forgotten and t.state == "activated" for t in made.texts)
            and made.said == tuple(text.now for text in made.texts)
        }
        found = self.places.blocks.carriers("alice", ENGINE)
        assert {each.row.id: (each.blocks, each.source_ids) for each in found} == wanted

    @invariant()
    def blocks_are_those_that_a_cube_holds(self) -> None:
        if not hasattr(self, "places"):
            return
        held = {name for made in self.made.values() for name in made.names}
        with self.places.memory.vault.parts.store.read() as tx:
            assert tx.blocks.names() == held
            doomed = set(tx.outbox.doomed(1 << 62))
        for made in self.made.values():
            if made.names:
                assert made.said == tuple(text.now for text in made.texts)
        missing = held - set(self.places.near.names())
        assert not missing
        assert set(self.places.near.names()) <= held | doomed
        if not self.places.far.down:
            assert set(self.places.far.names()) <= held | doomed

    @invariant()
    def hits_are_of_what_may_be_read(self) -> None:
        if not hasattr(self, "places"):
            return
        visible = {
            name
            for made in self.made.values()
            if not made.hidden and not any(text.forgotten for text in made.texts)
            for name in made.names
        }
        held = {name for made in self.made.values() for name in made.names}
        keys = [bytes.fromhex(name[:64]) for name in held]
        with self.places.blocks.matching("alice", ENGINE) as index:
            assert {row.name for row in index.of_keys(keys)} == visible

    # -- within

    def _changed(self, text: Text) -> None:
        """What an edit does to the cubes that carry a text."""
        for made in self.made.values():
            if text in made.texts and made.live:
                made.live, made.names = False, set()

    def _refused(self, hidden: bool, act: Callable[[], object]) -> bool:
        if hidden:
            with pytest.raises(CubeNotFoundError):
                act()
        else:
            act()
        return hidden


def _said(word: str, number: int) -> str:
    return f"Number {number} on the list of the shop is {word} and a bag of it will do."


def _text_version(machine: BlocksMachine, text: Text, version: int | None = None) -> int:
    vault = machine.places.memory.vault
    row: VersionRow = vault.reader.header("alice", text.id)
    if version is None:
        return row.text_version
    with vault.parts.store.read() as tx:
        found = tx.cubes.version_at(row.key, version)
    assert found is not None
    return found[1].text_version


@pytest.mark.parametrize(
    ("runs", "steps"), [(12, 40), pytest.param(150, 60, marks=pytest.mark.slow)]
)
def test_blocks_are_those_of_what_may_be_said(runs: int, steps: int) -> None:
    run_state_machine_as_test(
        BlocksMachine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
