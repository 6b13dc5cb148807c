"""What every store must do with the files of adapters: a part of `StoreContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.rows import AdapterFile
from mneme.testing.store_rows import add, text_row, version_row

if TYPE_CHECKING:
    from pathlib import Path

    from mneme.core.store import Store

_ONE, _TWO = "1" * 64, "2" * 64


def adapter_file(digest: str, part: str = "cube.json", size: int = 10) -> AdapterFile:
    """A file of an adapter."""
    return AdapterFile(digest, part, size, b"s" * 32)


class AdapterRowsContract:
    """The laws of `mneme.core.store.AdapterFiles` and `Outbox`."""

    def test_parametric_cubes_have_numbers_of_their_own(self, store: Store) -> None:
        with store.write() as tx:
            namespaces = [tx.cubes.touch_namespace(path) for path in ("a", "b")]
            for namespace, keys in zip(namespaces, ((1, 2, 3, 4), (5,)), strict=True):
                rows = [version_row(key, kind="parametric") for key in keys]
                tx.cubes.add(namespace, rows, [text_row(key) for key in keys])
            mine, theirs = (namespace.number for namespace in namespaces)
            assert tx.adapters.cubes(mine) == []
            assert [tx.adapters.enter(mine, key) for key in (1, 2, 3)] == [1, 2, 3]
            assert tx.adapters.enter(theirs, 5, 7) == 7
            assert tx.erase(namespaces[0].seq, 2)["shard"] == 1
            assert tx.adapters.enter(mine, 4, 3) == 2  # 3 is taken
            assert tx.adapters.cubes(mine) == [1, 3, 4]
            assert tx.adapters.cubes(theirs) == [5]
        assert store.problems() == []
        with store.write() as tx:
            tx.adapters.enter(mine, 9)
            tx.adapters.leave(1)
        assert len(store.problems()) == 2

    def test_a_cube_holds_the_files_of_all_its_versions(self, store: Store) -> None:
        one = [adapter_file(_ONE, "facts.jsonl"), adapter_file(_ONE)]
        two = [adapter_file(_TWO, size=7)]
        with store.write() as tx:
            add(tx, "a", 1, 2)
            tx.adapters.add(1, 1, one)
            tx.adapters.add(1, 2, two)
            tx.adapters.add(2, 1, two)
            tx.adapters.add(1, 3, one)  # again: the first version is used once more
        with store.read() as tx:
            assert tx.adapters.of_digest(1, _ONE) == sorted(one)
            assert tx.adapters.of_digest(2, _ONE) == []
            assert sorted(tx.adapters.of_cube(1)) == sorted([*one, *two])
            assert tx.adapters.all() == sorted([*one, *two])
            assert tx.adapters.names() == {file.name for file in (*one, *two)}
            asked = [one[0].name, f"{_TWO}-gate.json", "x", _ONE]
            assert tx.adapters.present(asked) == {one[0].name}
            assert tx.adapters.digests([_ONE, "3" * 64]) == {_ONE}
            counts = tx.counts()
            assert (counts["adapter_files"], counts["parametric_bytes"]) == (4, 27)
        assert store.problems() == []

    def test_files_are_doomed_when_no_cube_holds_them(self, store: Store) -> None:
        one, two = adapter_file(_ONE), adapter_file(_TWO)
        with store.write() as tx:
            _, seq = add(tx, "a", 1, 2)
            tx.adapters.add(1, 1, [one, two])
            tx.adapters.add(2, 1, [two])
        with store.write() as tx:
            before = tx.adapters.drops()
            assert tx.adapters.release(1) == [one, two]
            assert tx.adapters.drops() > before
            assert tx.outbox.doomed(0) == [one.name]
            before = tx.adapters.drops()
            assert tx.adapters.release(1) == []
            assert tx.adapters.drops() == before
            assert tx.erase(seq, 2)["adapter_file"] == 1
            assert sorted(tx.outbox.doomed(0)) == [one.name, two.name]
            assert tx.adapters.all() == []
            tx.adapters.add(1, 2, [one])  # the file is there again
            assert tx.outbox.doomed(0) == [two.name]
        assert store.problems() == []

    def test_files_of_cubes_that_are_not_there_are_told(self, store: Store) -> None:
        with store.write() as tx:
            tx.adapters.add(9, 1, [adapter_file(_ONE)])
        assert store.problems() == ["1 files of adapters of cubes that are not there"]

    def test_a_copy_names_the_files_that_it_needs(self, store: Store, tmp_path: Path) -> None:
        with store.write() as tx:
            add(tx, "a", 1)
            tx.adapters.add(1, 1, [adapter_file(_ONE)])
            tx.outbox.doom(["other"], 5)
        target = tmp_path / "copy of adapters"
        target.mkdir()
        assert store.copy_to(target) == {adapter_file(_ONE).name}
