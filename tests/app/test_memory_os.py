"""The calls on a whole memory, as the public contract states them."""

from __future__ import annotations

from pathlib import Path

import pytest

import mneme
from mneme import (
    ForbiddenError,
    ImportRefusedError,
    InvalidInputError,
    MissingDependencyError,
    Namespace,
    Settings,
)
from mneme.app.memory import MemoryOS
from mneme.testing.clocks import HandClock


def test_open_makes_the_folder_and_ends_with_the_context(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"
    with mneme.open(folder) as memory:
        memory.namespace("alice").add("I moved to Oslo in March.", session="s1", at="2026-03-20")
    with pytest.raises(ForbiddenError):
        memory.stats()
    with mneme.open(str(folder)) as memory:
        hits = memory.namespace("alice").search("Where does Alice live?", now="2026-06-01")
        assert hits[0].cube.text == "I moved to Oslo in March."


def test_open_takes_the_target_of_the_settings(tmp_path: Path) -> None:
    with mneme.open(settings=Settings(target=str(tmp_path / "there"), embedder="none")):
        assert (tmp_path / "there" / "mneme.db").exists()


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInputError):
        mneme.open(tmp_path / "file")
    with pytest.raises(MissingDependencyError):
        mneme.open("postgresql://localhost/db")
    with pytest.raises(InvalidInputError):
        mneme.open("https://example.org/x")
    with pytest.raises(InvalidInputError):
        mneme.open(tmp_path, settings=Settings(embedder="unknown"))
    with pytest.raises(TypeError, match="settings"):
        mneme.open(tmp_path, setting=None)  # type: ignore[call-arg]


def test_namespaces_are_those_that_hold_a_cube(memory: MemoryOS) -> None:
    memory.namespace("acme/alice").add("One.")
    memory.namespace(("acme", "bob")).add("Two.")
    gone = memory.namespace("zoe").add("Three.")[0]
    memory.namespace("nobody").list()
    assert memory.namespaces() == ["acme/alice", "acme/bob", "zoe"]
    assert memory.namespaces("acme/") == ["acme/alice", "acme/bob"]
    memory.namespace("zoe").forget(gone.id)
    assert memory.namespaces() == ["acme/alice", "acme/bob"]


def test_drain_runs_what_is_due(memory: MemoryOS, alice: Namespace, clock: HandClock) -> None:
    cube = alice.add("Until tomorrow.", expires_at="2027-01-01", infer="none")[0]
    assert memory.drain() == 0
    assert memory.stats().jobs == {"waiting": 1}
    clock.move_s(365 * 86400)
    with pytest.raises(mneme.CubeNotFoundError):  # by the clock, before any job
        alice.get(cube.id)
    assert memory.drain(timeout_s=10) >= 1
    assert memory.stats().states == {"expired": 1}
    assert memory.drain(timeout_s=0) == 0


def test_the_audit_chain_tells_each_change_and_no_content(
    memory: MemoryOS, alice: Namespace
) -> None:
    head = memory.audit_head()
    cube = alice.add("The word is puffin.")[0]
    alice.update(cube.id, text="The word is razorbill.")
    alice.erase(cube.id, reason="asked for")
    entries = memory.audit()
    assert [(entry.verb, entry.version) for entry in entries] == [
        ("add", 1), ("update", 2), ("erase", 2)
    ]  # fmt: skip
    assert {entry.cube_id for entry in entries} == {cube.id}
    assert entries[-1].hash == memory.audit_head() != head
    assert memory.audit(since=entries[1].at)[0].verb == "update"
    assert not any("puffin" in repr(entry) for entry in entries)
    assert memory.verify(audit_head=head).ok
    assert memory.verify(audit_head=entries[1].hash).ok
    assert not memory.verify(audit_head="0" * 64).ok


def test_a_changed_audit_entry_is_found(memory: MemoryOS, alice: Namespace) -> None:
    alice.add("One.")
    alice.add("Two.")
    with memory.vault.parts.store.write() as tx:
        tx._run("UPDATE audit SET verb = 'x' WHERE number = 1")  # type: ignore[attr-defined]
    report = memory.verify()
    assert not report.ok
    assert "audit entry 1" in report.problems[0]
    with memory.vault.parts.store.write() as tx:
        tx._run("UPDATE audit SET verb = 'add' WHERE number = 1")  # type: ignore[attr-defined]


def test_rebuild_makes_the_index_from_the_rows(memory: MemoryOS, alice: Namespace) -> None:
    for number in range(300):
        alice.add(f"The code of day {number} is zq{number}x.")
    with memory.vault.parts.store.write() as tx:
        tx._run("UPDATE entry SET terms = x'', spans = spans || spans")  # type: ignore[attr-defined]
    assert not memory.verify().ok
    seen: list[tuple[int, int]] = []
    memory.rebuild(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (300, 300)
    assert memory.verify().ok
    assert alice.search("zq7x", limit=1)[0].cube.text == "The code of day 7 is zq7x."


def test_a_snapshot_opens_by_itself(memory: MemoryOS, alice: Namespace, tmp_path: Path) -> None:
    cube = alice.add("Before.")[0]
    memory.snapshot(tmp_path / "copy")
    alice.update(cube.id, text="After.")
    with mneme.open(tmp_path / "copy") as copy:
        assert copy.namespace("alice").get(cube.id).text == "Before."
        assert copy.verify().ok
    with pytest.raises(ImportRefusedError):
        memory.snapshot(tmp_path / "copy")
    assert f"snapshot: {tmp_path / 'copy'}" in alice.erase(cube.id).not_reached


def test_stats_count_what_is_there(memory: MemoryOS, alice: Namespace) -> None:
    cubes = alice.add(["One.", "Two.", "Three."])
    alice.archive(cubes[0].id)
    alice.update(cubes[1].id, text="Two again.")
    stats = memory.stats()
    assert stats.counts["cubes"] == 3
    assert stats.counts["versions"] == 5
    assert stats.states == {"activated": 2, "archived": 1}
    assert stats.types == {"turn": 3}
    assert stats.bytes["text"] == len("One.Two.Three.Two again.")
    assert stats.bytes["disk"] > 0
    assert stats.missing_vectors == 0
    assert stats.embedder == "hash:words:32"


def test_public_names_are_all_there() -> None:
    for name in mneme.__all__:
        assert getattr(mneme, name) is not None
    assert set(mneme.__all__) <= set(dir(mneme))
    with pytest.raises(AttributeError):
        mneme.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        ("CubeNotFoundError", KeyError),
        ("InvalidInputError", ValueError),
        ("UnknownArgumentError", TypeError),
        ("BackendUnavailableError", ConnectionError),
        ("MissingDependencyError", ImportError),
        ("ImportRefusedError", ValueError),
        ("ForbiddenError", PermissionError),
        ("StoreFullError", OSError),
        ("VersionConflictError", Exception),
        ("FrozenCubeError", Exception),
        ("IdempotencyConflictError", Exception),
        ("StoreCorruptError", Exception),
        ("GateFailedError", Exception),
        ("LifecycleError", ValueError),
    ],
)
def test_errors_are_also_the_builtin_they_resemble(error: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(mneme, error), builtin)
    assert issubclass(getattr(mneme, error), mneme.MnemeError)
