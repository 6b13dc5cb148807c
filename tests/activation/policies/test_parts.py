"""The parts that policies are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.engine import Engine, Layer
from mneme.core.errors import UnsuitedModelError

if TYPE_CHECKING:
    from torch import Tensor

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation.policies.blockwise import Blockwise  # noqa: E402 (torch first)
from mneme.memories.activation.policies.choice import best, kept_of, protected  # noqa: E402
from mneme.memories.activation.policies.d2o import compensated  # noqa: E402
from mneme.memories.activation.policies.em_llm import conductances, refined  # noqa: E402
from mneme.memories.activation.policies.infinipot import InfiniPot  # noqa: E402
from mneme.memories.activation.policies.kvmerger import merged, pivots_of, runs_of  # noqa: E402
from mneme.memories.activation.policies.leverage import leverage_of  # noqa: E402
from mneme.memories.activation.policies.mom import MOM  # noqa: E402
from mneme.memories.activation.policies.policy import Budget  # noqa: E402
from mneme.memories.activation.policies.pressed import _held  # noqa: E402
from mneme.memories.activation.policies.raas import RaaS  # noqa: E402
from mneme.memories.activation.policies.scissorhands import Scissorhands  # noqa: E402
from mneme.memories.activation.policies.sight import attention_of, unrotated  # noqa: E402
from mneme.memories.activation.policies.surprise import surprise_of  # noqa: E402
from mneme.memories.activation.policies.tallies import kept_columns  # noqa: E402

scores = st.lists(st.integers(0, 9), min_size=1, max_size=20)


@given(scores, st.integers(1, 20))
def test_the_best_are_rising_and_none_better_is_left_out(row: list[int], count: int) -> None:
    count = min(count, len(row))
    chosen = best(torch.tensor([row], dtype=torch.float32), count)[0].tolist()
    assert chosen == sorted(set(chosen))
    assert sorted(row[at] for at in chosen) == sorted(row)[len(row) - count :]


@given(scores, st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_columns_that_must_stay_do(row: list[int], count: int, sinks: int, recent: int) -> None:
    count, tokens = min(count, len(row)), len(row)
    must = {*range(min(sinks, tokens)), *range(max(0, tokens - recent), tokens)}
    values = torch.tensor([row], dtype=torch.float32)
    chosen = kept_columns(values, count, sinks=sinks, recent=recent)[0].tolist()
    assert len(chosen) == count
    assert chosen == sorted(set(chosen))
    assert must <= set(chosen) or set(chosen) <= must
    shielded = best(protected(values, sinks=sinks, recent=recent), count)[0].tolist()
    assert must <= set(shielded) or set(shielded) <= must


@given(st.integers(1, 500), st.floats(0.001, 1.0))
def test_a_share_is_at_least_one_token_and_within_one(tokens: int, keep: float) -> None:
    assert 1 <= kept_of(tokens, keep) <= tokens
    assert abs(kept_of(tokens, keep) - tokens * keep) <= 1


def test_leverage_is_a_share_of_the_dimensions() -> None:
    rows = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(0))
    found = leverage_of(rows, 1e-6)
    assert float(found.min()) >= 0
    torch.testing.assert_close(found.sum(-1), torch.full((2,), 8.0), rtol=1e-3, atol=1e-3)


def test_leverage_is_high_for_the_key_that_is_alone() -> None:
    rows = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0)).repeat(1, 30, 1)
    rows[0, 17] = -rows[0, 17].flip(0)
    assert int(leverage_of(rows, 0.1).argmax()) == 17


def test_leverage_of_equal_keys_is_even_and_finite() -> None:
    found = leverage_of(torch.ones(1, 5, 4), 0.1)
    assert bool(found.isfinite().all())


def test_attention_is_that_of_the_model(llama: Engine, tokens: list[int]) -> None:
    seen = {}

    def watch(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> None:
        weights = attention_of(queries, keys, queries.shape[-1] ** -0.5, 0, queries.shape[1])
        seen[layer] = (weights @ values[:, None].float()).flatten(0, 1)

    outputs: dict[int, Any] = {}
    hooks = [
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _module, args, number=number: outputs.setdefault(number, args[0][0])
        )
        for number, layer in enumerate(llama.model.model.layers)
    ]
    with llama.observed(watch):
        seen.clear()
        outputs.clear()
        llama.session().feed(tokens)
    for hook in hooks:
        hook.remove()
    for number, mixed in seen.items():
        heads = mixed.transpose(0, 1).flatten(1)
        torch.testing.assert_close(heads, outputs[number], rtol=1e-4, atol=1e-5)


def test_unrotated_keys_do_not_depend_on_their_position(llama: Engine) -> None:
    def first_layer(position: int) -> Tensor:
        session = llama.session(position=position, record=True)
        session.feed([33, 44])
        keys = session.recorded()[0].keys
        places = torch.tensor([[position, position + 1]])
        return unrotated(llama, 0, keys, places)

    torch.testing.assert_close(first_layer(0), first_layer(311), rtol=1e-4, atol=1e-5)


def test_surprise_is_minus_log_p(engine: Engine, tokens: list[int]) -> None:
    with torch.no_grad():
        logits = engine.model(torch.tensor([tokens])).logits[0].float()
    expected = -logits.log_softmax(-1)[:-1].gather(-1, torch.tensor(tokens)[1:, None])[:, 0]
    found = surprise_of(engine, tokens)
    torch.testing.assert_close(found[1:], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[0], expected.mean(), rtol=1e-4, atol=1e-4)
    assert surprise_of(engine, tokens[:1]).shape == (1,)


@settings(deadline=None)
@given(st.integers(2, 20), st.data())
def test_runs_are_as_many_as_wanted_and_pivots_lie_within(tokens: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, tokens))
    lots = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    keys = torch.randn(2, tokens, 4, generator=lots)
    apart = torch.rand(2, tokens, generator=lots) < 0.3
    runs = runs_of(keys, apart, count)
    assert set(runs.diff(dim=-1).flatten().tolist()) <= {0, 1}
    assert runs[:, 0].tolist() == [0, 0]
    assert runs[:, -1].tolist() == [count - 1] * 2
    attention = torch.rand(2, tokens, generator=lots)
    pivots = pivots_of(runs, attention, count)
    assert torch.equal(runs.gather(-1, pivots), torch.arange(count).expand(2, -1))
    for head in range(2):
        for run in range(count):
            own = attention[head].masked_fill(runs[head] != run, -1)
            assert int(own.argmax()) == int(pivots[head, run])


def test_equal_neighbours_merge_without_loss() -> None:
    keys = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    runs = runs_of(keys, torch.zeros(1, 3, dtype=torch.bool), 2)
    assert runs.tolist() == [[0, 0, 1]]
    pivots = pivots_of(runs, torch.tensor([[0.1, 0.9, 0.3]]), 2)
    assert pivots.tolist() == [[1, 2]]
    values = torch.tensor([[[2.0], [4.0], [7.0]]])
    mixed = merged(Layer(keys, values), runs, pivots)
    torch.testing.assert_close(mixed.keys, keys[:, 1:])
    torch.testing.assert_close(mixed.values, torch.tensor([[[3.0], [7.0]]]))


def test_a_token_merges_into_the_one_that_it_is_like() -> None:
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [-1.0, -1.0]]])
    values = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]])
    kept = compensated(Layer(keys, values), torch.tensor([[0, 1]]))
    assert torch.equal(kept.keys[0, 1], keys[0, 1])  # nothing was like it
    assert torch.equal(kept.values[0, 1], values[0, 1])
    assert 1.0 < float(kept.values[0, 0, 0]) < 3.0  # the third came in; the fourth did not
    assert 0.9 < float(kept.keys[0, 0, 0]) < 1.0


def test_a_boundary_moves_to_where_likeness_breaks() -> None:
    alike = torch.zeros(8, 8)
    alike[:3, :3] = 1.0
    alike[3:, 3:] = 1.0
    assert refined([0, 5], lambda start, stop: alike[start:stop, start:stop], 8) == [0, 3]
    sums = torch.nn.functional.pad(alike.double().cumsum(0).cumsum(1), (1, 0, 1, 0))
    assert float(conductances(sums, torch.tensor([3]))[0]) == 0.0


def test_mom_never_shows_a_wide_layer_more_than_a_mini_sequence(
    llama: Engine, tokens: list[int]
) -> None:
    seen: list[int] = []
    gates = [layer.mlp.gate_proj for layer in llama.model.model.layers]
    hooks = [
        gate.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
        for gate in gates
    ]
    MOM(mini_tokens=7).thin(llama, tokens, 1.0)
    for hook in hooks:
        hook.remove()
    assert max(seen) == 7
    assert all("forward" not in vars(layer.mlp) for layer in llama.model.model.layers)


def test_mom_refuses_a_model_whose_layers_it_does_not_know(
    llama: Engine, tokens: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama.model, "named_modules", lambda: iter(()))
    with pytest.raises(UnsuitedModelError, match="LlamaForCausalLM"):
        MOM().thin(llama, tokens, 1.0)


@pytest.mark.parametrize("policy", [Blockwise(block_tokens=8), InfiniPot(block_tokens=8)])
def test_building_in_blocks_stays_within_its_cap(
    llama: Engine, tokens: list[int], policy: Blockwise | InfiniPot
) -> None:
    blocks = policy if isinstance(policy, Blockwise) else Blockwise(block_tokens=8, scorer=policy)
    built = blocks.build(llama, tokens, 0.25)
    assert built.peak_tokens <= round(0.25 * len(tokens)) + 8
    assert built.held.positions is not None
    assert built.held.positions.shape[-1] == round(0.25 * len(tokens))
    assert bool((built.held.positions.diff(dim=-1) > 0).all())


def test_what_a_press_left_is_found_by_its_keys() -> None:
    keys = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    full, order = (Layer(keys, keys + 1),), torch.tensor([4, 0, 3])
    held = _held(full, (Layer(keys[:, order], keys[:, order] + 2),))
    assert held.positions is not None
    assert held.positions.tolist() == [[[0, 3, 4]]]
    assert torch.equal(held.kv[0].keys, keys[:, [0, 3, 4]])
    assert torch.equal(held.kv[0].values, keys[:, [0, 3, 4]] + 2)  # merged ones may be others
    with pytest.raises(UnsuitedModelError, match="changed keys"):
        _held(full, (Layer(keys[:, order] + 1, keys[:, order]),))


def test_layers_that_a_press_left_unequal_are_made_equal() -> None:
    keys = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    whole, few, many = Layer(keys, keys), torch.tensor([1]), torch.tensor([0, 2, 3])
    left = (Layer(keys[:, few], keys[:, few]), Layer(keys[:, many], keys[:, many]))
    held = _held((whole, whole), left)
    assert held.positions is not None
    assert held.positions.tolist() == [[[1, 4, 5]], [[0, 2, 3]]]
    assert torch.equal(held.kv[0].keys, keys[:, [1, 4, 5]])


def test_scissorhands_drops_what_was_never_pivotal() -> None:
    tally = Scissorhands(recent_share=0.0).tally()
    tally.see(torch.tensor([[[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1]]]))
    budget = Budget(prompt_tokens=1, answer_tokens=1)
    assert tally.choose(budget, 4).tolist() == [[0, 2]]


def test_raas_drops_the_answer_that_was_not_looked_at_for_longest() -> None:
    tally = RaaS(share=0.34).tally()
    tally.see(torch.tensor([[[0.5, 0.5]]]))
    tally.choose(Budget(prompt_tokens=2, answer_tokens=2), 2)
    for row in ([0, 0, 1.0], [0, 0, 0.1, 0.9], [0, 0, 0.8, 0.1, 0.1]):
        tally.see(torch.tensor([[row]]))
    chosen = tally.choose(Budget(prompt_tokens=2, answer_tokens=2), 2)
    assert chosen.tolist() == [[0, 1, 2, 4]]
