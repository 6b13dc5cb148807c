"""The law of versions: whatever is done to a table, each of its versions stays what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import Namespace
from mneme.app.tables import Table
from mneme.core.clock import from_us
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.wiring import Outside, build

State = dict[int, tuple[object, object]]

small = st.integers(-3, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(st.tuples(small, st.none() | small), max_size=3)),
        st.tuples(st.just("update"), small, small),
        st.tuples(st.just("delete"), small, st.sampled_from(["eq", "lt", "gte", "ne"])),
        st.tuples(st.just("rollback"), st.integers(1, 20)),
        st.tuples(st.just("query")),
    ),
    max_size=12,
)

_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda cell, value: cell == value,
    "ne": lambda cell, value: cell != value,
    "lt": lambda cell, value: cell is not None and cell < value,
    "gte": lambda cell, value: cell is not None and cell >= value,
}


class Model:
    """What the table should hold at each of its versions."""

    def __init__(self) -> None:
        self.versions: list[State] = [{}]

    def step(self, words: tuple[Any, ...], table: Table, alice: Namespace) -> None:
        now = dict(self.versions[-1])
        match words:
            case ("insert", rows):
                numbers = table.insert([{"a": a, "b": b} for a, b in rows])
                assert len(set(numbers)) == len(rows)
                assert not set(numbers) & {n for each in self.versions for n in each}
                now |= dict(zip(numbers, rows, strict=True))
            case ("update", a, b):
                changed = {n for n, row in now.items() if row[0] == a and row[1] != b}
                assert table.update(where={"a": a}, set={"b": b}) == len(changed)
                now |= dict.fromkeys(changed, (a, b))
            case ("delete", b, op):
                gone = {n for n, row in now.items() if _TESTS[op](row[1], b)}
                assert table.delete(where={"b": {op: b}}) == len(gone)
                now = {n: row for n, row in now.items() if n not in gone}
            case ("rollback", wanted):
                version = min(wanted, len(self.versions))
                alice.rollback(table.id, to_version=version)
                self.versions.append(dict(self.versions[version - 1]))
                return
            case _:
                assert asked(alice) == now
        if now != self.versions[-1]:
            self.versions.append(now)


def asked(alice: Namespace, **given: Any) -> State:  # noqa: ANN401
    rows = alice.query("SELECT rowid, a, b FROM numbers", **given).rows
    return {int(n or 0): (a, b) for n, a, b in rows}


@given(steps=steps)
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)  # each example is a store
def test_every_version_stays_what_it_was(steps: list[tuple[Any, ...]]) -> None:
    clock = HandClock()
    with (
        tempfile.TemporaryDirectory() as folder,
        build(
            Path(folder) / "store",
            settings=Settings(worker=False, embedder="none"),
            outside=Outside(clock=clock),
        ) as memory,
    ):
        alice = memory.namespace("alice")
        table = alice.table("numbers", columns={"a": "integer", "b": "integer"})
        model, moments = Model(), [clock.now_us()]
        for words in steps:
            model.step(words, table, alice)
            assert table.version == len(model.versions)
            if len(moments) < len(model.versions):
                moments.append(clock.now_us())
        for moment, state in zip(moments, model.versions, strict=True):
            then = table.rows(as_of=from_us(moment))
            assert {row.number: (row.cells["a"], row.cells["b"]) for row in then} == state
            assert asked(alice, as_of=from_us(moment)) == state
        assert asked(alice) == model.versions[-1]
        assert memory.verify().ok
