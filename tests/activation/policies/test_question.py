"""What holds for every policy that narrows a memory to what a question needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation.kv import Held, same, tokens_in  # noqa: E402 (torch first)
from mneme.memories.activation.policies import build_policy, policies  # noqa: E402
from mneme.memories.activation.policies.policy import QuestionPolicy  # noqa: E402
from mneme.memories.activation.policies.surprise import surprise_of  # noqa: E402

ALL = [cast("QuestionPolicy", each) for each in policies("question")]
QUESTIONS = ([90], [90, 91, 92, 93, 94])


def name_of(policy: QuestionPolicy) -> str:
    return policy.about.name


def stored(engine: Engine, tokens: list[int]) -> Held:
    session = engine.session(record=True)
    session.feed(tokens)
    return Held(session.recorded())


@pytest.fixture
def narrowed(
    engine: Engine, tokens: list[int]
) -> Callable[[QuestionPolicy, Held, list[int], float], Held]:
    surprise = surprise_of(engine, tokens)

    def narrow(policy: QuestionPolicy, held: Held, question: list[int], keep: float) -> Held:
        place = len(tokens)
        own = surprise[: tokens_in(held.kv)]
        return policy.narrow(engine, held, place, question, keep, surprise=own)

    return narrow


Narrow = Callable[[QuestionPolicy, Held, list[int], float], Held]


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("question", QUESTIONS, ids=len)
@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_keeps_the_share_that_it_is_asked_for(
    engine: Engine,
    tokens: list[int],
    narrowed: Narrow,
    policy: QuestionPolicy,
    question: list[int],
    keep: float,
) -> None:
    held = stored(engine, tokens)
    part = narrowed(policy, held, question, keep)
    assert part.positions is not None
    assert abs(tokens_in(part.kv) - keep * len(tokens)) <= policy.about.grain
    assert part.positions.dtype == torch.int32
    assert part.positions.shape[:2] == (engine.layers, held.kv[0].keys.shape[0])
    assert bool((part.positions.diff(dim=-1) > 0).all())
    for layer, full, at in zip(part.kv, held.kv, part.positions.long(), strict=True):
        for kept, all_of in zip(layer, full, strict=True):
            assert torch.equal(kept, all_of.gather(1, at[..., None].expand_as(kept)))


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_all_kept_is_the_memory_bit_by_bit(
    engine: Engine, tokens: list[int], narrowed: Narrow, policy: QuestionPolicy
) -> None:
    held, question = stored(engine, tokens), [90, 91]
    part = narrowed(policy, held, question, 1.0)
    assert same(part.kv, held.kv)
    answer = engine.session(part.kv, position=len(tokens)).feed(question)
    assert torch.equal(answer, engine.session(held.kv).feed(question))


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_a_memory_that_was_thinned_can_be_narrowed(
    engine: Engine, tokens: list[int], narrowed: Narrow, policy: QuestionPolicy
) -> None:
    held = build_policy("leverage").thin(engine, tokens, 0.6)
    assert held.positions is not None
    part = narrowed(policy, held, [90, 91], 0.5)
    assert part.positions is not None
    assert tokens_in(part.kv) == tokens_in(held.kv) // 2
    for few, many in zip(part.positions.flatten(0, 1), held.positions.flatten(0, 1), strict=True):
        assert set(few.tolist()) <= set(many.tolist())


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_the_memory_is_not_changed(
    engine: Engine, tokens: list[int], narrowed: Narrow, policy: QuestionPolicy
) -> None:
    held = stored(engine, tokens)
    narrowed(policy, held, [90, 91], 0.2)
    assert same(held.kv, stored(engine, tokens).kv)


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_refuses_what_makes_no_sense(
    engine_of: Callable[[str], Engine], tokens: list[int], policy: QuestionPolicy
) -> None:
    llama, sliding = engine_of("llama"), engine_of("mistral-sliding")
    held = stored(llama, tokens)
    with pytest.raises(InvalidInputError, match="keep must be"):
        policy.narrow(llama, held, len(tokens), [90], 0.0)
    with pytest.raises(InvalidInputError, match="no tokens"):
        policy.narrow(llama, held, len(tokens), [], 0.5)
    with pytest.raises(UnsuitedModelError, match=f"{policy.about.name}.*MistralForCausalLM"):
        policy.narrow(sliding, stored(sliding, tokens), len(tokens), [90], 0.5)


def test_a_policy_that_needs_surprise_says_how_to_get_it(llama: Engine, tokens: list[int]) -> None:
    needing = [each for each in ALL if each.about.needs_surprise]
    assert needing
    for each in needing:
        with pytest.raises(InvalidInputError, match="surprise_of"):
            each.narrow(llama, stored(llama, tokens), len(tokens), [90], 0.5)
