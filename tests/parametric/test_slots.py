"""Slots: each row of a batch with its own adapter, and nobody else's."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import last_logits
from mneme.memories.parametric.lora import LoraCarrier, linears, weight_names
from mneme.memories.parametric.slots import Slots
from mneme.memories.parametric.training import UNWATCHED, Training
from mneme.memories.parametric.writers.lora import LoraWriter
from mneme.testing.adapters import random_adapter, random_prompts
from mneme.testing.fact_world import (
    HELD,
    WRITTEN,
    WorldFact,
    contradicting,
    course_of,
    new_facts,
    prompt_of,
)
from mneme.testing.tiny_models import tiny_model

FAMILIES = ("llama", "mistral-sliding", "qwen2", "qwen3", "gemma3", "phi3", "gpt2")


@torch.no_grad()
def logits(engine: Engine, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    return last_logits(engine, prompts)


def alone(engine: Engine, adapter: Adapter, prompt: Sequence[int]) -> torch.Tensor:
    """Logits of one prompt with one adapter, without slots."""
    applied = LoraCarrier().apply(engine, adapter)
    with applied.on():
        return logits(engine, [prompt])[0]


def hooks(engine: Engine) -> int:
    return sum(len(layer._forward_hooks) for layer in linears(engine.model).values())


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return mneme.engine(tiny_model(request.param, tmp_path_factory.mktemp("m") / request.param))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return mneme.engine(tiny_model("llama", tmp_path_factory.mktemp("m")))


@pytest.mark.parametrize("distinct", [1, 2, 8, 9])
def test_a_mixed_batch_answers_each_row_as_if_alone(family: Engine, distinct: int) -> None:
    slots = Slots(family, 4, count=9)
    adapters = [random_adapter(family, seed, rank=1 + seed % 4) for seed in range(distinct)]
    for slot, adapter in enumerate(adapters):
        slots.put(slot, adapter)
    prompts = random_prompts(family, 12, seed=distinct)
    rows = [None, *range(distinct), *[None, 0] * 6][:12]
    random.Random(0).shuffle(rows)
    with slots.on(rows):
        mixed = logits(family, prompts)
    base = logits(family, prompts)
    for at, slot in enumerate(rows):
        if slot is None:
            assert torch.equal(mixed[at], base[at])
            continue
        own = alone(family, adapters[slot], prompts[at])
        assert (mixed[at] - own).abs().max() <= 1e-5 * max(1.0, float(own.abs().max()))
        assert (mixed[at] - base[at]).abs().max() > 1e-2


@pytest.mark.parametrize("size", [1, 7])
def test_one_adapter_for_all_rows_is_what_its_carrier_computes(family: Engine, size: int) -> None:
    slots, adapter = Slots(family, 8, count=2), random_adapter(family, 1, rank=3)
    slots.put(1, adapter)
    prompts = random_prompts(family, size)
    applied = LoraCarrier().apply(family, adapter)
    with applied.on():
        wanted = logits(family, prompts)
    with slots.on([1] * size):
        named = logits(family, prompts)
    with slots.every(1):
        every = logits(family, prompts)
    assert torch.equal(named, every)
    assert (named - wanted).abs().max() <= 1e-5 * max(1.0, float(wanted.abs().max()))


def test_slots_that_are_off_leave_every_bit_and_no_hook(family: Engine) -> None:
    prompts = random_prompts(family, 6)
    before = logits(family, prompts)
    slots = Slots(family, 2, count=3)
    for slot in range(3):
        slots.put(slot, random_adapter(family, slot))
    assert torch.equal(logits(family, prompts), before)
    with slots.on([None] * 6):
        assert hooks(family) == 0
        assert torch.equal(logits(family, prompts), before)
    with pytest.raises(InvalidInputError), slots.on([0] * 6):
        logits(family, prompts[:5])
    assert hooks(family) == 0
    assert torch.equal(logits(family, prompts), before)


@pytest.mark.parametrize("others", [1, 8])
def test_a_slot_full_of_nonsense_reaches_no_other_row(llama: Engine, others: int) -> None:
    """Zero times infinity is no number: rows must not meet a slot that is not theirs."""
    slots, count = Slots(llama, 2, count=10), others + 2
    prompts = random_prompts(llama, count)
    for slot in range(others):
        slots.put(slot, random_adapter(llama, slot))
    slots.put(9, random_adapter(llama, 9))
    rows = [None, *range(others), 9]
    with slots.on(rows):
        good = logits(llama, prompts)
    for stack in slots._stacks.values():  # what no adapter can do: `fit` refuses it
        stack.down[9].fill_(float("inf"))
        stack.up[9].fill_(float("nan"))
    with slots.on(rows):
        bad = logits(llama, prompts)
    assert torch.equal(bad[:-1], good[:-1])
    assert not bad[-1].isfinite().any()


def test_putting_one_leaves_the_others_bit_by_bit(llama: Engine) -> None:
    slots = Slots(llama, 4, count=4)
    for slot in range(4):
        slots.put(slot, random_adapter(llama, slot, rank=4))
    prompts = random_prompts(llama, 4)
    with slots.on([0, 1, 2, 3]):
        before = logits(llama, prompts)
    slots.put(1, random_adapter(llama, 9, rank=4))
    with slots.on([0, 1, 2, 3]):
        after = logits(llama, prompts)
    assert torch.equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert not torch.equal(after[1], before[1])


def test_nothing_of_what_was_in_a_slot_before_stays(llama: Engine) -> None:
    """A smaller rank, and fewer layers: the rest is zeros."""
    prompts, small = random_prompts(llama, 3), random_adapter(llama, 2, layers=["q_proj"])
    fresh, used = Slots(llama, 4, count=1), Slots(llama, 4, count=1)
    used.put(0, random_adapter(llama, 1, rank=4))
    for slots in (fresh, used):
        slots.put(0, small)
    for path in fresh._stacks:
        for one, other in zip(fresh._stacks[path], used._stacks[path], strict=True):
            assert torch.equal(one, other)
    with fresh.on([0] * 3):
        wanted = logits(llama, prompts)
    with used.on([0] * 3):
        assert torch.equal(logits(llama, prompts), wanted)
    used.clear(0)
    assert not any(half.any() for stack in used._stacks.values() for half in stack)
    with used.on([0] * 3):
        cleared = logits(llama, prompts)
    assert torch.equal(cleared, logits(llama, prompts))


def test_slots_can_be_widened_and_keep_what_they_hold(llama: Engine) -> None:
    slots, prompts = Slots(llama, 2, count=2, most_rank=8), random_prompts(llama, 2)
    slots.put(0, random_adapter(llama, 0), tag="a")
    with slots.on([0, 0]):
        before = logits(llama, prompts)
    wide = random_adapter(llama, 1, rank=8)
    with pytest.raises(InvalidInputError, match="rank 8 does not fit into slots of rank 2"):
        slots.put(1, wide)
    size = slots.bytes
    slots.widen(8)
    slots.put(1, wide)
    assert (slots.rank, slots.bytes, slots.tags) == (8, 4 * size, ("a", None))
    with slots.on([0, 0]):
        assert torch.equal(logits(llama, prompts), before)
    with pytest.raises(InvalidInputError, match="limit of 8"):
        slots.widen(9)
    slots.widen(1)
    assert slots.rank == 8


def test_blocks_within_blocks(llama: Engine) -> None:
    slots, prompts = Slots(llama, 2, count=2), random_prompts(llama, 2)
    slots.put(0, random_adapter(llama, 0))
    slots.put(1, random_adapter(llama, 1, layers=["up_proj", "down_proj"]))
    base = logits(llama, prompts)
    with slots.on([0, 0]):
        zero = logits(llama, prompts)
    with slots.on([1, 1]):
        one = logits(llama, prompts)
        with slots.on([0, 0]):
            assert torch.equal(logits(llama, prompts), zero)
            with slots.on([None, None]):
                assert torch.equal(logits(llama, prompts), base)
        assert torch.equal(logits(llama, prompts), one)
    assert hooks(llama) == 0


def test_a_batch_of_another_size_is_refused(llama: Engine) -> None:
    slots = Slots(llama, 2, count=2)
    slots.put(0, random_adapter(llama, 0))
    for rows in ([0, None], [0, 0], [0]):
        with slots.on(rows), pytest.raises(InvalidInputError, match="the batch has 3"):
            logits(llama, random_prompts(llama, 3))
    assert hooks(llama) == 0


def test_layers_that_see_all_tokens_as_one_take_one_adapter_alone(llama: Engine) -> None:
    slots = Slots(llama, 2, count=2)
    slots.put(0, random_adapter(llama, 0))
    slots.put(1, random_adapter(llama, 1))
    path, shape = next(iter(slots._shapes.items()))
    flat, output = torch.ones(6, shape.inputs), torch.zeros(6, shape.outputs)  # 3 rows of 2 tokens
    with slots.on([0, 1, 0]), pytest.raises(UnsuitedModelError, match="one batch for each"):
        slots.changed(path, flat, output.clone())
    with slots.on([0, 0, 0]):
        assert slots.changed(path, flat, output.clone()).any()


def test_gradients_flow_through_slots(llama: Engine) -> None:
    slots = Slots(llama, 2, count=2)
    slots.put(0, random_adapter(llama, 0))
    for rows in ([0, 0], [0, None]):
        embedded = llama.model.get_input_embeddings()(torch.tensor([[5, 6], [7, 8]])).detach()
        embedded.requires_grad_(requires_grad=True)
        with slots.on(rows):
            out = llama.model(inputs_embeds=embedded).logits
        out.sum().backward()
        assert embedded.grad is not None
        assert embedded.grad.isfinite().all()


def test_what_does_not_fit_is_refused_and_changes_nothing(llama: Engine, family: Engine) -> None:
    slots, prompts = Slots(llama, 2, count=1), random_prompts(llama, 2)
    good = random_adapter(llama, 0)
    slots.put(0, good, tag="good")
    with slots.on([0, 0]):
        before = logits(llama, prompts)
    name = next(iter(good.tensors))
    endless = {**good.tensors, name: good.tensors[name] * float("inf")}
    for bad in (
        dataclasses.replace(good, base="0" * 64),
        dataclasses.replace(good, carrier="cartridge"),
        dataclasses.replace(good, config={**good.config, "use_dora": True}),
        dataclasses.replace(good, tensors={"a": torch.ones(2)}),
        dataclasses.replace(good, tensors={name: good.tensors[name]}),
        dataclasses.replace(good, tensors=endless),
        dataclasses.replace(good, tensors={**good.tensors, weight_names("x")[0]: torch.ones(1, 1)}),
    ):
        with pytest.raises(InvalidInputError):
            slots.put(0, bad, tag="bad")
    with pytest.raises(InvalidInputError, match="slots 0 to 0"):
        slots.put(1, good)
    with pytest.raises(InvalidInputError, match="slots 0 to 0"), slots.on([0, -1]):
        pass
    assert slots.tags == ("good",)
    with slots.on([0, 0]):
        assert torch.equal(logits(llama, prompts), before)
    if family.fields["weights"] != llama.fields["weights"]:
        with pytest.raises(InvalidInputError, match="written for the base"):
            slots.put(0, random_adapter(family, 0))
    for rank, count in ((0, 1), (1, 0)):
        with pytest.raises(InvalidInputError):
            Slots(llama, rank, count=count)


def test_numbers_too_large_for_the_type_of_the_model_are_refused(tmp_path: Path) -> None:
    half = mneme.engine(tiny_model("llama", tmp_path), dtype="float16")
    large = random_adapter(half, 0)
    tensors = {name: tensor * 1e6 for name, tensor in large.tensors.items()}
    with pytest.raises(InvalidInputError, match="not finite"):
        Slots(half, 2, count=1).put(0, dataclasses.replace(large, tensors=tensors))


def test_models_in_bfloat16(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("llama", tmp_path), dtype="bfloat16")
    slots, prompts = Slots(engine, 2, count=6), random_prompts(engine, 8)
    adapters = [random_adapter(engine, seed) for seed in range(6)]
    for slot, adapter in enumerate(adapters):
        slots.put(slot, adapter)
    assert {half.dtype for stack in slots._stacks.values() for half in stack} == {torch.bfloat16}
    base = logits(engine, prompts)
    with slots.on([None, 0, 1, 2, 3, 4, 5, None]):
        mixed = logits(engine, prompts)
    assert torch.equal(mixed[[0, 7]], base[[0, 7]])
    with slots.on([0] * 8):
        whole = logits(engine, prompts)
    assert (mixed[1] - whole[1]).abs().max() <= 0.1 * whole[1].abs().max()


def test_threads_wait_for_each_other(llama: Engine) -> None:
    """Who runs the base never sees what another thread has on."""
    slots, prompts = Slots(llama, 2, count=2), random_prompts(llama, 2)
    slots.put(0, random_adapter(llama, 0))
    with slots.on([0, 0]):
        wanted = logits(llama, prompts)
    base, wrong = logits(llama, prompts), []

    def run(with_slot: bool) -> None:
        for _ in range(20):
            if with_slot:
                with slots.on([0, 0]):
                    same = torch.equal(logits(llama, prompts), wanted)
            else:
                with llama.lock:
                    same = torch.equal(logits(llama, prompts), base)
            if not same:
                wrong.append(with_slot)

    threads = [threading.Thread(target=run, args=(at % 2 == 0,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_owners_with_contradicting_facts_in_one_shuffled_batch(
    engine: Engine, world: list[WorldFact]
) -> None:
    """Own answers 1.0, the other's 0, and the logits those of each alone."""
    mine = new_facts(world, 12, seed=3)
    theirs = contradicting(mine)
    facts = {0: mine, 1: theirs}
    slots = Slots(engine, 4, count=2)
    adapters = []
    for number, taught in facts.items():
        training = Training(rank=4, replay=0.0, seed=number)
        written = LoraWriter().write(engine, course_of(engine, taught), training, UNWATCHED)
        adapters.append(written.adapter)
        slots.put(number, written.adapter)
    asked: list[tuple[int | None, WorldFact, tuple[int, ...]]] = [
        (slot, fact, prompt_of(engine, prompt))
        for slot, own in facts.items()
        for fact in own
        for prompt in fact.prompts((*WRITTEN, *HELD))
    ]
    asked += [(None, fact, prompt_of(engine, fact.prompts()[0])) for fact in world[:20]]
    random.Random(0).shuffle(asked)
    with slots.on([slot for slot, _, _ in asked]):
        mixed = logits(engine, [prompt for _, _, prompt in asked])
    base = logits(engine, [prompt for _, _, prompt in asked])
    said = mixed.argmax(-1).tolist()
    answers = [engine.encode(fact.object)[0] for _, fact, _ in asked]
    right = [
        token == answer
        for (slot, _, _), token, answer in zip(asked, said, answers, strict=True)
        if slot is not None
    ]
    others = {fact[:2]: (mine[at].object, theirs[at].object) for at, fact in enumerate(mine)}
    for (slot, fact, prompt), token, row, plain in zip(asked, said, mixed, base, strict=True):
        if slot is None:
            assert torch.equal(row, plain)
            continue
        assert token != engine.encode(others[fact[:2]][1 - slot])[0]
        assert (row - alone(engine, adapters[slot], prompt)).abs().max() <= 1e-5
    assert sum(right) / len(right) == 1.0
