"""Any sequence of changes leaves a store that says what a dictionary says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

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

from mneme import (
    CubeNotFoundError,
    FrozenCubeError,
    LifecycleError,
    MemCube,
    Namespace,
    VersionConflictError,
)
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

SPACES = ("alice", "alice/work", "bob")
SETTINGS = Settings(worker=False, embedder="none")
EDGES = {
    "archive": ("activated", "archived"),
    "activate": ("archived", "activated"),
    "freeze": ("activated", "frozen"),
    "unfreeze": ("frozen", "activated"),
}


@dataclass
class Known:
    """What the dictionary knows of a cube."""

    space: str
    id: str
    versions: list[tuple[str, str, dict[str, Any]]]  # text, state, metadata
    words: list[str]  # that only the newest text holds, one for each part of a document
    forgotten: bool = False
    past: list[tuple[datetime, int]] = field(default_factory=list)  # moment, version then
    document: bool = False

    @property
    def text(self) -> str:
        return self.versions[-1][0]

    @property
    def state(self) -> str:
        return self.versions[-1][1]

    def then(self, *, text: str | None = None, state: str | None = None, **more: Any) -> None:  # noqa: ANN401
        old = self.versions[-1]
        metadata = more.get("metadata")
        self.versions.append(
            (
                old[0] if text is None else text,
                old[1] if state is None else state,
                old[2] if metadata is None else metadata,
            )
        )


class StoreMachine(RuleBasedStateMachine):
    """Changes a store and a dictionary alike."""

    cubes = Bundle("cubes")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock, self.known, self.number = HandClock(), [], 0
        self.gone: list[tuple[str, str]] = []  # namespace and word of what no search may find
        self._open()

    known: list[Known]

    def _open(self) -> None:
        outside = Outside(clock=self.clock, embedder=HashEmbedder(16))
        self.memory = build(self.folder / "store", settings=SETTINGS, outside=outside)

    def teardown(self) -> None:
        if hasattr(self, "memory"):
            assert self.memory.verify().ok
            self.memory.close()
            shutil.rmtree(self.folder)

    def space(self, cube: Known) -> Namespace:
        return self.memory.namespace(cube.space)

    def word(self) -> str:
        self.number += 1
        return f"zq{self.number}kx"

    # -- changes

    @rule(target=cubes, space=st.sampled_from(SPACES), mood=st.sampled_from(["calm", "glad"]))
    def add(self, space: str, mood: str) -> Known:
        word = self.word()
        text = f"The {mood} keyword of this line is {word}."
        made = self.memory.namespace(space).add(text, session=space, metadata={"mood": mood})[0]
        cube = Known(space, made.id, [(text, "activated", {"mood": mood})], [word])
        self.known.append(cube)
        return cube

    @rule(target=cubes, space=st.sampled_from(SPACES))
    def add_document(self, space: str) -> Known:
        words = [self.word() for _ in range(3)]
        made = self.memory.namespace(space).add(_document(words), type="document")
        assert len(made) == 4
        versions: list[tuple[str, str, dict[str, Any]]] = [(_document(words), "activated", {})]
        cube = Known(space, made[0].id, versions, words, document=True)
        self.known.append(cube)
        return cube

    @rule(cube=cubes, expected=st.sampled_from([None, "right", "wrong"]))
    def update(self, cube: Known, expected: str | None) -> None:
        version = {None: None, "right": len(cube.versions), "wrong": len(cube.versions) + 1}[
            expected
        ]
        words = [*cube.words[:-1], self.word()]
        text = _document(words) if cube.document else f"Now the keyword is {words[-1]}."

        def act() -> MemCube:
            return self.space(cube).update(cube.id, text=text, expected_version=version)

        if cube.forgotten:
            return self._refused(CubeNotFoundError, act)
        if expected == "wrong":
            return self._refused(VersionConflictError, act)
        if cube.state == "frozen":
            return self._refused(FrozenCubeError, act)
        assert act().version == len(cube.versions) + 1
        self.gone.append((cube.space, cube.words[-1]))
        cube.words = words
        cube.then(text=text)
        return None

    @rule(cube=cubes, mood=st.sampled_from(["calm", "glad", "odd"]))
    def update_metadata(self, cube: Known, mood: str) -> None:
        def act() -> MemCube:
            return self.space(cube).update(cube.id, metadata={"mood": mood})

        if cube.forgotten:
            return self._refused(CubeNotFoundError, act)
        if cube.state == "frozen":
            return self._refused(FrozenCubeError, act)
        act()
        cube.then(metadata={"mood": mood})
        return None

    @rule(cube=cubes, data=st.data())
    def roll_back(self, cube: Known, data: st.DataObject) -> None:
        to = data.draw(st.integers(1, len(cube.versions)))

        def act() -> MemCube:
            return self.space(cube).rollback(cube.id, to_version=to)

        if cube.forgotten:
            return self._refused(CubeNotFoundError, act)
        if cube.state == "frozen":
            return self._refused(FrozenCubeError, act)
        act()
        text, _, metadata = cube.versions[to - 1]
        words = [word.rstrip(".") for word in text.split() if word.startswith("zq")]
        self.gone += [(cube.space, word) for word in cube.words if word not in words]
        self.gone = [each for each in self.gone if each[1] not in words]
        cube.words = words
        cube.then(text=text, metadata=metadata)
        return None

    @rule(cube=cubes, verb=st.sampled_from(sorted(EDGES)))
    def move(self, cube: Known, verb: str) -> None:
        leaves, enters = EDGES[verb]

        def act() -> MemCube:
            changed: MemCube = getattr(self.space(cube), verb)(cube.id)
            return changed

        if cube.forgotten:
            return self._refused(CubeNotFoundError, act)
        if cube.state != leaves:
            wanted = FrozenCubeError if cube.state == "frozen" else LifecycleError
            return self._refused(wanted, act)
        assert act().state == enters
        cube.then(state=enters)
        return None

    @rule(cube=cubes)
    def forget(self, cube: Known) -> None:
        def act() -> int:
            return self.space(cube).forget(cube.id)

        if cube.forgotten:
            return self._refused(CubeNotFoundError, act)
        assert act() >= 1
        cube.versions.append((cube.text, "forgotten", cube.versions[-1][2]))
        cube.forgotten = True
        return None

    @rule(cube=cubes)
    def restore(self, cube: Known) -> None:
        def act() -> MemCube:
            return self.space(cube).restore(cube.id)

        if not cube.forgotten:
            return self._refused(LifecycleError, act)
        cube.forgotten = False
        cube.then(state=cube.versions[-2][1])
        assert act().state == cube.state
        return None

    @rule(cube=consumes(cubes))
    def erase(self, cube: Known) -> None:
        receipt = self.space(cube).erase(cube.id)
        assert cube.id in receipt.erased
        assert receipt.complete
        assert receipt.checked["found"] == 0
        self.known.remove(cube)
        self.gone += [(cube.space, word) for word in cube.words]

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        self._open()

    @rule()
    def drain(self) -> None:
        self.memory.drain()

    @rule(cube=cubes)
    def remember_this_moment(self, cube: Known) -> None:
        moment = datetime.fromtimestamp(self.clock.now_us() / 1e6 + 0.0005, UTC)
        cube.past.append((moment, len(cube.versions)))

    @rule(space=st.sampled_from(SPACES))
    def export_and_import(self, space: str) -> None:
        self.memory.namespace(space).export(self.folder / "cubes")
        outside = Outside(clock=self.clock, embedder=HashEmbedder(16))
        with build(self.folder / "other", settings=SETTINGS, outside=outside) as other:
            copy = other.namespace(space)
            wanted = self._readable(space, include_archived=True)
            report = copy.import_(self.folder / "cubes")
            again = copy.import_(self.folder / "cubes")
            assert again.added == 0
            assert again.repeated == report.added >= len(wanted)
            for cube in wanted:
                self._compare(copy, cube)
            assert other.verify().ok
        shutil.rmtree(self.folder / "other")

    # -- what must hold

    @invariant()
    def lists_say_what_is_there(self) -> None:
        for space in SPACES:
            for archived in (False, True):
                found = self._all(space, include_archived=archived)
                wanted = self._readable(space, include_archived=archived)
                tops = [each for each in found if not each.provenance.sources]
                assert [each.id for each in tops] == [each.id for each in wanted]
                assert [each.text for each in tops] == [each.text for each in wanted]

    @rule(space=st.sampled_from(SPACES), mood=st.sampled_from(["calm", "glad", "odd"]))
    def filters_take_what_they_name(self, space: str, mood: str) -> None:
        page = self.memory.namespace(space).list(filters={"metadata.mood": mood})
        readable = self._readable(space, include_archived=False)
        wanted = [cube.id for cube in readable if cube.versions[-1][2].get("mood") == mood]
        assert [cube.id for cube in page.items] == wanted

    @rule(cube=cubes)
    def histories_and_moments_stay(self, cube: Known) -> None:
        space = self.space(cube)
        if cube.forgotten:
            self._refused(CubeNotFoundError, lambda: space.get(cube.id))
            self._refused(CubeNotFoundError, lambda: space.history(cube.id))
            for moment, _ in cube.past:
                self._refused(CubeNotFoundError, partial(space.get, cube.id, as_of=moment))
            return
        self._compare(space, cube)
        for moment, version in cube.past:
            assert space.get(cube.id, as_of=moment).version == version
        others = [each for each in SPACES if each != cube.space]
        for other in others:
            get = self.memory.namespace(other).get
            self._refused(CubeNotFoundError, partial(get, cube.id))

    @precondition(lambda self: self.known)
    @rule(cube=cubes)
    def search_finds_what_may_be_found(self, cube: Known) -> None:
        space = self.space(cube)
        for word in cube.words:
            found = _finds(space, word)
            assert found == (not cube.forgotten and cube.state in {"activated", "frozen"}), word
            assert _finds(space, word, include_archived=True) == (not cube.forgotten), word

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def search_finds_nothing_that_is_gone(self, data: st.DataObject) -> None:
        space, word = data.draw(st.sampled_from(self.gone))
        assert not _finds(self.memory.namespace(space), word, include_archived=True)

    @rule(cube=cubes, data=st.data())
    def search_of_the_past_finds_what_was_there(self, cube: Known, data: st.DataObject) -> None:
        if not cube.past:
            return
        moment, version = data.draw(st.sampled_from(cube.past))
        text, state, _ = cube.versions[version - 1]
        word = next(each.rstrip(".") for each in text.split() if each.startswith("zq"))
        was_there = not cube.forgotten and state in {"activated", "frozen"}
        assert _finds(self.space(cube), word, as_of=moment) == was_there

    # -- within

    def _readable(self, space: str, *, include_archived: bool) -> list[Known]:
        states = {"activated", "frozen"} | ({"archived"} if include_archived else set())
        return [
            cube
            for cube in self.known
            if cube.space == space and not cube.forgotten and cube.state in states
        ]

    def _all(self, space: str, *, include_archived: bool) -> list[MemCube]:
        namespace, cursor = self.memory.namespace(space), None
        found: list[MemCube] = []
        while True:
            page = namespace.list(limit=3, cursor=cursor, include_archived=include_archived)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    def _compare(self, space: Namespace, cube: Known) -> None:
        history = space.history(cube.id)
        assert [(each.text, each.state, dict(each.metadata)) for each in history] == cube.versions
        assert [each.version for each in history] == list(range(1, len(history) + 1))
        newest = space.get(cube.id)
        assert (newest.text, newest.version) == (cube.text, len(cube.versions))

    def _refused(self, error: type[Exception], act: Callable[[], object]) -> None:
        head = self.memory.audit_head()
        with pytest.raises(error):
            act()
        assert self.memory.audit_head() == head


def _document(words: list[str]) -> str:
    return "\n\n".join(f"# Part {n}\n\nHere the keyword is {w}." for n, w in enumerate(words))


def _finds(space: Namespace, word: str, **options: Any) -> bool:  # noqa: ANN401
    hits = space.search(word, limit=5, **options)
    return any(word in hit.cube.text.replace(".", " ").split() for hit in hits)


@pytest.mark.parametrize(
    ("runs", "steps"), [(8, 40), pytest.param(200, 50, marks=pytest.mark.slow)]
)
def test_a_store_says_what_a_dictionary_says(runs: int, steps: int) -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
