"""A cartridge is a prefix of keys and values: for batches, for sessions, and for peft."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.batch import greedy_answers, next_logits
from mneme.memories.parametric.cartridge import (
    NAME,
    TENSOR,
    CartridgeCarrier,
    PrefixShape,
    cartridge_config,
    keys_and_values,
    packed,
    prefix_shape,
    unpacked,
)
from mneme.memories.parametric.training import UNWATCHED, Course, Run, Training, Written
from mneme.memories.parametric.writers import build_carrier, build_writer
from mneme.memories.parametric.writers.cartridge import first_words
from mneme.testing.fact_world import HELD, WorldFact, course_of, new_facts, prompt_of
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch", reason="parametric memory needs the extra 'local'")

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "phi3", "gpt2")
PREFIX, PROMPTS = [1, 40, 41, 42, 43], [[1, 7, 8, 9], [1, 9, 30]]


def cartridge_of(engine: Engine, tokens: list[int]) -> Adapter:
    """A cartridge that says what these tokens say."""
    session = engine.session(record=True)
    session.feed(tokens)
    kv = session.recorded()
    return Adapter(
        carrier=NAME,
        base=base_of(engine.fields),
        config=cartridge_config(prefix_shape(kv), len(tokens)),
        tensors={TENSOR: packed(kv)},
    )


@pytest.fixture(params=FAMILIES)
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Engine]:
    # GPT-2 has neither field, and peft believes a configuration that has.
    gone = ("num_key_value_heads", "head_dim") if request.param == "gpt2" else ()
    fields: dict[str, Any] = dict.fromkeys(gone)
    folder = tiny_model(request.param, tmp_path / "model", **fields)
    made: Engine = mneme.engine(folder)
    return folder, made


def test_keys_and_values_are_packed_as_peft_has_them_and_come_back() -> None:
    shape = PrefixShape(layers=2, heads=4, size=5)
    flat = torch.arange(3.0 * shape.width).view(3, -1)
    kv = unpacked(flat, shape)
    assert prefix_shape(kv) == shape
    assert torch.equal(packed(kv), flat)
    assert kv[1].values[3, 2].tolist() == flat.view(3, 4, 4, 5)[2, 3, 3].tolist()


def test_a_cartridge_of_a_text_answers_as_the_text_before_the_prompt(
    tiny: tuple[Path, Engine],
) -> None:
    _, engine = tiny
    applied = CartridgeCarrier().apply(engine, cartridge_of(engine, PREFIX))
    mine = next_logits(engine, PROMPTS, applied)
    whole = next_logits(engine, [PREFIX + prompt for prompt in PROMPTS])
    assert (mine - whole).abs().max() < 1e-5
    assert (mine - next_logits(engine, PROMPTS)).abs().max() > 1e-2


def test_a_session_can_start_from_it(tiny: tuple[Path, Engine]) -> None:
    _, engine = tiny
    adapter = cartridge_of(engine, PREFIX)
    session = engine.session(past=keys_and_values(adapter))
    mine = session.feed(PROMPTS[0])
    batch = next_logits(engine, PROMPTS[:1], CartridgeCarrier().apply(engine, adapter))
    assert session.position == len(PREFIX) + len(PROMPTS[0])
    assert (mine - batch[0]).abs().max() < 1e-5


@pytest.mark.filterwarnings("ignore::UserWarning:peft", "ignore::FutureWarning")
def test_peft_loads_it_and_computes_the_same(tiny: tuple[Path, Engine], tmp_path: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    folder, engine = tiny
    adapter = cartridge_of(engine, PREFIX)
    generator = torch.Generator().manual_seed(3)
    flat = adapter.tensors[TENSOR]
    moved = flat + 0.3 * torch.randn(flat.shape, generator=generator)
    adapter = Adapter(
        carrier=NAME, base=adapter.base, config=adapter.config, tensors={TENSOR: moved}
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps(dict(adapter.config)))
    save_file(dict(adapter.tensors), tmp_path / "adapter_model.safetensors")
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path)
    with torch.no_grad():
        ids = torch.tensor(PROMPTS[:1])
        wanted = theirs.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]
    got = next_logits(engine, PROMPTS[:1], CartridgeCarrier().apply(engine, adapter))[0]
    assert (got - wanted).abs().max() < 1e-5


def test_a_model_is_the_base_while_a_cartridge_is_ready(engine: Engine) -> None:
    before = next_logits(engine, PROMPTS)
    applied = CartridgeCarrier().apply(engine, cartridge_of(engine, PREFIX))
    next_logits(engine, PROMPTS, applied)
    assert torch.equal(next_logits(engine, PROMPTS), before)


def test_one_that_was_closed_is_not_taken_for_the_base(engine: Engine) -> None:
    applied = CartridgeCarrier().apply(engine, cartridge_of(engine, PREFIX))
    applied.close()
    with pytest.raises(InvalidInputError, match="closed"):
        next_logits(engine, PROMPTS, applied)


def test_a_model_whose_layers_slide_takes_none(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("gemma3", tmp_path))
    with pytest.raises(UnsuitedModelError, match="falls out"):
        CartridgeCarrier().apply(engine, cartridge_of(engine, PREFIX))


def _changed(adapter: Adapter, **config: object) -> Adapter:
    return Adapter(
        carrier=adapter.carrier,
        base=adapter.base,
        config={**adapter.config, **config},
        tensors=adapter.tensors,
    )


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: Adapter(carrier="lora", base=a.base, config={}, tensors={}), "lora"),
        (lambda a: Adapter(carrier=NAME, base="0" * 64, config={}, tensors={}), "base"),
        (lambda a: _changed(a, peft_type="P_TUNING"), "P_TUNING"),
        (lambda a: _changed(a, prefix_projection=True), "prefix_projection"),
        (lambda a: _changed(a, num_transformer_submodules=2), "encoder"),
        (lambda a: _changed(a, num_layers=None), "num_layers"),
        (lambda a: _changed(a, num_virtual_tokens=6), "by its config"),
        (lambda a: _changed(a, num_layers=1, token_dim=256), "layers"),
        (lambda a: _changed(a, num_attention_heads=8), "not the model's"),
        (
            lambda a: Adapter(carrier=NAME, base=a.base, config=a.config, tensors={"x": a}),
            "one tensor",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    engine: Engine, spoil: Callable[[Adapter], Adapter], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        CartridgeCarrier().apply(engine, spoil(cartridge_of(engine, PREFIX)))


def test_one_as_long_as_the_window_is_refused(engine: Engine) -> None:
    long = cartridge_of(engine, [1] * engine.window)
    with pytest.raises(InvalidInputError, match="no room"):
        CartridgeCarrier().apply(engine, long)


SHORT = Training(writer=NAME, rank=16, steps=60)


@pytest.fixture(scope="module")
def facts(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 8)


@pytest.fixture(scope="module")
def course(engine: Engine, world: list[WorldFact], facts: list[WorldFact]) -> Course:
    return course_of(engine, facts, world[:20])


@pytest.fixture(scope="module")
def written(engine: Engine, course: Course) -> Written:
    return build_writer(NAME).write(engine, course, SHORT, UNWATCHED)


def test_what_is_written_is_answered_in_wordings_that_were_not(
    engine: Engine, facts: list[WorldFact], written: Written
) -> None:
    applied = build_carrier(NAME).apply(engine, written.adapter)
    asked = [(prompt_of(engine, p), fact) for fact in facts for p in fact.prompts(HELD)]
    answers = greedy_answers(engine, [p for p, _ in asked], applied, max_new_tokens=3)
    said = [engine.decode(answer) for answer in answers]
    assert sum(s == f.object for s, (_, f) in zip(said, asked, strict=True)) >= 15
    assert written.figures["right"] == 1.0


def test_a_session_that_starts_from_what_was_written_answers(
    engine: Engine, facts: list[WorldFact], written: Written
) -> None:
    past = keys_and_values(written.adapter)
    right = 0
    for fact in facts:
        logits = engine.session(past=past).feed(prompt_of(engine, fact.prompts()[0]))
        right += engine.decode([int(logits.argmax())]) == fact.object
    assert right == len(facts)


def test_writing_leaves_the_model_as_it_is(engine: Engine, course: Course) -> None:
    prompts = course.replay[:10]
    before = next_logits(engine, prompts)
    marks = [each.requires_grad for each in engine.model.parameters()]
    build_writer(NAME).write(engine, course, Training(writer=NAME, rank=4, steps=2), UNWATCHED)
    assert torch.equal(next_logits(engine, prompts), before)
    assert marks == [each.requires_grad for each in engine.model.parameters()]
    assert all(each.grad is None for each in engine.model.parameters())


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(engine: Engine, course: Course) -> None:
    training = Training(writer=NAME, rank=6, steps=8)
    kept: list[bytes] = []

    def stop(step: int, _steps: int, _loss: float) -> None:
        if step == 6:
            raise KeyboardInterrupt

    writer = build_writer(NAME)
    with pytest.raises(KeyboardInterrupt):
        writer.write(
            engine, course, training, Run(progress=stop, save=kept.append, save_every_s=0.0)
        )
    rest = writer.write(engine, course, training, Run(saved=kept[-1]))
    whole = writer.write(engine, course, training, UNWATCHED)
    assert 0 < rest.figures["resumed_at"] < 6
    assert torch.equal(rest.adapter.tensors[TENSOR], whole.adapter.tensors[TENSOR])


def test_what_the_base_reads_in_its_prompt_can_be_distilled(engine: Engine, course: Course) -> None:
    reading = [each._replace(reading=(1, *each.prompt)) for each in course.lessons]
    taught = Course(tuple(reading), course.replay)
    writer, training = build_writer(NAME), Training(writer=NAME, rank=4, steps=3, distill=1.0)
    with_it = writer.write(engine, taught, training, UNWATCHED).adapter.tensors[TENSOR]
    without = writer.write(engine, course, training, UNWATCHED).adapter.tensors[TENSOR]
    assert not torch.equal(with_it, without)


def test_it_starts_from_one_lesson_of_each_fact(course: Course) -> None:
    words = first_words(course, 30)
    first, second = course.lessons[0], course.lessons[4]
    assert second.fact == 1
    wanted = [*first.prompt, *first.answer, *second.prompt, *second.answer]
    assert words[: len(wanted)] == wanted
    assert len(first_words(course, 1000)) == 1000


@pytest.mark.parametrize(
    ("training", "says"),
    [
        (Training(writer=NAME, rank=0), "0 tokens"),
        (Training(writer=NAME, rank=60), "window of 64"),
        (Training(writer=NAME, rank=8, recompute=True), "recompute"),
    ],
)
def test_settings_that_do_not_suit_are_refused(
    engine: Engine, course: Course, training: Training, says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        build_writer(NAME).write(engine, course, training, UNWATCHED)


def test_a_course_without_lessons_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInputError, match="no lessons"):
        build_writer(NAME).write(engine, Course((), ()), SHORT, UNWATCHED)
