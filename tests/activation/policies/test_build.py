"""What holds for every policy that thins a memory when it is stored."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import mneme
from mneme.core.engine import KV, Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation.kv import cut, same, size_of, tokens_in  # noqa: E402 (torch first)
from mneme.memories.activation.policies import policies  # noqa: E402
from mneme.memories.activation.policies.policy import BuildPolicy  # noqa: E402

QUESTION = (90, 91, 92)
ALL = policies("build")
EXACT = [each for each in ALL if each.about.exact]
THINNING = [each for each in ALL if not each.about.exact]
DROPPING = [each for each in THINNING if each.about.frees_bytes]
OURS = [each for each in ALL if each.about.extra is None]


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tiny_model("llama", tmp_path_factory.mktemp("parts"), seed=3)
    opened: Engine = mneme.engine(folder, chunk_tokens=13)
    return opened


def name_of(policy: BuildPolicy) -> str:
    return policy.about.name


def whole(engine: Engine, tokens: list[int]) -> KV:
    session = engine.session(record=True)
    session.feed(tokens)
    return session.recorded()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("policy", DROPPING, ids=name_of)
def test_it_keeps_the_share_that_it_is_asked_for(
    engine: Engine, tokens: list[int], policy: BuildPolicy, keep: float
) -> None:
    held = policy.thin(engine, tokens, keep)
    assert held.positions is not None
    kept = tokens_in(held.kv)
    assert abs(kept - keep * len(tokens)) <= policy.about.grain
    heads = held.kv[0].keys.shape[0]
    assert held.positions.shape == (engine.layers, heads, kept)
    assert held.positions.dtype == torch.int32
    assert bool((held.positions.diff(dim=-1) > 0).all())
    assert int(held.positions.min()) >= 0
    assert int(held.positions.max()) < len(tokens)


@pytest.mark.parametrize("policy", THINNING, ids=name_of)
def test_it_frees_bytes_only_if_it_says_so(
    llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    held = policy.thin(llama, tokens, 0.5)
    smaller = size_of(held.kv) < size_of(whole(llama, tokens))
    assert smaller == policy.about.frees_bytes
    kept = [half.untyped_storage().nbytes() for layer in held.kv for half in layer]
    assert not policy.about.frees_bytes or sum(kept) == size_of(held.kv)  # no view of a large one


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_all_kept_answers_as_if_nothing_had_happened(
    engine: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    held = policy.thin(engine, tokens, 1.0)
    assert tokens_in(held.kv) == len(tokens)
    answer = engine.session(held.kv, position=len(tokens)).feed(QUESTION)
    expected = engine.session(whole(engine, tokens)).feed(QUESTION)
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", THINNING, ids=name_of)
def test_it_chooses_the_same_each_time(
    llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    torch.manual_seed(1)
    first = policy.thin(llama, tokens, 0.4)
    torch.manual_seed(2)
    again = policy.thin(llama, tokens, 0.4)
    assert same(first.kv, again.kv)


@pytest.mark.parametrize(
    "policy", [each for each in DROPPING if not each.about.merges], ids=name_of
)
def test_what_it_keeps_is_what_was_computed(
    engine: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    held, full = policy.thin(engine, tokens, 0.5), whole(engine, tokens)
    assert held.positions is not None
    for layer, all_of, at in zip(held.kv, full, held.positions, strict=True):
        for kept, computed in zip(layer, all_of, strict=True):
            chosen = computed.gather(1, at.long()[..., None].expand(-1, -1, computed.shape[-1]))
            torch.testing.assert_close(kept, chosen, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_leaves_the_model_as_it_was(
    llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    before = llama.session().feed(tokens)
    parts = [name for name, _ in llama.model.named_modules()]
    attention = llama.model.config._attn_implementation
    policy.thin(llama, tokens, 1.0 if policy.about.exact else 0.5)
    assert [name for name, _ in llama.model.named_modules()] == parts
    assert llama.model.config._attn_implementation == attention
    assert torch.equal(llama.session().feed(tokens), before)


@pytest.mark.parametrize("policy", [p for p in OURS if not p.about.exact], ids=name_of)
def test_what_comes_before_stays_whole_and_apart(
    engine: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    past = whole(engine, tokens[:20])
    held = policy.thin(engine, tokens[20:], 0.5, past=past, position=20)
    assert held.positions is not None
    assert tokens_in(held.kv) == 20
    assert int(held.positions.min()) >= 20
    assert int(held.positions.max()) < len(tokens)
    assert same(past, whole(engine, tokens[:20]))
    if not policy.about.merges:
        full = cut(whole(engine, tokens), 20, len(tokens))
        at = held.positions[0].long() - 20
        chosen = full[0].keys.gather(1, at[..., None].expand_as(held.kv[0].keys))
        torch.testing.assert_close(held.kv[0].keys, chosen, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("policy", [p for p in ALL if p.about.extra], ids=name_of)
def test_a_press_refuses_what_does_not_begin_a_prompt(
    llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    with pytest.raises(InvalidInputError, match=f"{policy.about.name}.*leverage"):
        policy.thin(llama, tokens, 0.5, position=3)
    with pytest.raises(InvalidInputError, match="needs 32 to"):
        policy.thin(llama, tokens[:10], 0.5)


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_refuses_models_whose_layers_slide(
    engine_of: Callable[[str], Engine], tokens: list[int], policy: BuildPolicy
) -> None:
    with pytest.raises(UnsuitedModelError, match=f"{policy.about.name}.*MistralForCausalLM"):
        policy.thin(engine_of("mistral-sliding"), tokens, 0.5)


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_a_model_that_rotates_a_part_of_its_keys_is_thinned_or_refused(
    engine_of: Callable[[str], Engine], tokens: list[int], policy: BuildPolicy
) -> None:
    engine = engine_of("phi3")
    try:
        held = policy.thin(engine, tokens, 1.0 if policy.about.exact else 0.5)
    except UnsuitedModelError as error:
        assert policy.about.extra
        assert "Phi3ForCausalLM" in str(error)  # noqa: PT017
        return
    answer = engine.session(held.kv, position=len(tokens)).feed(QUESTION)
    assert bool(answer.isfinite().all())


@pytest.mark.parametrize("policy", ALL, ids=name_of)
def test_it_refuses_shares_and_tokens_that_make_no_sense(
    llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    for keep in (0.0, -0.5, 1.01, float("nan")):
        with pytest.raises(InvalidInputError, match="keep must be"):
            policy.thin(llama, tokens, keep)
    with pytest.raises(InvalidInputError, match="no tokens"):
        policy.thin(llama, [], 0.5)


@pytest.mark.parametrize("policy", EXACT, ids=name_of)
def test_an_exact_policy_leaves_nothing_out(
    llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    with pytest.raises(InvalidInputError, match="keep must be 1"):
        policy.thin(llama, tokens, 0.5)


@pytest.mark.parametrize("policy", [p for p in OURS if not p.about.exact], ids=name_of)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_texts_keep_at_least_one_token(
    llama: Engine, tokens: list[int], policy: BuildPolicy, count: int
) -> None:
    held = policy.thin(llama, tokens[:count], 0.1)
    assert tokens_in(held.kv) == 1


@pytest.mark.parametrize("policy", [p for p in OURS if not p.about.exact], ids=name_of)
def test_an_engine_that_computes_in_parts_chooses_the_same(
    in_parts: Engine, llama: Engine, tokens: list[int], policy: BuildPolicy
) -> None:
    held = policy.thin(in_parts, tokens, 0.5)
    expected = policy.thin(llama, tokens, 0.5)
    assert held.positions is not None
    assert expected.positions is not None
    differ = held.positions != expected.positions
    assert float(differ.float().mean()) < 0.1  # ties that rounding breaks
