"""What goes first: laws, against models that look at everything each time."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError
from mneme.core.rows import BlockRow
from mneme.memories.activation.eviction import Eviction, Gdsf, Lru, eviction_of, order
from mneme.memories.activation.shelf import Shelf

NAMES = [f"{number:02d}" for number in range(12)]


@dataclass
class SlowGdsf:
    """The same, by looking at all blocks each time."""

    clock: float = 0.0
    filling: bool = True
    blocks: dict[str, tuple[int, float, int, str | None]] = field(default_factory=dict)
    priorities: dict[str, float] = field(default_factory=dict)

    def note(
        self, name: str, size: int, cost_s: float, uses: int, *, parent: str | None = None
    ) -> None:
        self.blocks[name] = (size, cost_s, uses, parent)
        if self.filling:
            self.clock += 3 * cost_s / sum(block[0] for block in self.blocks.values())
        self.touch(name)

    def touch(self, name: str) -> None:
        if name in self.blocks:
            size, cost_s, uses, parent = self.blocks[name]
            self.blocks[name] = (size, cost_s, uses + 1, parent)
            self.priorities[name] = self.clock + (uses + 1) ** 0.75 * (cost_s / size)

    def victims(self, bytes_needed: int) -> list[str]:
        gone: list[str] = []
        self.filling = self.filling and bytes_needed <= 0
        while bytes_needed > 0 and self.blocks:
            parents = {parent for *_, parent in self.blocks.values()}
            leaves = set(self.blocks) - parents
            name = min(leaves, key=lambda each: (self.priorities[each], each))
            self.clock = max(self.clock, self.priorities[name])
            bytes_needed -= self.blocks[name][0]
            gone.append(name)
            self.drop(name)
        return gone

    def drop(self, name: str) -> None:
        self.blocks.pop(name, None)
        self.priorities.pop(name, None)


@dataclass
class SlowLru:
    """The same, with a list of all that was used."""

    sizes: dict[str, int] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)

    def note(
        self, name: str, size: int, cost_s: float, uses: int, *, parent: str | None = None
    ) -> None:
        self.sizes[name] = size
        self.used.append(name)

    def touch(self, name: str) -> None:
        if name in self.sizes:
            self.used.append(name)

    def victims(self, bytes_needed: int) -> list[str]:
        gone: list[str] = []
        while bytes_needed > 0 and self.sizes:
            last = {name: at for at, name in enumerate(self.used)}
            name = min(self.sizes, key=lambda each: last[each])
            bytes_needed -= self.sizes.pop(name)
            gone.append(name)
        return gone

    def drop(self, name: str) -> None:
        self.sizes.pop(name, None)


def parent_of(name: str) -> str | None:
    """Blocks 3, 6, 9 begin chains of three; 11 goes on after 4 as well."""
    number = int(name)
    if number == 11:
        return "04"
    return None if number % 3 == 0 else f"{number - 1:02d}"


step = st.one_of(
    st.tuples(
        st.just("note"),
        st.sampled_from(NAMES),
        st.integers(1, 50),
        st.floats(0, 10),
        st.integers(0, 20),
    ),
    st.tuples(st.just("touch"), st.sampled_from(NAMES)),
    st.tuples(st.just("drop"), st.sampled_from(NAMES)),
    st.tuples(st.just("victims"), st.integers(-5, 120)),
)


@settings(max_examples=300)
@given(steps=st.lists(step, max_size=60))
@pytest.mark.parametrize(("fast", "slow"), [(Gdsf, SlowGdsf), (Lru, SlowLru)])
def test_what_goes_is_what_looking_at_everything_would_choose(
    fast: type[Eviction], slow: type[Eviction], steps: list[tuple[object, ...]]
) -> None:
    one, other = fast(), slow()
    for verb, *values in steps:
        extra = {"parent": parent_of(str(values[0]))} if verb == "note" else {}
        mine = getattr(one, str(verb))(*values, **extra)
        yours = getattr(other, str(verb))(*values, **extra)
        assert mine == yours


def test_the_cheap_the_large_and_the_unused_go_first() -> None:
    gdsf = Gdsf()
    gdsf.note("usual", 10, 1.0, 0)
    gdsf.note("cheap", 10, 0.1, 0)
    gdsf.note("large", 50, 1.0, 0)
    gdsf.note("used", 10, 1.0, 0)
    gdsf.touch("used")
    assert gdsf.victims(1000) == ["cheap", "large", "usual", "used"]


def test_of_what_came_while_it_filled_the_first_goes_first() -> None:
    gdsf = Gdsf()
    for name in ("z", "y", "x"):
        gdsf.note(name, 1, 1.0, 0)
    assert gdsf.victims(3) == ["z", "y", "x"]


def test_what_was_used_often_long_ago_ages() -> None:
    gdsf = Gdsf()
    gdsf.note("old", 1, 1.0, 20)
    for number in range(4):
        gdsf.note(f"{number}", 1, 1.0, 0)
    for number in range(4, 200):
        gdsf.note(f"{number}", 1, 1.0, 0)
        if gdsf.victims(1) == ["old"]:
            assert number > 20  # it had been used often
            return
    pytest.fail("it never went")


@pytest.mark.parametrize("policy", ["gdsf", "lru"])
def test_a_chain_goes_from_its_tail_even_if_its_head_is_worth_less(policy: str) -> None:
    eviction = eviction_of(policy)
    for number in reversed(range(5)):  # from the tail, as shelves do
        parent = f"{number - 1}" if number else "root"
        eviction.note(f"{number}", 10, 1.0 + number, 0, parent=parent)
    assert eviction.victims(50) == ["4", "3", "2", "1", "0"]


def test_parents_in_a_circle_end_too() -> None:
    gdsf = Gdsf()
    gdsf.note("a", 1, 1.0, 0, parent="b")
    gdsf.note("b", 1, 1.0, 0, parent="a")
    gdsf.note("c", 1, 1.0, 0, parent="c")
    assert sorted(gdsf.victims(10)) == ["a", "b", "c"]


def test_many_touches_take_no_more_memory() -> None:
    gdsf = Gdsf()
    for number in range(10):
        gdsf.note(f"{number}", 1, 1.0, 0)
    for turn in range(10_000):
        gdsf.touch(f"{turn % 10}")
    assert len(gdsf._heap) < 200


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="gdsf or lru"):
        eviction_of("random")


def row(key: int, parent: int = 0) -> BlockRow:
    """A block of 100 bytes that took a second; parent 0 is the root."""
    return BlockRow(key, "e", bytes([key]) * 32, bytes([parent]) * 32, "raw", b"", 0, 100, b"", 1.0)


@st.composite
def forests(draw: st.DrawFn) -> list[BlockRow]:
    """Rows of which each goes on after one before it, or begins a chain."""
    return [
        row(key, draw(st.integers(0, key - 1)))._replace(
            size=draw(st.integers(1, 1000)),
            cost_s=draw(st.floats(0, 100)),
            uses=draw(st.integers(0, 1000)),
            used_at=draw(st.integers(0, 10**6)),
        )
        for key in range(1, draw(st.integers(1, 30)))
    ]


@given(rows=forests(), policy=st.sampled_from(["gdsf", "lru"]))
def test_rows_on_disk_are_ordered_with_every_parent_after_all_that_follow_it(
    rows: list[BlockRow], policy: str
) -> None:
    ordered = order(rows, 10**6, eviction=policy)
    assert Counter(ordered) == Counter(rows)
    place = {each.key: number for number, each in enumerate(ordered)}
    for each in rows:
        assert each.parent not in place or place[each.parent] > place[each.key]


@given(rows=forests())
def test_without_chains_rows_go_by_time_or_by_worth(rows: list[BlockRow]) -> None:
    rows = [each._replace(parent=bytes(32)) for each in rows]
    times = [each.used_at for each in order(rows, 10**6, eviction="lru")]
    assert times == sorted(times)
    rows = [each._replace(used_at=7) for each in rows]
    worths = [each.cost_s / each.size * (1 + each.uses) ** 0.75 for each in order(rows, 10)]
    assert worths == pytest.approx(sorted(worths))


def test_on_disk_what_was_used_often_goes_when_it_is_long_unused() -> None:
    day = 86_400
    before = row(1)._replace(uses=50)
    now = [row(2 + number)._replace(uses=2, used_at=1000 * day) for number in range(9)]
    assert order([before, *now], 1001 * day)[0] == before
    assert order([before._replace(used_at=999 * day), *now], 1001 * day)[-1].uses == 50


def test_rows_of_two_engines_with_the_same_key_are_two_chains() -> None:
    mine, child = row(1)._replace(cost_s=9.0), row(2, 1)._replace(cost_s=5.0)
    other = row(1)._replace(engine="other")
    assert order([mine, child, other], 1) == [other, child, mine]


def test_all_forms_of_a_block_wait_for_what_follows_it() -> None:
    child = row(2, 1)._replace(cost_s=100.0)
    assert order([row(1), row(1)._replace(form="int8"), child], 1)[0] == child


def test_rows_in_a_circle_are_all_given() -> None:
    given_rows = [row(1, 2), row(2, 1), row(3)]
    assert Counter(order(given_rows, 1)) == Counter(given_rows)
    assert order([], 1) == []


@settings(max_examples=200)
@given(
    steps=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 120), st.booleans()), max_size=40),
    budget=st.integers(0, 200),
    policy=st.sampled_from(["gdsf", "lru"]),
)
def test_a_shelf_never_holds_more_than_its_budget_not_for_a_moment(
    steps: list[tuple[int, int, bool]], budget: int, policy: str
) -> None:
    left: list[str] = []
    shelf: Shelf[int] = Shelf(budget, eviction_of(policy), left.append)
    sizes: dict[str, int] = {}
    for number, size, drop in steps:
        block = row(number)._replace(size=size)
        if drop:
            shelf.drop([block.name])
            sizes.pop(block.name, None)
        else:

            def make(size: int = size) -> int:
                assert shelf.bytes + size <= budget
                return size

            sizes.pop(block.name, None)
            if shelf.add(block, size, make):
                sizes[block.name] = size
            assert (block.name in sizes) == (size <= budget)
        for name in left:
            sizes.pop(name, None)
        left.clear()
        assert shelf.bytes == sum(sizes.values()) <= budget
        assert shelf.names() == set(sizes)
        assert all(shelf.get(name) == size for name, size in sizes.items())
