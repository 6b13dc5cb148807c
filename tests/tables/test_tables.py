"""Tables as memories: rows, versions, the past, sources, forgetting, erasure, moving."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme import FrozenCubeError, InvalidInputError, Namespace, VersionConflictError
from mneme.app.memory import MemoryOS
from mneme.app.tables import Table
from mneme.core.clock import from_us
from mneme.testing.clocks import HandClock

HOUR_US = 3_600_000_000


def said(table: Table, as_of: datetime | None = None) -> list[object]:
    return [row.cells["what"] for row in table.rows(as_of=as_of)]


def total(alice: Namespace, as_of: datetime | None = None) -> object:
    return alice.query("SELECT sum(amount) FROM expenses", as_of=as_of).rows[0][0]


def test_rows_are_read_back_with_their_types(expenses: Table) -> None:
    rows = expenses.rows(where={"amount": {"gt": 4}})
    assert [(row.number, dict(row.cells)) for row in rows] == [
        (2, {"day": "2026-03-02", "what": "a train ticket", "amount": 41.5}),
        (3, {"day": "2026-03-09", "what": "bread", "amount": 4.25}),
    ]


def test_every_type_of_column_is_stored_and_asked(alice: Namespace) -> None:
    kinds = {
        "a": "text", "b": "integer", "c": "real", "d": "boolean", "e": "date", "f": "datetime"
    }  # fmt: skip
    table = alice.table("all_kinds", columns=kinds)
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    table.insert({"A": "ø", "b": -(2**63), "c": 2, "d": True, "e": date(2026, 3, 1), "f": moment})
    table.insert({})
    full, empty = table.rows()
    assert full.cells == {
        "a": "ø", "b": -(2**63), "c": 2.0, "d": True, "e": "2026-03-01", "f": "2026-03-01T12:30:00Z"
    }  # fmt: skip
    assert set(empty.cells.values()) == {None}
    sql = "SELECT typeof(a), typeof(b), typeof(c), d, e, f FROM all_kinds ORDER BY rowid"
    assert alice.query(sql).rows[0] == (
        "text", "integer", "real", 1, "2026-03-01", "2026-03-01T12:30:00Z"
    )  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        {"nope": 1}, {"amount": "3"}, {"amount": True}, {"amount": float("nan")}, {"day": "soon"},
        {"what": 3}, {"what": "a\0b"}, {"what": "\ud800"}, {"what": "x" * 20_000}, ["tea"],
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_written(
    expenses: Table,
    row: Any,  # noqa: ANN401
) -> None:
    before = expenses.version
    with pytest.raises(InvalidInputError):
        expenses.insert([{"what": "good"}, row])
    assert (expenses.version, len(expenses.rows())) == (before, 3)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("a b", {"x": "text"}), ("1a", {"x": "text"}), ("sqlite_x", {"x": "text"}), ("a", {}),
        ("a", {"x": "varchar"}), ("a", {"x": "text", "X": "real"}), ("a", {"rowid": "integer"}),
        ("a", {f"c{n}": "text" for n in range(65)}), ("a" * 64, {"x": "text"}), ("a", ["x"]),
        ('a"b', {"x": "text"}), ("a", {"x;--": "text"}),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_refused(alice: Namespace, name: str, columns: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError):
        alice.table(name, columns=columns)
    assert not alice.list(types=["table"]).items


def test_a_table_is_opened_again_by_name_id_or_the_same_columns(
    alice: Namespace, expenses: Table
) -> None:
    same = [
        alice.table("EXPENSES"),
        alice.table(id=expenses.id),
        alice.table("expenses", columns=dict(expenses.columns)),
    ]
    assert {table.id for table in same} == {expenses.id}
    with pytest.raises(InvalidInputError, match="other columns"):
        alice.table("expenses", columns={"day": "text"})
    with pytest.raises(InvalidInputError, match=r"expenses\(day, what, amount\)"):
        alice.table("income")


def test_each_change_is_one_version_with_an_audit_entry(
    memory: MemoryOS, alice: Namespace, expenses: Table
) -> None:
    assert expenses.update(where={"what": "tea"}, set={"amount": 3.5}) == 1
    assert expenses.update(where={"what": "tea"}, set={"amount": 3.5}) == 0  # as it was
    assert expenses.delete(where={"day": {"lt": "2026-03-02"}}) == 1
    assert expenses.version == 4
    verbs = [entry.verb for entry in memory.audit() if entry.cube_id == expenses.id]
    assert verbs == ["add", "insert rows", "update rows", "delete rows"]
    assert [cube.version for cube in alice.history(expenses.id)] == [1, 2, 3, 4]
    assert said(expenses) == ["a train ticket", "bread"]


def test_the_past_of_a_table_is_read_and_asked(
    alice: Namespace, expenses: Table, clock: HandClock
) -> None:
    before = from_us(clock.now_us())
    clock.move_s(3600)
    expenses.update(where={"what": "bread"}, set={"amount": 100})
    expenses.delete(where={"what": "tea"})
    assert total(alice) == 141.5
    assert total(alice, as_of=before) == 48.75
    assert said(expenses, as_of=before) == ["tea", "a train ticket", "bread"]
    early = datetime(2000, 1, 1, tzinfo=UTC)
    with pytest.raises(mneme.CubeNotFoundError):
        expenses.rows(as_of=early)
    with pytest.raises(InvalidInputError, match="no tables yet"):
        total(alice, as_of=early)


def test_a_rollback_brings_rows_back_and_takes_later_ones_away(
    alice: Namespace, expenses: Table
) -> None:
    expenses.delete(where={"what": "tea"})
    expenses.update(where={"what": "bread"}, set={"amount": 9})
    expenses.insert({"what": "cake"})
    alice.rollback(expenses.id, to_version=2)
    assert [(row.number, row.cells["amount"]) for row in expenses.rows()] == [
        (1, 3.0), (2, 41.5), (3, 4.25)
    ]  # fmt: skip
    alice.rollback(expenses.id, to_version=5)
    assert said(expenses) == ["a train ticket", "bread", "cake"]
    assert alice.query("SELECT count(*) FROM expenses").rows == ((3,),)


def test_an_expected_version_that_is_not_there_is_a_conflict(expenses: Table) -> None:
    expenses.insert({"what": "cake"}, expected_version=2)
    for change in (
        lambda: expenses.insert({"what": "cake"}, expected_version=2),
        lambda: expenses.update(where={}, set={"what": "x"}, expected_version=2),
        lambda: expenses.delete(where={}, expected_version=2),
    ):
        with pytest.raises(VersionConflictError):
            change()
    assert expenses.version == 3


def test_a_frozen_table_refuses_changes(alice: Namespace, expenses: Table) -> None:
    alice.freeze(expenses.id)
    with pytest.raises(FrozenCubeError):
        expenses.insert({"what": "cake"})
    with pytest.raises(FrozenCubeError):
        expenses.delete(where={})
    assert len(alice.query("SELECT * FROM expenses").rows) == 3


def test_a_table_is_found_by_search_and_does_not_stand_among_turns(
    alice: Namespace, expenses: Table
) -> None:
    alice.add("My expenses were high in March.")
    hits = alice.search("expenses", types=["table"])
    assert [hit.cube.id for hit in hits] == [expenses.id]
    assert "day (date), what (text), amount (real)" in hits[0].cube.text
    assert expenses.id not in {hit.cube.id for hit in alice.search("expenses")}


def test_rows_of_an_untrusted_source_taint_the_answer(alice: Namespace, expenses: Table) -> None:
    tool = alice.add("Receipt: 12 for cake", role="tool")[0]
    assert not alice.query("SELECT * FROM expenses").untrusted
    expenses.insert({"what": "cake", "amount": 12}, source=tool.id)
    assert alice.query("SELECT count(*) FROM expenses").untrusted
    assert not alice.query("SELECT 1").untrusted
    row = expenses.rows(where={"what": "cake"})[0]
    assert (row.source, row.trust) == (tool.id, "untrusted")
    expenses.update(where={"what": "cake"}, set={"amount": 13})
    assert expenses.rows(where={"what": "cake"})[0].trust == "untrusted"
    expenses.delete(where={"what": "cake"})
    assert not alice.query("SELECT * FROM expenses").untrusted


def test_rows_hide_while_their_source_is_forgotten(alice: Namespace, expenses: Table) -> None:
    turn = alice.add("I spent 12 on cake.")[0]
    expenses.insert({"what": "cake", "amount": 12}, source=turn.id)
    assert total(alice) == 60.75
    alice.forget(turn.id)
    assert total(alice) == 48.75
    assert "cake" not in said(expenses)
    alice.restore(turn.id)
    assert total(alice) == 60.75


def test_rows_hide_when_the_time_of_their_source_is_over(
    alice: Namespace, expenses: Table, clock: HandClock
) -> None:
    end = from_us(clock.now_us() + HOUR_US)
    turn = alice.add("I spent 12 on cake.", expires_at=end)[0]
    expenses.insert({"what": "cake", "amount": 12}, source=turn.id)
    assert total(alice) == 60.75
    clock.move_s(7200)
    assert total(alice) == 48.75


def test_rows_go_when_their_source_is_erased(
    memory: MemoryOS, alice: Namespace, expenses: Table, tmp_path: Path
) -> None:
    turn = alice.add("I bought something.")[0]
    expenses.insert({"what": "a zephyrquartz ring", "amount": 12}, source=turn.id)
    expenses.update(where={"amount": 12}, set={"amount": 13})
    assert total(alice) == 61.75
    receipt = alice.erase(turn.id)
    assert receipt.rows["table_row"] == 2
    assert (receipt.pending, receipt.checked["found"]) == ((), 0)
    assert total(alice) == 48.75
    assert stands_in_files(tmp_path / "store", "zephyrquartz") == []
    assert said(expenses) == ["tea", "a train ticket", "bread"]


def test_no_byte_of_an_erased_table_stays(
    memory: MemoryOS, alice: Namespace, tmp_path: Path
) -> None:
    table = alice.table("quillwort_ledger", columns={"velvetcode": "text"})
    table.insert([{"velvetcode": f"marmaladefox number {n} " * 20} for n in range(300)])
    table.update(where={}, set={"velvetcode": "the second marmaladefox"})
    assert stands_in_files(tmp_path / "store", "marmaladefox")
    receipt = alice.erase(table.id)
    assert receipt.rows["table_row"] == 600
    assert receipt.checked["patterns"] > 10
    assert (receipt.pending, receipt.checked["found"]) == ((), 0)
    for word in ("marmaladefox", "quillwort", "velvetcode"):
        assert stands_in_files(tmp_path / "store", word) == []
    with pytest.raises(InvalidInputError, match="no tables yet"):
        alice.query("SELECT * FROM quillwort_ledger")


def stands_in_files(folder: Path, word: str) -> list[str]:
    found = []
    for file in folder.iterdir():
        data = file.read_bytes()
        found += [file.name] if word.encode() in data or word.encode("utf-16-le") in data else []
    return found


def test_a_forgotten_table_is_not_there_until_it_is_restored(
    alice: Namespace, expenses: Table
) -> None:
    alice.forget(expenses.id)
    with pytest.raises(InvalidInputError, match="no tables yet"):
        total(alice)
    with pytest.raises(InvalidInputError):
        alice.table("expenses")
    fresh = alice.table("expenses", columns={"amount": "real"})
    fresh.insert({"amount": 1})
    alice.restore(expenses.id)
    assert alice.table("expenses").id == expenses.id
    assert alice.query("SELECT amount FROM expenses_2").rows == ((1.0,),)
    alice.erase(fresh.id)
    assert total(alice) == 48.75


def test_an_archived_table_is_out_of_the_door(alice: Namespace, expenses: Table) -> None:
    alice.archive(expenses.id)
    with pytest.raises(InvalidInputError):
        total(alice)
    alice.activate(expenses.id)
    assert total(alice) == 48.75


def test_another_namespace_sees_nothing(memory: MemoryOS, expenses: Table) -> None:
    bob = memory.namespace("bob")
    with pytest.raises(InvalidInputError, match="no tables yet"):
        bob.query("SELECT * FROM expenses")
    with pytest.raises(mneme.CubeNotFoundError):
        bob.table(id=expenses.id)
    turn = memory.namespace("bob").add("Hello.")[0]
    with pytest.raises(mneme.CubeNotFoundError):
        expenses.insert({"what": "x"}, source=turn.id)


def test_a_cube_that_is_no_table_is_refused(alice: Namespace, expenses: Table) -> None:
    turn = alice.add("Hello.")[0]
    with pytest.raises(InvalidInputError, match="is no table"):
        alice.table(id=turn.id)
    alice.update(expenses.id, metadata={"table": "broken"})
    with pytest.raises(InvalidInputError, match="roll it back"):
        expenses.rows()
    alice.rollback(expenses.id, to_version=2)
    assert len(expenses.rows()) == 3


@pytest.mark.parametrize("same_store", [True, False])
def test_an_export_carries_rows_with_their_past_and_sources(
    memory: MemoryOS, alice: Namespace, expenses: Table, tmp_path: Path, same_store: bool
) -> None:
    tool = alice.add("Receipt: 12 for cake", role="tool")[0]  # written after the table
    gone = alice.add("To be forgotten.")[0]
    expenses.insert({"what": "cake", "amount": 12}, source=tool.id)
    expenses.insert({"what": "hidden", "amount": 1000}, source=gone.id)
    expenses.delete(where={"what": "tea"})
    alice.forget(gone.id)
    count = alice.export(tmp_path / "alice.mneme")
    assert count == 2
    with mneme.open(tmp_path / "other", settings=mneme.Settings(worker=False)) as other:
        bob = (memory if same_store else other).namespace("bob")
        bob.import_(tmp_path / "alice.mneme")
        copy = bob.table("expenses")
        for _ in range(2):  # to import it once more changes nothing
            assert said(copy) == ["a train ticket", "bread", "cake"]
            assert (copy.id == expenses.id) != same_store
            assert bob.query("SELECT * FROM expenses").untrusted
            source = copy.rows(where={"what": "cake"})[0].source
            assert source is not None
            assert bob.get(source).text == tool.text
            bob.rollback(copy.id, to_version=2)
            assert said(copy) == ["tea", "a train ticket", "bread"]
            bob.rollback(copy.id, to_version=5)
            bob.import_(tmp_path / "alice.mneme")
        bob.erase(copy.rows(where={"what": "cake"})[0].source)
        assert said(copy) == ["a train ticket", "bread"]
        assert other.verify().ok


def test_a_file_cannot_bring_rows_into_a_table_that_is_there(
    memory: MemoryOS, alice: Namespace, expenses: Table, tmp_path: Path
) -> None:
    path = tmp_path / "alice.mneme"
    alice.export(path)
    expenses.update(where={"what": "tea"}, set={"amount": 5})
    alice.import_(path)
    assert total(alice) == 50.75
    path.write_bytes(path.read_bytes().replace(b"bread", b"brexd"))
    with pytest.raises(mneme.ImportRefusedError):
        memory.namespace("carol").import_(path)


def test_a_snapshot_holds_the_rows(memory: MemoryOS, expenses: Table, tmp_path: Path) -> None:
    memory.snapshot(tmp_path / "copy")
    with mneme.open(tmp_path / "copy", settings=mneme.Settings(worker=False)) as copy:
        assert total(copy.namespace("alice")) == 48.75
        assert copy.verify().ok
        assert copy.stats().counts["table_rows"] == 3


def test_limits_hold(alice: Namespace, expenses: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mneme.ingest.tables.MOST_ROWS", 4)
    monkeypatch.setattr("mneme.ingest.tables.MOST_AT_ONCE", 2)
    monkeypatch.setattr("mneme.ingest.tables.MOST_TABLES", 1)
    with pytest.raises(InvalidInputError, match="at most 2 go at once"):
        expenses.insert([{}, {}, {}])
    with pytest.raises(InvalidInputError, match="at most 4 rows"):
        expenses.insert([{}, {}])
    with pytest.raises(InvalidInputError, match="which is most"):
        alice.table("second", columns={"a": "text"})


@pytest.mark.parametrize(
    "where",
    [None, "all", {"nope": 1}, {"what": {}}, {"what": {"like": "x"}}, {"what": {"in": "tea"}},
     {"what": {"exists": 1}}, {"amount": "x"}],
)  # fmt: skip
def test_a_condition_outside_the_grammar_is_refused(expenses: Table, where: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError):
        expenses.delete(where=where)
    assert len(expenses.rows()) == 3


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"what": {"in": ["tea", "bread"]}}, [1, 3]),
        ({"what": {"ne": "tea"}}, [2, 3, 4]),
        ({"amount": {"exists": False}}, [4]),
        ({"amount": {"gte": 4.25, "lt": 41.5}}, [3]),
        ({"amount": None}, [4]),
        ({"amount": {"lte": 4.25}, "what": "tea"}, [1]),
        ({"AMOUNT": {"gt": 4.25}}, [2]),
    ],
)
def test_conditions_mean_what_they_say(
    expenses: Table, where: dict[str, Any], found: list[int]
) -> None:
    expenses.insert({"what": "nothing"})
    assert [row.number for row in expenses.rows(where=where)] == found
