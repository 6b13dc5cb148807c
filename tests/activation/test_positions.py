"""Keys moved to other positions are those that the model would have computed there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mneme
from mneme.core.engine import KV, Engine, Layer
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation.kv import Held  # noqa: E402 (torch first)
from mneme.memories.activation.positions import (  # noqa: E402 (torch first)
    ensure_movable,
    move,
    rotate,
    shift,
    unrotate,
)

RUN = (7, 30, 12, 99, 45, 8, 101, 64)


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "phi3"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    opened: Engine = mneme.engine(tiny_model(request.param, tmp_path_factory.mktemp(request.param)))
    return opened


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """YaRN: the model scales what it rotates."""
    rope = {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 1024,
    }
    folder = tiny_model("llama", tmp_path_factory.mktemp("yarn"), rope_parameters=rope)
    opened: Engine = mneme.engine(folder)
    return opened


def kv_at(engine: Engine, start: int, tokens: Sequence[int] = RUN) -> KV:
    """Of a run that sees nothing before it."""
    session = engine.session(position=start, record=True)
    session.feed(tokens)
    return session.recorded()


def off(one: KV, other: KV) -> float:
    """Greatest difference, relative to the greatest entry."""
    return max(
        float((a - b).abs().max() / b.abs().max())
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_moved_keys_are_those_that_the_model_computes_there(engine: Engine) -> None:
    there = kv_at(engine, 333)
    assert off(kv_at(engine, 5), there) > 0.01
    assert off(move(kv_at(engine, 5), engine, 5, 333), there) < 1e-4


def test_unrotated_is_the_same_wherever_it_was_computed(engine: Engine) -> None:
    assert off(unrotate(kv_at(engine, 200), engine, 200), unrotate(kv_at(engine, 3), engine, 3)) < (
        1e-4
    )


@settings(max_examples=10, deadline=None)
@given(start=st.integers(0, 4000), data=st.integers(0, 2**31))
def test_rotating_undoes_unrotating(engine: Engine, start: int, data: int) -> None:
    kv = random_kv(engine, data)
    assert off(rotate(unrotate(kv, engine, start), engine, start), kv) < 1e-5


@settings(max_examples=10, deadline=None)
@given(places=st.lists(st.integers(0, 2000), min_size=3, max_size=3), data=st.integers(0, 2**31))
def test_moves_add_up(engine: Engine, places: list[int], data: int) -> None:
    one, two, three = places
    kv = random_kv(engine, data)
    by_way = move(move(kv, engine, one, two), engine, two, three)
    assert off(by_way, move(kv, engine, one, three)) < 1e-4


@settings(max_examples=10, deadline=None)
@given(start=st.integers(0, 1000), far=st.integers(0, 1000), data=st.integers(0, 2**31))
def test_scores_depend_on_distances_alone(engine: Engine, start: int, far: int, data: int) -> None:
    kv = random_kv(engine, data)
    queries = random_kv(engine, data + 1)
    here = (
        move(kv, engine, None, start)[0].keys @ move(queries, engine, None, 40 + start)[0].keys.mT
    )
    there = move(kv, engine, None, far)[0].keys @ move(queries, engine, None, 40 + far)[0].keys.mT
    assert torch.allclose(here, there, atol=2e-3)


def test_moving_nowhere_changes_nothing(engine: Engine) -> None:
    kv = kv_at(engine, 9)
    assert move(kv, engine, 9, 9) is kv


def test_values_and_what_is_not_rotated_stay(engine: Engine) -> None:
    kv = kv_at(engine, 9)
    moved = move(kv, engine, 9, 700)
    assert all(torch.equal(a.values, b.values) for a, b in zip(kv, moved, strict=True))
    size = engine.rope(0, [0])[0].shape[-1]
    assert torch.equal(moved[0].keys[..., size:], kv[0].keys[..., size:])


def test_keys_with_the_factor_of_yarn_are_moved(scaled: Engine) -> None:
    kv = kv_at(scaled, 17)
    assert off(rotate(unrotate(kv, scaled, 17), scaled, 17), kv) < 1e-5
    assert off(move(kv, scaled, 17, 500), kv_at(scaled, 500)) < 1e-4


def test_half_precision_is_turned_in_single_precision(engine: Engine) -> None:
    kv = random_kv(engine, 3)
    half = tuple(Layer(k.bfloat16(), v.bfloat16()) for k, v in kv)
    moved = move(half, engine, 0, 3000)
    single = move(tuple(Layer(k.float(), v.float()) for k, v in half), engine, 0, 3000)
    assert moved[0].keys.dtype is torch.bfloat16
    assert torch.equal(moved[0].keys, single[0].keys.bfloat16())


def test_a_thinned_run_is_shifted_head_by_head(engine: Engine) -> None:
    here, there = kv_at(engine, 20), kv_at(engine, 420)
    heads = here[0].keys.shape[0]
    kept = torch.tensor([[0, 2, 5], [1, 2, 7]])[:heads]
    held = thinned(here, kept, 20)
    moved = shift(held, engine, 400)
    assert off(moved.kv, thinned(there, kept, 420).kv) < 1e-4
    assert moved.positions is not None
    assert held.positions is not None
    assert torch.equal(moved.positions, held.positions + 400)
    assert shift(held, engine, 0) is held
    assert off(shift(moved, engine, -400).kv, held.kv) < 1e-4


def test_a_whole_run_has_no_positions_to_shift(engine: Engine) -> None:
    with pytest.raises(InvalidInputError, match="use move"):
        shift(Held(kv_at(engine, 0)), engine, 1)


def test_a_model_that_slides_is_refused(tmp_path: Path) -> None:
    sliding = mneme.engine(tiny_model("mistral-sliding", tmp_path))
    with pytest.raises(UnsuitedModelError, match="window of the last tokens"):
        ensure_movable(sliding)


def test_a_model_without_rotation_is_refused(tmp_path: Path) -> None:
    learned = mneme.engine(tiny_model("gpt2", tmp_path))
    with pytest.raises(UnsuitedModelError):
        ensure_movable(learned)


def random_kv(engine: Engine, seed: int) -> KV:
    generator = torch.Generator().manual_seed(seed % 2**31)
    shape = kv_at(engine, 0)[0].keys.shape
    layers = range(engine.layers)
    return tuple(
        Layer(torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
        for _ in layers
    )


def thinned(kv: KV, kept: Any, start: int) -> Held:  # noqa: ANN401 (a tensor)
    pick = kept[..., None]
    layers = tuple(
        Layer(
            keys.gather(1, pick.expand(-1, -1, keys.shape[2])),
            values.gather(1, pick.expand(-1, -1, values.shape[2])),
        )
        for keys, values in kv
    )
    return Held(layers, torch.stack([kept + start] * len(kv)).to(torch.int32))
