"""The shelf: the adapter that was asked for, within its budget, and gone when taken back."""

from __future__ import annotations

import gc
import random
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, StoreCorruptError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import greedy_answers, last_logits, next_logits
from mneme.memories.parametric.fitted import Fitted
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.shelf import Shelf
from mneme.memories.parametric.slots import Slots
from mneme.testing.adapters import random_adapter, random_prompts
from mneme.testing.tiny_models import tiny_model

LARGE = 1 << 30


class Store:
    """Where adapters are kept: rows that can be deleted."""

    def __init__(self, adapters: dict[str, Adapter]) -> None:
        self.adapters, self.loaded = adapters, list[str]()

    def load(self, digest: str) -> Adapter:
        self.loaded.append(digest)
        if digest not in self.adapters:
            raise StoreCorruptError(f"{digest} has no row")
        return self.adapters[digest]

    def present(self, digests: set[str]) -> set[str]:
        return digests & set(self.adapters)


@torch.no_grad()
def logits(engine: Engine, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    return last_logits(engine, prompts)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return mneme.engine(tiny_model("llama", tmp_path_factory.mktemp("m")))


@pytest.fixture
def store(llama: Engine) -> Store:
    return Store({f"u{number}": random_adapter(llama, number) for number in range(12)})


@pytest.fixture
def shelf(llama: Engine, store: Store) -> Iterator[Shelf]:
    shelf = Shelf(llama, Slots(llama, 2, count=4), store.load, LARGE)
    yield shelf
    shelf.close()


def wanted(engine: Engine, store: Store, digest: str | None, prompt: Sequence[int]) -> torch.Tensor:
    if digest is None:
        return logits(engine, [prompt])[0]
    applied = LoraCarrier().apply(engine, store.adapters[digest])
    with applied.on():
        return logits(engine, [prompt])[0]


def test_each_row_has_its_own_digest(llama: Engine, store: Store, shelf: Shelf) -> None:
    prompts = random_prompts(llama, 6)
    for digests in (
        ["u1", "u10", None, "u1", "u2", None],
        ["u3", "u4", "u5", "u6", "u3", None],
        ["u10"] * 6,
        [None] * 6,
    ):
        with shelf.using(digests):
            found = logits(llama, prompts)
        for digest, prompt, row in zip(digests, prompts, found, strict=True):
            assert torch.allclose(row, wanted(llama, store, digest, prompt), atol=1e-5)
    assert sorted(store.loaded) == sorted(["u1", "u10", "u2", "u3", "u4", "u5", "u6"])


def test_names_that_begin_alike_are_different_names(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    """Loading u1 again must leave u10 as it is, bit by bit."""
    prompts = random_prompts(llama, 2)
    with shelf.using(["u1", "u10"]):
        before = logits(llama, prompts)
    store.adapters["u1"] = random_adapter(llama, 99)
    del (gone := dict(store.adapters))["u1"]
    assert shelf.let_go(lambda digests: digests & set(gone)) == {"u1"}
    with shelf.using([None, "u10"]):
        assert torch.equal(logits(llama, prompts)[1], before[1])
    with shelf.using(["u1", "u10"]):
        after = logits(llama, prompts)
    assert torch.equal(after[1], before[1])
    assert not torch.equal(after[0], before[0])
    with shelf.using_all("u10"):
        assert torch.allclose(logits(llama, prompts)[1], before[1], atol=1e-5)
    assert store.loaded == ["u1", "u10", "u1"]


def test_the_least_lately_used_goes_first(llama: Engine, store: Store) -> None:
    slots = Slots(llama, 2, count=2)
    size = slots.fit(store.adapters["u0"]).bytes
    shelf = Shelf(llama, slots, store.load, 3 * size)
    for digest in ("u0", "u1", "u2", "u0", "u3"):  # u1 makes room in memory
        with shelf.using([digest]):
            pass
    assert shelf.bytes() == 3 * size
    assert shelf.digests() == {"u0", "u2", "u3"}
    assert set(slots.tags) == {"u0", "u3"}
    store.loaded.clear()
    for digest in ("u2", "u0", "u3", "u1"):
        with shelf.using([digest]):
            pass
    assert store.loaded == ["u1"]
    assert (shelf.loads, shelf.hits) == (5, 4)


@pytest.mark.parametrize("room", [0, 2.5, 5])
def test_memory_stays_within_its_budget(llama: Engine, store: Store, room: float) -> None:
    slots = Slots(llama, 2, count=4)
    size = slots.fit(store.adapters["u0"]).bytes
    shelf = Shelf(llama, slots, store.load, int(room * size))
    chance, prompts = random.Random(0), random_prompts(llama, 4)
    for _ in range(20):
        digests = [f"u{chance.randrange(12)}" for _ in range(4)]
        with shelf.using(digests):
            assert shelf.bytes() <= room * size
            found = logits(llama, prompts)
        for digest, prompt, row in zip(digests, prompts, found, strict=True):
            assert torch.allclose(row, wanted(llama, store, digest, prompt), atol=1e-5)
        assert shelf.bytes() == sum(fitted.bytes for fitted in shelf._kept.values())
        assert shelf.bytes() <= room * size


def test_a_thousand_adapters_take_no_more_than_the_budget(llama: Engine) -> None:
    """What Python and torch hold for them, not only what the shelf says."""
    slots = Slots(llama, 2, count=4)
    one = random_adapter(llama, 0)
    size = slots.fit(one).bytes
    shelf = Shelf(llama, slots, lambda _: one, 50 * size)

    def serve(numbers: range) -> int:
        """Python's own memory after it; tensors keep their numbers elsewhere."""
        for number in numbers:
            with shelf.using([f"{number:064x}"]):
                pass
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = serve(range(200))
        grown = serve(range(200, 1_000)) - early
    finally:
        tracemalloc.stop()
    alive = [x for x in gc.get_objects() if type(x) is Fitted]
    assert sum(fitted.bytes for fitted in alive) == shelf.bytes() == 50 * size
    assert grown < 20_000


def test_more_adapters_than_slots_are_refused_before_anything_is_loaded(
    store: Store, shelf: Shelf
) -> None:
    digests = [f"u{number}" for number in range(shelf.capacity + 1)]
    with pytest.raises(InvalidInputError, match="5 different adapters in one batch, but 4 slots"):
        shelf.using(digests).__enter__()
    assert store.loaded == []


def test_blocks_within_blocks_do_not_take_each_others_slots(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    prompts = random_prompts(llama, 3)
    with shelf.using(["u0", "u1", "u2"]):
        before = logits(llama, prompts)
        with shelf.using_all("u3"), shelf.using(["u0", None, "u3"]):
            logits(llama, prompts)
        with shelf.using_all("u4"):  # there is one slot left for it
            logits(llama, prompts)
        with pytest.raises(InvalidInputError, match="open around"):
            shelf.using(["u5", "u6"]).__enter__()
        assert torch.equal(logits(llama, prompts), before)
    with shelf.using(["u5", "u6", "u7"]):
        found = logits(llama, prompts)
    for digest, prompt, row in zip(("u5", "u6", "u7"), prompts, found, strict=True):
        assert torch.allclose(row, wanted(llama, store, digest, prompt), atol=1e-5)


def test_what_is_taken_back_is_gone_from_memory_and_slots(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    prompts = random_prompts(llama, 2)
    with shelf.using(["u1", "u2"]):
        before = logits(llama, prompts)
    fitted, slot = shelf._kept["u1"], shelf._slots.tags.index("u1")
    del store.adapters["u1"]
    assert shelf.let_go(store.present) == {"u1"}
    assert shelf.digests() == {"u2"}
    assert not fitted.numbers.any()
    for stack in shelf._slots._stacks.values():
        assert not stack.down[slot].any()
        assert not stack.up[slot].any()
    with pytest.raises(StoreCorruptError, match="u1 has no row"), shelf.using(["u1", "u2"]):
        pass
    with shelf.using([None, "u2"]):
        assert torch.equal(logits(llama, prompts)[1], before[1])
    assert shelf.let_go(store.present) == set()
    assert shelf.bytes() == shelf._kept["u2"].bytes


def test_who_is_loading_while_it_is_taken_back_loads_again(llama: Engine, store: Store) -> None:
    """The old load ends after the row is gone; it must not come back to memory or a slot."""
    started, go_on = threading.Event(), threading.Event()

    def slow(digest: str) -> Adapter:
        adapter = store.load(digest)
        if digest == "u1" and not go_on.is_set():
            started.set()
            assert go_on.wait(10)
        return adapter

    shelf = Shelf(llama, Slots(llama, 2, count=2), slow, LARGE)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: shelf.using(["u1"]).__enter__())
        assert started.wait(10)
        del store.adapters["u1"]
        assert shelf.let_go(store.present) == {"u1"}
        go_on.set()
        with pytest.raises(StoreCorruptError, match="no row"):
            asked.result(10)
    assert shelf.digests() == set()
    assert shelf.bytes() == 0
    assert not any(half.any() for stack in shelf._slots._stacks.values() for half in stack)


def test_a_slot_that_somebody_else_wrote_to_is_not_believed(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    """The planted fault: another adapter in the slot of u1."""
    prompts = random_prompts(llama, 1)
    with shelf.using(["u1"]):
        before = logits(llama, prompts)
    slot = shelf._slots.tags.index("u1")
    shelf._slots.put(slot, store.adapters["u2"])
    with shelf.using(["u1"]):
        assert torch.equal(logits(llama, prompts), before)
    with shelf._slots.on([slot]):
        assert not torch.equal(logits(llama, prompts), before)


def test_a_slot_that_is_stale_shows_in_the_answers(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    """That the tests here would see it: a slot under the right name with the wrong tensors."""
    prompts = random_prompts(llama, 1)
    with shelf.using(["u1"]):
        pass
    shelf._slots.put(shelf._slots.tags.index("u1"), store.adapters["u2"], tag="u1")
    with shelf.using(["u1"]):
        found = logits(llama, prompts)[0]
    assert not torch.allclose(found, wanted(llama, store, "u1", prompts[0]), atol=1e-2)


def test_an_adapter_that_is_refused_leaves_the_shelf_as_it_was(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    other = random_adapter(llama, 50, rank=80)
    store.adapters["wide"] = other
    store.adapters["foreign"] = Adapter(
        carrier="lora", base="0" * 64, config=other.config, tensors=other.tensors
    )
    prompts = random_prompts(llama, 1)
    with shelf.using(["u0"]):
        before = logits(llama, prompts)
    for digest in ("foreign", "wide"):
        with pytest.raises(InvalidInputError), shelf.using([digest, "u1"]):
            pass
    with shelf.using(["u0"]):
        assert torch.equal(logits(llama, prompts), before)
    assert "foreign" not in shelf.digests()


def test_slots_widen_for_a_larger_rank(llama: Engine, store: Store, shelf: Shelf) -> None:
    store.adapters["wide"] = random_adapter(llama, 50, rank=5)
    prompts = random_prompts(llama, 2)
    with shelf.using(["u0", None]):
        before = logits(llama, prompts)
        with shelf.using(["u0", "wide"]):
            found = logits(llama, prompts)
        assert torch.equal(logits(llama, prompts), before)
    assert shelf._slots.rank == 5
    for row, digest, prompt in zip(found, ("u0", "wide"), prompts, strict=True):
        assert torch.allclose(row, wanted(llama, store, digest, prompt), atol=1e-5)


@pytest.mark.parametrize("host", ["large", "small"])
def test_eight_threads_ask_for_fifty_adapters_through_four_slots(llama: Engine, host: str) -> None:
    """Each answer is that of its own adapter, while others are taken back and come again."""
    store = Store({f"{number:x}": random_adapter(llama, number) for number in range(50)})
    slots = Slots(llama, 2, count=4)
    size = slots.fit(store.adapters["0"]).bytes
    shelf = Shelf(llama, slots, store.load, LARGE if host == "large" else 6 * size)
    prompt = random_prompts(llama, 1)[0]
    known = {digest: wanted(llama, store, digest, prompt) for digest in store.adapters}
    known[""] = wanted(llama, store, None, prompt)
    wrong: list[str] = []

    def without(gone: set[str], digests: set[str]) -> set[str]:
        return digests - gone

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            digests = chance.sample(sorted(store.adapters), chance.randint(1, 3))
            rows = [*digests, None]
            chance.shuffle(rows)
            with shelf.using(rows):
                found = logits(llama, [prompt] * len(rows))
            wrong.extend(
                str(digest)
                for digest, row in zip(rows, found, strict=True)
                if not torch.allclose(row, known[digest or ""], atol=1e-4)
            )
            if chance.random() < 0.2:
                shelf.let_go(partial(without, set(chance.sample(sorted(store.adapters), 5))))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert wrong == []
    assert shelf.bytes() <= shelf._host_bytes
    assert not shelf._flights


def test_measures_of_an_adapter_work_with_a_digest(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    prompts = random_prompts(llama, 70)
    held = LoraCarrier().apply(llama, store.adapters["u1"])
    applied = shelf.applied("u1")
    assert applied.past is None
    found = next_logits(llama, prompts, applied)
    assert torch.allclose(found, next_logits(llama, prompts, held), atol=1e-5)
    assert greedy_answers(llama, prompts[:5], applied) == greedy_answers(llama, prompts[:5], held)
    applied.close()


def test_a_session_runs_with_its_adapter_in_every_pass(
    llama: Engine, store: Store, shelf: Shelf
) -> None:
    prompt = [5, 6, 7, 8, 9]
    session, other = shelf.session("u1"), shelf.session("u2")
    session.feed(prompt[:2])
    other.feed(prompt)
    assert session.position == 2
    found = session.feed(prompt[2:])
    assert torch.allclose(found, wanted(llama, store, "u1", prompt), atol=1e-5)
    assert torch.allclose(other.feed([5]), wanted(llama, store, "u2", [*prompt, 5]), atol=1e-5)
    at = torch.ones(1, 6, dtype=torch.bool)
    again = session.feed_at([5], [5], at)
    assert torch.allclose(again, wanted(llama, store, "u1", [*prompt, 5]), atol=1e-5)
    assert session.cached()[0].keys.shape[-2] == 6
    with pytest.raises(InvalidInputError, match="not recorded"):
        session.recorded()
    del store.adapters["u1"]
    shelf.let_go(store.present)
    with pytest.raises(StoreCorruptError, match="no row"):
        session.feed([5])


def test_what_was_warmed_is_not_loaded_again(store: Store, shelf: Shelf) -> None:
    shelf.warm(["u1", "u2", "u1"])
    assert shelf.digests() == {"u1", "u2"}
    with shelf.using(["u1", "u2"]):
        pass
    assert store.loaded == ["u1", "u2"]
    shelf.close()
    assert shelf.digests() == set()
    assert shelf.bytes() == 0


def test_a_budget_below_zero_is_refused(llama: Engine, store: Store) -> None:
    with pytest.raises(InvalidInputError, match="host_bytes"):
        Shelf(llama, Slots(llama, 2, count=1), store.load, -1)
