"""What holds for every policy that narrows a cache while an answer grows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation.kv import Held  # noqa: E402 (torch first)
from mneme.memories.activation.policies import policies  # noqa: E402
from mneme.memories.activation.policies.growing import Growing, decode  # noqa: E402
from mneme.memories.activation.policies.policy import Budget, DecodePolicy  # noqa: E402
from mneme.memories.activation.policies.raas import RaaS  # noqa: E402
from mneme.memories.activation.policies.scope import SCOPE  # noqa: E402

ALL = policies("decode")
SMALL = Budget(prompt_tokens=12, answer_tokens=10)
AMPLE = Budget(prompt_tokens=500, answer_tokens=500)
QUESTION, ANSWER = [90, 91, 92], list(range(100, 150))


def name_of(policy: DecodePolicy) -> str:
    return policy.about.name


def memory_of(engine: Engine, tokens: list[int]) -> Held:
    session = engine.session(record=True)
    session.feed(tokens)
    return Held(session.recorded())


def grown(engine: Engine, tokens: list[int], policy: DecodePolicy, budget: Budget) -> Growing:
    growing = Growing(engine, memory_of(engine, tokens), len(tokens), policy, budget)
    growing.prompt(QUESTION)
    for token in ANSWER:
        growing.feed([token])
    return growing


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_the_cache_stays_within_its_budget(
    engine: Engine, tokens: list[int], policy: DecodePolicy
) -> None:
    growing = grown(engine, tokens, policy, SMALL)
    prompt = len(tokens) + len(QUESTION) if policy.about.name == "raas" else SMALL.prompt_tokens
    assert growing.peak_tokens <= prompt + SMALL.answer_tokens + policy.every
    assert growing.narrowings >= 3
    assert growing.position == len(tokens) + len(QUESTION) + len(ANSWER)


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_what_stays_is_in_order_and_was_there(
    engine: Engine, tokens: list[int], policy: DecodePolicy
) -> None:
    growing = grown(engine, tokens, policy, SMALL)
    places = growing.positions
    assert places.shape == (engine.layers, places.shape[1], growing.cached_tokens)
    assert bool((places.diff(dim=-1) > 0).all())
    assert int(places.min()) >= 0
    assert int(places.max()) == growing.position - 1  # the last token always stays


@pytest.mark.parametrize("policy", [p for p in ALL if not p.about.keeps_fewer], ids=name_of)
def test_an_ample_budget_changes_nothing(
    engine: Engine, tokens: list[int], policy: DecodePolicy
) -> None:
    growing = Growing(engine, memory_of(engine, tokens), len(tokens), policy, AMPLE)
    session = engine.session(memory_of(engine, tokens).kv)
    assert torch.equal(growing.prompt(QUESTION), session.feed(QUESTION))
    for token in ANSWER[:20]:
        assert torch.equal(growing.feed([token]), session.feed([token]))
    assert growing.narrowings == 0


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_the_first_token_comes_from_the_whole_prompt(
    llama: Engine, tokens: list[int], policy: DecodePolicy
) -> None:
    growing = Growing(llama, memory_of(llama, tokens), len(tokens), policy, SMALL)
    expected = llama.session(memory_of(llama, tokens).kv).feed(QUESTION)
    assert torch.equal(growing.prompt(QUESTION), expected)


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_answers_the_same_each_time(
    llama: Engine, tokens: list[int], policy: DecodePolicy
) -> None:
    def answer() -> list[int]:
        growing = Growing(llama, memory_of(llama, tokens), len(tokens), policy, SMALL)
        return decode(growing, growing.prompt(QUESTION), max_new_tokens=20, ends=None)

    first = answer()
    assert len(first) == 20
    assert answer() == first


def test_decode_is_greedy_and_stops_at_the_end(llama: Engine, tokens: list[int]) -> None:
    session = llama.session()
    logits, expected = session.feed(tokens + QUESTION), []
    for _ in range(12):
        expected.append(int(logits.argmax()))
        logits = session.feed(expected[-1:])
    growing = Growing(llama, None, 0, RaaS(), AMPLE)
    logits = growing.prompt(tokens + QUESTION)
    assert decode(growing, logits, max_new_tokens=12, ends=None) == expected
    growing = Growing(llama, None, 0, RaaS(), AMPLE)
    logits = growing.prompt(tokens + QUESTION)
    until = decode(growing, logits, max_new_tokens=12, ends=expected[4])
    assert until == expected[: expected.index(expected[4])]


def test_raas_keeps_the_prompt(llama: Engine, tokens: list[int]) -> None:
    places = grown(llama, tokens, RaaS(), SMALL).positions
    prompt = len(tokens) + len(QUESTION)
    assert bool((places[..., :prompt] == torch.arange(prompt)).all())


def test_scope_leaves_the_prompt_alone_once_it_is_cut(llama: Engine, tokens: list[int]) -> None:
    prompt = len(tokens) + len(QUESTION)
    growing = Growing(llama, memory_of(llama, tokens), len(tokens), SCOPE(), SMALL)
    growing.prompt(QUESTION)
    cut = growing.positions
    assert cut.shape[-1] == SMALL.prompt_tokens
    for token in ANSWER:
        growing.feed([token])
    after = growing.positions
    assert torch.equal(after[..., : SMALL.prompt_tokens], cut)
    assert int(after[..., SMALL.prompt_tokens :].min()) >= prompt


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_refuses_models_whose_layers_slide(
    engine_of: Callable[[str], Engine], tokens: list[int], policy: DecodePolicy
) -> None:
    engine = engine_of("mistral-sliding")
    with pytest.raises(UnsuitedModelError, match=f"{policy.about.name}.*MistralForCausalLM"):
        Growing(engine, None, 0, policy, SMALL)


def test_a_budget_needs_room_for_both_parts(llama: Engine) -> None:
    with pytest.raises(InvalidInputError, match="budget"):
        Growing(llama, None, 0, RaaS(), Budget(prompt_tokens=0, answer_tokens=5))
