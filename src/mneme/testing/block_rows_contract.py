"""What every store must do with the rows of blocks: a part of `StoreContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.rows import Selection
from mneme.testing.store_rows import add, block_row, change, text_row, version_row

if TYPE_CHECKING:
    from mneme.core.store import Store


class BlockRowsContract:
    """The laws of `mneme.core.store.Blocks`."""

    def test_blocks_are_found_by_what_they_are(self, store: Store) -> None:
        with store.write() as tx:
            mine, _ = add(tx, "a", 1)
            theirs, _ = add(tx, "b", 2)
            rows = [block_row(2), block_row(1), block_row(1, form="int8")]
            tx.blocks.add(mine, 1, rows)
            tx.blocks.add(theirs, 2, [block_row(9)])
        with store.read() as tx:
            found = tx.blocks.of_keys(mine, "e", [b"\1" * 32, b"\2" * 32, b"\x09" * 32])
            assert [(r.key[0], r.form, r.start) for r in found] == [
                (1, "raw", 4), (1, "int8", 4), (2, "raw", 8)
            ]  # fmt: skip
            assert found[0] == block_row(1)._replace(number=found[0].number)
            assert [r.key[0] for r in tx.blocks.children(mine, "e", b"\1" * 32)] == [2]
            assert tx.blocks.of_keys(mine, "other", [b"\1" * 32]) == []
            assert tx.blocks.of_keys(theirs, "e", [b"\1" * 32]) == []
            assert tx.blocks.of_cube(1) == found
            assert tx.blocks.held(1) == (3, 30)
            assert tx.blocks.total_bytes() == 40
            assert tx.blocks.names() == {row.name for row in (*rows, block_row(9))}
            assert tx.blocks.present([rows[0].name, "0" * 64 + "-raw", "x"]) == {rows[0].name}
            assert tx.blocks.says(rows[0].tokens[4:12])
            assert not tx.blocks.says(b"\xff" * 8)

    def test_a_block_goes_when_no_cube_holds_it(self, store: Store) -> None:
        with store.write() as tx:
            number, seq = add(tx, "a", 1, 2, 3)
            tx.blocks.add(number, 1, [block_row(1), block_row(2)])
            tx.blocks.add(number, 2, [block_row(2), block_row(3)])
            tx.blocks.add(number, 3, [block_row(4), block_row(5)])
        with store.write() as tx:
            before = tx.blocks.drops()
            assert [row.key[0] for row in tx.blocks.release(1)] == [1]
            assert tx.blocks.drops() > before
            assert [row.key[0] for row in tx.blocks.of_cube(2)] == [2, 3]
            assert [row.key[0] for row in tx.blocks.release(3, [block_row(4).name])] == [5]
            assert sorted(tx.outbox.doomed(0)) == [block_row(1).name, block_row(5).name]
            before = tx.blocks.drops()
            assert tx.blocks.release(1) == []
            assert tx.blocks.drops() == before
            assert tx.erase(seq, 2)["block"] == 2
            assert [row.key[0] for row in tx.blocks.all()] == [4]
        assert store.problems() == []

    def test_what_is_dropped_is_gone_for_all_who_hold_it(self, store: Store) -> None:
        with store.write() as tx:
            number, _ = add(tx, "a", 1, 2)
            for cube in (1, 2):
                tx.blocks.add(number, cube, [block_row(1), block_row(2)])
            first = tx.blocks.of_cube(1)[0]
            tx.blocks.used([(first.number, 3), (first.number + 99, 1)], 7)
            tx.blocks.used([(first.number, 1)], 5)
            used = tx.blocks.of_cube(1)[0]
            assert (used.uses, used.used_at) == (4, 7)
            tx.blocks.drop([first.number, first.number + 99])
            assert tx.blocks.held(1) == tx.blocks.held(2) == (1, 10)
            tx.blocks.add(number, 1, [used])  # it was there when it was read
            assert tx.blocks.held(1) == (1, 10)
            tx.blocks.add(number, 1, [block_row(1, size=11, checksum=b"new")])
            again = tx.blocks.of_cube(1)[0]
            assert again.number > first.number + 1  # numbers are not given again
            assert (again.uses, again.size, again.checksum) == (0, 11, b"new")
            tx.blocks.add(number, 2, [block_row(1, size=12, checksum=b"newer")])
            assert tx.blocks.of_cube(1)[0] == again._replace(size=12, checksum=b"newer")
            assert tx.outbox.doomed(0) == []  # the file is there again
        assert store.problems() == []

    def test_files_are_doomed_until_they_are_gone_or_wanted(self, store: Store) -> None:
        with store.write() as tx:
            assert tx.outbox.next_doom() is None
            tx.outbox.doom(["a", "b", "c"], 20)
            tx.outbox.doom(["b"], 10)
            assert [tx.outbox.next_doom(), tx.outbox.doomed(9), tx.outbox.doomed(10)] == [
                10, [], ["b"]
            ]  # fmt: skip
            tx.outbox.doom(["b"], 30)  # it is about to be written
            assert sorted(tx.outbox.doomed(20)) == ["a", "c"]
            assert len(tx.outbox.doomed(99, 2)) == 2
            tx.outbox.undoom(["a", "none"])
            assert sorted(tx.outbox.doomed(99)) == ["b", "c"]

    def test_blocks_of_what_is_hidden_are_left_out(self, store: Store) -> None:
        with store.write() as tx:
            number, _ = add(tx, "a", 1, 2, 3)
            tx.ledger.add_edges([(1, 2, "carries")])
            tx.blocks.add(number, 2, [block_row(1)])
            tx.blocks.add(number, 3, [block_row(2)])

        def seen(now: int) -> list[int]:
            with store.read() as tx:
                keys = [bytes([each]) * 32 for each in (1, 2)]
                return [row.key[0] for row in tx.blocks.of_keys(number, "e", keys, now)]

        assert seen(5) == [1, 2]
        change(store, version_row(3, 2, text_version=1, expires_at=50))
        assert [seen(49), seen(50)] == [[1, 2], [1]]
        change(store, version_row(1, 2, text_version=1, state="forgotten"))
        assert seen(5) == [2]
        change(store, version_row(1, 3, text_version=1))
        change(store, version_row(2, 2, text_version=1, state="forgotten"))
        assert seen(5) == [2]
        with store.read() as tx:
            assert len(tx.blocks.children(number, "e", b"\0" * 32)) == 1
            assert tx.blocks.children(number, "e", b"\0" * 32, 5) == []

    def test_selections_mean_plaintext_unless_a_kind_is_named(self, store: Store) -> None:
        with store.write() as tx:
            namespace = tx.cubes.touch_namespace("a")
            rows = [
                version_row(1),
                version_row(2, kind="activation", origin="derived"),
                version_row(3, origin="derived"),
            ]
            tx.cubes.add(namespace, rows, [text_row(key) for key in (1, 2, 3)])
            states = ("activated",)

            def selected(**fields: Any) -> list[int]:  # noqa: ANN401
                wanted = Selection(states=states, **fields)
                return [row.key for row in tx.cubes.select(namespace.number, wanted)]

            assert selected() == [1, 3]
            assert selected(kinds=("activation",)) == [2]
            assert selected(kinds=None) == [1, 2, 3]
            assert selected(said=True) == [1]
            assert selected(kinds=None, said=True) == [1, 2]
            assert tx.types() == {"turn": 2}
