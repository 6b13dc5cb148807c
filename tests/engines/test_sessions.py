"""Keys and values that were kept are those that the model would compute."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme.backends.engines.local.engine import LocalEngine
from mneme.core.engine import KV, Engine, Layer, Session
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.tiny_models import FAMILIES

ALL = [*FAMILIES, "gemma3n"]
WHOLE = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gpt2"]  # no layer slides
SPLITS = [1, 15, 16, 17, 63, 64, 65, 99]
NEAR = 1e-5
STEPS = 8


def full(engine: Engine, tokens: Sequence[int]) -> torch.Tensor:
    """The logits of the model itself, in one pass, with a cache of its own making.

    Without one, Gemma3n of transformers 5.2 lets its last layers share nothing.
    """
    with torch.no_grad():
        out = engine.model(input_ids=torch.tensor([list(tokens)]), use_cache=True)
    logits: torch.Tensor = out.logits[0, -1].float()
    return logits


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((one - other).abs().max() / other.abs().max())


def greedy(session: Session, logits: torch.Tensor) -> list[int]:
    said = []
    for _ in range(STEPS):
        said.append(int(logits.argmax()))
        logits = session.feed(said[-1:])
    return said


def recorded(engine: Engine, tokens: Sequence[int]) -> KV:
    session = engine.session(record=True)
    session.feed(tokens)
    return session.recorded()


def digest(past: KV) -> str:
    said = hashlib.sha256()
    for layer in past:
        for part in layer:
            said.update(repr(tuple(part.shape)).encode() + part.contiguous().numpy().tobytes())
    return said.hexdigest()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("family", ALL)
def test_what_was_kept_continues_bit_by_bit(
    family: str, split: int, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    parts = engine.session(record=True)
    parts.feed(prompt[:split])
    past = parts.recorded()
    again = engine.session(past)
    continued, injected = parts.feed(prompt[split:]), again.feed(prompt[split:])
    assert torch.equal(continued, injected)
    assert again.position == len(prompt)
    whole = engine.session()
    logits = whole.feed(prompt)
    assert apart(injected, logits) <= NEAR
    assert apart(injected, full(engine, prompt)) <= NEAR
    assert greedy(again, injected) == greedy(parts, continued) == greedy(whole, logits)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("family", ALL)
def test_a_question_of_one_token(
    family: str, split: int, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    parts = engine.session(record=True)
    parts.feed(prompt[:split])
    past = parts.recorded()
    injected = engine.session(past).feed(prompt[split : split + 1])
    assert torch.equal(injected, parts.feed(prompt[split : split + 1]))
    assert apart(injected, full(engine, prompt[: split + 1])) <= NEAR


@pytest.mark.parametrize("family", ALL)
def test_what_is_recorded_is_whole_also_where_a_layer_slides(
    family: str, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    past = recorded(engine, prompt)
    assert len(past) == engine.layers
    assert {part.shape[-2] for layer in past for part in layer} == {len(prompt)}
    assert {part.dim() for layer in past for part in layer} == {3}
    bits = engine.session(record=True)
    for token in prompt[:20]:
        bits.feed([token])
    for one, many in zip(bits.recorded(), past, strict=True):
        assert apart(one.keys, many.keys[:, :20]) <= NEAR
        assert apart(one.values, many.values[:, :20]) <= NEAR


@pytest.mark.parametrize("family", ALL)
def test_a_thousand_sessions_leave_what_was_stored_as_it_was(
    family: str, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    past = recorded(engine, prompt[:40])
    before = digest(past)
    for number in range(1000 if family == "llama" else 50):
        engine.session(past).feed([prompt[number % len(prompt)]])
    assert digest(past) == before
    session = engine.session(past, record=True)
    session.feed(prompt[:1])
    session.recorded()[0].keys.zero_()
    for part in session.cached()[0]:
        part.zero_()
    assert digest(past) == before


@given(data=st.data())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("family", ["llama", "gemma3", "gemma3n"])
def test_any_parts_say_what_the_whole_says(
    family: str, data: st.DataObject, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    past: KV | None = None
    start, logits = 0, torch.empty(0)
    layers: list[list[Layer]] = [[] for _ in range(engine.layers)]
    while start < len(prompt):
        end = start + data.draw(st.integers(1, len(prompt) - start))
        session = engine.session(past, record=True)
        logits = session.feed(prompt[start:end])
        for kept, new in zip(layers, session.recorded(), strict=True):
            kept.append(new)
        past = tuple(_joined(kept) for kept in layers)
        start = end
    assert apart(logits, full(engine, prompt)) <= NEAR


def _joined(parts: list[Layer]) -> Layer:
    keys, values = zip(*parts, strict=True)
    return Layer(torch.cat(keys, dim=-2), torch.cat(values, dim=-2))


@pytest.mark.parametrize("family", ["llama", "gemma3", "phi3-sliding"])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_bound_memory_and_change_nothing(
    family: str, chunk: int, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    plain = engine_of(family)
    assert isinstance(plain, LocalEngine)
    engine = LocalEngine(plain.model, plain._tokenizer, chunk_tokens=chunk)
    assert engine.fingerprint == plain.fingerprint
    session = engine.session(record=True)
    assert apart(session.feed(prompt), full(plain, prompt)) <= NEAR
    assert session.recorded()[0].keys.shape[-2] == len(prompt)


@pytest.mark.parametrize("family", WHOLE)
def test_tokens_left_out_are_not_seen_and_positions_stay_true(
    family: str, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    past = recorded(engine, prompt[:60])
    kept = [n for n in range(60) if n % 3]
    thin = tuple(Layer(layer.keys[:, kept], layer.values[:, kept]) for layer in past)
    question = prompt[60:70]
    thinned = engine.session(thin, position=60)
    logits = thinned.feed(question)
    visible = torch.zeros(10, 70, dtype=torch.bool)
    visible[:, kept] = True
    visible[:, 60:] = torch.ones(10, 10, dtype=torch.bool).tril()
    masked = engine.session(past).feed_at(question, range(60, 70), visible)
    assert thinned.position == 70
    assert apart(logits, masked) <= NEAR
    assert apart(logits, full(engine, prompt[:70])) > 100 * NEAR


@pytest.mark.parametrize("family", ["mistral-sliding", "gemma3", "phi3-sliding", "gemma3n"])
def test_a_model_that_slides_takes_no_gaps_and_no_masks(
    family: str, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    past = recorded(engine, prompt[:20])
    with pytest.raises(UnsuitedModelError, match="window of the last"):
        engine.session(past, position=30)
    with pytest.raises(UnsuitedModelError, match="takes no mask"):
        engine.session(past).feed_at(prompt[:1], [20], torch.ones(1, 21, dtype=torch.bool))


@pytest.mark.parametrize("family", WHOLE)
def test_chosen_positions_with_a_causal_mask_are_a_plain_feed(
    family: str, engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of(family)
    past = recorded(engine, prompt[:30])
    visible = torch.ones(20, 50, dtype=torch.bool).tril(30)
    session = engine.session(past, record=True)
    logits = session.feed_at(prompt[30:50], range(30, 50), visible)
    assert session.position == 50
    assert session.recorded()[0].keys.shape[-2] == 20
    assert apart(logits, full(engine, prompt[:50])) <= NEAR
    assert apart(session.feed(prompt[50:60]), full(engine, prompt[:60])) <= NEAR


def test_tokens_computed_again_replace_what_is_hidden(
    engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of("llama")
    past = recorded(engine, prompt[:50])
    noise = tuple(Layer(*(part.clone() for part in layer)) for layer in past)
    for layer in noise:
        layer.keys[:, 20:30] += 1
        layer.values[:, 20:30] += 1
    again = [*range(20, 30), *range(50, 60)]
    visible = torch.zeros(20, 70, dtype=torch.bool)
    for row, position in enumerate(again):
        visible[row, [n for n in range(50) if n < position and not 20 <= n < 30]] = True
        visible[row, [50 + at for at, other in enumerate(again) if other <= position]] = True
    right = full(engine, prompt[:60])
    assert apart(engine.session(noise).feed(prompt[50:60]), right) > 100 * NEAR
    logits = engine.session(noise).feed_at([prompt[n] for n in again], again, visible)
    assert apart(logits, right) <= NEAR


@pytest.mark.parametrize(
    ("positions", "visible", "why"),
    [
        ([5], torch.ones(2, 4, dtype=torch.bool), "as many positions"),
        ([3, 2], torch.ones(2, 4, dtype=torch.bool), "rise"),
        ([2, 2], torch.ones(2, 4, dtype=torch.bool), "rise"),
        ([-1, 2], torch.ones(2, 4, dtype=torch.bool), "rise"),
        ([2, 3], torch.ones(2, 3, dtype=torch.bool), "as many positions"),
        ([2, 3], torch.ones(2, 4), "must be bool"),
        ([2, 3], torch.zeros(2, 4, dtype=torch.bool), "something to see"),
        ([2, 9999], torch.ones(2, 4, dtype=torch.bool), "beyond the model's window"),
    ],
)
def test_a_wrong_mask_is_refused(
    positions: list[int], visible: torch.Tensor, why: str, engine_of: Callable[[str], Engine]
) -> None:
    engine = engine_of("llama")
    session = engine.session(recorded(engine, [20, 21]))
    with pytest.raises(InvalidInputError, match=why):
        session.feed_at([30, 31], positions, visible)
    assert session.position == 2


def test_wrong_tokens_are_refused_and_change_nothing(
    engine_of: Callable[[str], Engine],
) -> None:
    session = engine_of("llama").session()
    for tokens, why in (
        ([], "at least one"),
        ([256], "from 0 to 255"),
        ([-1], "from 0 to 255"),
        ([20] * 4097, "beyond the model's window of 4096"),
    ):
        with pytest.raises(InvalidInputError, match=why):
            session.feed(tokens)
    assert session.position == 0
    assert session.cached() == ()


def test_a_session_whose_pass_broke_off_is_not_used_again(
    engine_of: Callable[[str], Engine],
) -> None:
    engine = engine_of("llama")
    session = engine.session()
    session.feed([20, 21])

    def fail(layer: int, *_: object) -> None:
        if layer == 1:
            raise ZeroDivisionError

    with engine.observed(fail), pytest.raises(ZeroDivisionError):
        session.feed([22])
    with pytest.raises(InvalidInputError, match="broke off"):
        session.feed([22])


def test_keys_of_another_shape_are_refused(engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("llama")
    past = recorded(engine, [20, 21, 22])
    one = past[0]
    short = Layer(one.keys[:, :2], one.values[:, :2])
    narrow = Layer(one.keys[..., :4], one.values)
    for wrong, why in (
        (past[:1], "1 layers; the model has 2"),
        ((one, short), "different numbers of tokens"),
        ((one, narrow), "are not the model's"),
    ):
        with pytest.raises(InvalidInputError, match=why):
            engine.session(wrong)
    with pytest.raises(InvalidInputError, match="position 2 is taken"):
        engine.session(past, position=2)


def test_only_a_recording_session_says_what_it_recorded(
    engine_of: Callable[[str], Engine],
) -> None:
    session = engine_of("llama").session()
    session.feed([20])
    with pytest.raises(InvalidInputError, match="record=True"):
        session.recorded()
    assert engine_of("llama").session(record=True).recorded() == ()


def test_half_precision(folder_of: Callable[[str], Any], prompt: list[int]) -> None:
    import mneme

    engine = mneme.engine(folder_of("gemma3"), dtype="bfloat16", device="cpu")
    parts = engine.session(record=True)
    parts.feed(prompt[:64])
    past = parts.recorded()
    assert past[0].keys.dtype is torch.bfloat16
    assert torch.equal(engine.session(past).feed(prompt[64:]), parts.feed(prompt[64:]))
    assert engine.fields["dtype"] == "bfloat16"


def test_threads_take_turns(engine_of: Callable[[str], Engine], prompt: list[int]) -> None:
    engine = engine_of("gemma3")
    past = recorded(engine, prompt[:50])
    right = engine.session(past).feed(prompt[50:])
    found: list[torch.Tensor] = []
    threads = [
        Thread(target=lambda: found.append(engine.session(past).feed(prompt[50:])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(torch.equal(each, right) for each in found)
