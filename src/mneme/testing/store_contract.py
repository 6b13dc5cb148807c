"""What every store under the vault must do: subclass it and give a `store` fixture.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path): ...   # empty for every test, closed afterwards
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from mneme.core.rows import AuditRow, Condition, Selection, Spent
from mneme.core.tabular import TableRow
from mneme.testing.adapter_rows_contract import AdapterRowsContract
from mneme.testing.block_rows_contract import BlockRowsContract
from mneme.testing.store_rows import add, text_row, version_row

if TYPE_CHECKING:
    from pathlib import Path

    from mneme.core.store import Store

_SECOND = 1_000_000


class StoreContract(BlockRowsContract, AdapterRowsContract):
    """The laws of `mneme.core.store.Store`."""

    def test_what_was_written_is_read_by_all(self, store: Store) -> None:
        with store.write() as tx:
            number, _ = add(tx, "a", 1, 2)
        with store.read() as tx:
            assert tx.cubes.namespace("a") == (number, 1)
            assert [row.key for row in tx.cubes.current_of_keys(number, [2, 1, 9])] == [2, 1]
            assert tx.cubes.current(number, "cube-1") == version_row(1)
            assert tx.cubes.body(1, 1) == ("A text.", b"salt")
            assert tx.cubes.next_key() == 3

    def test_a_change_that_fails_leaves_nothing(self, store: Store) -> None:
        with pytest.raises(RuntimeError):
            _fail_midway(store)
        with store.read() as tx:
            assert tx.cubes.namespace("a") is None
            assert tx.cubes.next_key() == 1

    def test_a_reader_sees_one_state_throughout(self, store: Store) -> None:
        with store.write() as tx:
            number, _ = add(tx, "a", 1)

        def write() -> None:
            with store.write() as other:
                add(other, "a", 2)

        with store.read() as tx:
            before = tx.cubes.select(number, Selection(states=("activated",)))
            writer = Thread(target=write)
            writer.start()
            writer.join()
            assert tx.cubes.select(number, Selection(states=("activated",))) == before
        with store.read() as tx:
            assert len(tx.cubes.select(number, Selection(states=("activated",)))) == 2

    def test_a_namespace_answers_for_itself_alone(self, store: Store) -> None:
        with store.write() as tx:
            mine, _ = add(tx, "a", 1)
            theirs, _ = add(tx, "a/b", 2)
        with store.read() as tx:
            assert tx.cubes.current(mine, "cube-2") is None
            assert tx.cubes.current_of_keys(theirs, [1]) == []
            assert [r.key for r in tx.cubes.select(mine, Selection(states=("activated",)))] == [1]
            assert [row.key for row in tx.entries.rows(theirs, 0, None)] == [2]
            assert tx.cubes.namespaces("a", 0) == ["a", "a/b"]
            assert tx.cubes.namespaces("a/", 0) == ["a/b"]
            assert tx.cubes.taken(["cube-1", "cube-2", "cube-3"]) == {"cube-1", "cube-2"}

    def test_the_change_counter_rises_and_tells_what_changed(self, store: Store) -> None:
        with store.write() as tx:
            number, first = add(tx, "a", 1, 2)
        with store.write() as tx:
            namespace = tx.cubes.touch_namespace("a")
            tx.cubes.add_version(namespace, version_row(2, 2, text_version=1))
        assert namespace.seq > first
        with store.read() as tx:
            assert [row.key for row in tx.entries.rows(number, first, None)] == [2]
        with store.write() as tx:
            tx.entries.mark_changed([1])
        with store.read() as tx:
            assert [row.key for row in tx.entries.rows(number, namespace.seq, None)] == [1]

    def test_versions_stay_in_order_and_the_past_can_be_asked(self, store: Store) -> None:
        with store.write() as tx:
            number, _ = add(tx, "a", 1)
            for version in (2, 3):
                row = version_row(1, version, text_version=1, type="fact")
                tx.cubes.add_version(tx.cubes.touch_namespace("a"), row)
        with store.read() as tx:
            assert [row.version for row in tx.cubes.versions(1)] == [1, 2, 3]
            for moment, version in ((1, 1), (2, 2), (2.5, 2), (9, 3)):
                found = tx.cubes.as_of(number, int(moment * _SECOND), 1)
                assert found is not None
                assert found.version == version
            assert tx.cubes.as_of(number, 0, 1) is None
            fact = Selection(states=("activated",), conditions=(_is("type", "fact"),))
            assert tx.cubes.select_as_of(number, fact, 2 * _SECOND) == {1}
            assert tx.cubes.select_as_of(number, fact, _SECOND) == set()

    @pytest.mark.parametrize(
        ("condition", "keys"),
        [
            (("speaker", None, "eq", "Bob' OR 1=1"), [2]),
            (("speaker", None, "exists", False), [1, 3]),
            (("speaker", None, "ne", "Bob' OR 1=1"), [1, 3]),
            (("event_at", None, "gte", 20), [2, 3]),
            (("event_at", None, "lt", 20), [1]),
            (("type", None, "in", ("turn", "note")), [1, 2, 3]),
            (("metadata", "a", "eq", 1), [1]),
            (("metadata", "a", "gt", 0), [1]),
            (("metadata", "a", "gt", ""), [2]),
            (("metadata", "a.b", "eq", "x"), [3]),
            (("metadata", "none", "exists", True), []),
        ],
    )
    def test_conditions_mean_what_they_say(
        self, store: Store, condition: tuple[str, str | None, str, object], keys: list[int]
    ) -> None:
        rows = [
            version_row(1, event_at=10, metadata='{"a":1}'),
            version_row(2, event_at=20, metadata='{"a":"1"}', speaker="Bob' OR 1=1"),
            version_row(3, event_at=30, metadata='{"a.b":"x"}'),
        ]
        with store.write() as tx:
            namespace = tx.cubes.touch_namespace("a")
            tx.cubes.add(namespace, rows, [text_row(key) for key in (1, 2, 3)])
            wanted = Selection(states=("activated",), conditions=(Condition(*condition),))
            assert [row.key for row in tx.cubes.select(namespace.number, wanted)] == keys

    def test_what_is_past_its_time_is_not_selected(self, store: Store) -> None:
        with store.write() as tx:
            namespace = tx.cubes.touch_namespace("a")
            tx.cubes.add(namespace, [version_row(1, expires_at=10)], [text_row(1)])
            for now, count in ((9, 1), (10, 0)):
                wanted = Selection(states=("activated",), now=now)
                assert len(tx.cubes.select(namespace.number, wanted)) == count
            assert [row.key for _, row in tx.cubes.overdue(10, ("activated",))] == [1]
            assert (tx.cubes.next_expiry(9), tx.cubes.next_expiry(10)) == (10, None)

    def test_erasing_leaves_the_bare_id(self, store: Store) -> None:
        with store.write() as tx:
            number, seq = add(tx, "a", 1, 2)
            tx.ledger.add_edges([(1, 2, "source")])
            tx.ledger.add_sketches([(number, 5, 1)])
            tx.ledger.add_requests([(number, b"name", 1, b"content")])
        with store.write() as tx:
            gone = tx.erase(tx.cubes.touch_namespace("a").seq, 1)
            assert (gone["text"], gone["entry"], gone["version"], gone["edge"]) == (1, 1, 1, 1)
        with store.read() as tx:
            assert tx.cubes.current(number, "cube-1") is None
            assert tx.cubes.taken(["cube-1"]) == {"cube-1"}
            assert tx.ledger.request(number, b"name") is None
            assert tx.ledger.alike(number, [5]) == []
            assert tx.ledger.parents(2, "source") == []
            assert [(r.key, r.live) for r in tx.entries.rows(number, seq, None)] == [(1, False)]
        assert store.scrub()
        assert store.problems() == []

    def test_a_job_is_held_by_one_until_its_lease_ends(self, store: Store) -> None:
        with store.write() as tx:
            for due in (50, 20, 30):
                tx.ledger.enqueue("embed", "once", "{}", due)
            assert tx.ledger.next_due() == 20
            assert tx.ledger.lease_job(10, 99) is None
            job = tx.ledger.lease_job(20, 99)
            assert job is not None
            assert (job.state, job.tries) == ("running", 1)
            assert tx.ledger.lease_job(98, 200) is None
            again = tx.ledger.lease_job(99, 200)
            assert again is not None
            assert not tx.ledger.holds_lease(job)
            tx.ledger.finish_job(job)
            assert [each.number for each in tx.ledger.jobs()] == [again.number]
            tx.ledger.fail_job(again, state="dead", due_at=0, error="no")
            assert tx.ledger.next_due() is None
            tx.ledger.enqueue("embed", "once", "{}", 7)
            tx.ledger.drop_waiting("once")
            assert [each.state for each in tx.ledger.jobs()] == ["dead"]

    def test_vectors_belong_to_their_embedder(self, store: Store) -> None:
        with store.write() as tx:
            number, _ = add(tx, "a", 1)
            old = tx.entries.embedder_number("old", make=True)
            tx.entries.set([text_row(1)._replace(embedder=old, vectors=b"\0\x3c")])
            new = tx.entries.embedder_number("new", make=True)
            assert tx.entries.embedder_number("none") is None
            seen = {e: next(tx.entries.rows(number, 0, e)).passages[0].vector for e in (old, new)}
            assert seen == {old: b"\0\x3c", new: None}
            counted = [tx.entries.missing_vectors(e) for e in (old, new, None)]
            assert counted == [0, 1, 1]
            assert [text.key for text in tx.entries.unembedded(new, (0, 0), 9)] == [1]
            assert tx.entries.unembedded(old, (0, 0), 9) == []

    def test_audit_entries_and_names_stay_in_order(self, store: Store) -> None:
        rows = [AuditRow(n, n, "add", "me", "a", f"cube-{n}", 1, "d", f"h{n}") for n in (1, 2, 3)]
        with store.write() as tx:
            assert tx.ledger.last_audit() == (0, "")
            tx.ledger.append_audit(rows)
            tx.ledger.set_meta("name", "one")
            tx.ledger.set_meta("name", "two")
        with store.read() as tx:
            assert list(tx.ledger.audit()) == rows
            assert list(tx.ledger.audit(2)) == rows[2:]
            assert tx.ledger.last_audit() == (3, "h3")
            assert (tx.ledger.meta("name"), tx.ledger.meta("none")) == ("two", None)

    def test_turns_wait_in_stages_until_they_are_taken_out(self, store: Store) -> None:
        with store.write() as tx:
            mine, _ = add(tx, "a", 1, 2, 3)
            theirs, _ = add(tx, "b", 4)
            tx.written.hear(mine, [2, 1], "rules", 5)
            tx.written.hear(theirs, [4], "rules", 6)
            tx.written.hear(mine, [2], "llm", 7)  # it changes over
        with store.write() as tx:
            assert tx.written.heard(mine, "rules", 9) == [1]
            assert tx.written.heard(mine, "llm", 9) == [2]
            assert tx.written.heard_since(mine, "llm") == 7
            assert tx.written.heard_since(theirs, "llm") is None
            assert [tx.written.heard_count(), tx.written.heard_count("rules", mine)] == [3, 1]
            assert tx.written.said_before(mine, "s", 3, 1) == [2]
            tx.written.unhear([1, 4])
            assert tx.written.heard_count("rules") == 0

    def test_marks_belong_to_a_namespace_and_go_with_their_cube(self, store: Store) -> None:
        with store.write() as tx:
            mine, seq = add(tx, "a", 1, 2)
            theirs, _ = add(tx, "b", 3)
            tx.written.add_marks(
                [(mine, "slot", 7, 2), (mine, "slot", 7, 1), (theirs, "slot", 7, 3)]
            )
            tx.cubes.add_version(
                tx.cubes.touch_namespace("a"),
                version_row(1, 2, text_version=1, valid_to=_SECOND),
            )
            assert tx.written.marked(mine, "slot", 7) == [1, 2]
            assert tx.written.marked(mine, "said", 7) == []
            assert tx.written.marked_open(mine, "slot", 7) == [2]
            assert tx.written.marks(mine, "slot") == {7}
            assert tx.erase(seq, 2)["mark"] == 1
            tx.written.drop_marks(1)
            assert tx.written.marked(mine, "slot", 7) == []
            assert tx.written.marked(theirs, "slot", 7) == [3]

    def test_claims_are_what_extracted_cubes_say_of_their_sources(self, store: Store) -> None:
        with store.write() as tx:
            number, seq = add(tx, "a", 1)
            spans = '[["cube-1",1,0,6]]'
            row = version_row(2, method="extracted", sources=spans, valid_from=_SECOND)
            tx.cubes.add(tx.cubes.touch_namespace("a"), [row], [text_row(2)])
            tx.ledger.add_edges([(1, 2, "source"), (1, 2, "repeats")])
            (claim,) = tx.written.claims(number, 0)
            assert (claim.parent, claim.child, claim.parent_id) == (1, 2, "cube-1")
            assert (claim.valid_from, claim.valid_to, claim.spans) == (_SECOND, None, spans)
            assert list(tx.written.claims(number, seq + 1)) == []

    def test_what_was_spent_adds_up(self, store: Store) -> None:
        with store.write() as tx:
            tx.written.spend("extract", Spent(1, 10, 5, 3))
            tx.written.spend("extract", Spent(2, 1, 1, 0))
            tx.written.spend("summary", Spent(1))
        with store.read() as tx:
            assert tx.written.spent() == {"extract": Spent(3, 11, 6, 3), "summary": Spent(1)}

    def test_rows_of_tables_hold_between_versions(self, store: Store) -> None:
        with store.write() as tx:
            add(tx, "a", 1, 2)
            rows = [TableRow(n, 2, None, 2 if n == 1 else None, 0, f"[{n}]") for n in (1, 2)]
            tx.tables.put(1, rows)
            tx.tables.end(1, [2], 3)
        with store.write() as tx:
            assert [[r.row for r in tx.tables.at(1, v)] for v in (1, 2, 3)] == [[], [1, 2], [1]]
            assert (tx.tables.next_row(1), tx.tables.live(1)) == (3, 1)
            assert tx.tables.of_source(2) == ["[1]"]
            tx.tables.roll_back(1, 2, 4)
            assert [r.value for r in tx.tables.at(1, 4)] == ["[1]", "[2]"]
            tx.erase(tx.cubes.touch_namespace("a").seq, 1)
            assert tx.tables.all(1) == []

    def test_a_copy_holds_the_same(self, store: Store, tmp_path: Path) -> None:
        with store.write() as tx:
            add(tx, "a", 1, 2)
        target = tmp_path / "copy"
        target.mkdir()
        store.copy_to(target)
        assert any(target.iterdir())
        assert store.problems() == []
        assert store.bytes_on_disk() > 0
        assert store.facts()


def _is(field: str, value: object) -> Condition:
    return Condition(field, None, "eq", value)


def _fail_midway(store: Store) -> None:
    with store.write() as tx:
        add(tx, "a", 1)
        raise RuntimeError
