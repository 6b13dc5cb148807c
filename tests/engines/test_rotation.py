"""Cosines and sines turn keys of one position into keys of another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.tiny_models import FAMILIES, tiny_model

ROTATED = [*(family for family in FAMILIES if family != "gpt2"), "gemma3n"]
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1e4,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
DYNAMIC = {
    "rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
LONG = {
    "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4, "original_max_position_embeddings": 64,
}  # fmt: skip


def rotate(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    size = cos.shape[-1]
    first, second = keys[..., :size].chunk(2, dim=-1)
    turned = keys[..., :size] * cos + torch.cat((-second, first), dim=-1) * sin
    return torch.cat((turned, keys[..., size:]), dim=-1)


def keys_at(engine: Engine, position: int) -> list[torch.Tensor]:
    """Of one token that sees only itself."""
    session: Any = engine.session(position=None, record=True)
    if position:
        session = engine.session(record=True)
        session._position = position
    session.feed([100])
    return [layer.keys for layer in session.recorded()]


def check(engine: Engine) -> None:
    places = [0, 1, 30, 59]
    for layer in range(engine.layers):
        cos, sin = engine.rope(layer, places)
        assert cos.dtype is torch.float32
        assert cos.shape == sin.shape
        assert torch.allclose(cos**2 + sin**2, torch.ones_like(cos), atol=1e-5)
        start = keys_at(engine, 0)[layer]
        for at, position in enumerate(places):
            moved = rotate(start, cos[at], sin[at])
            there = keys_at(engine, position)[layer]
            assert torch.allclose(moved, there, atol=1e-5 * float(there.abs().max()))


@pytest.mark.parametrize("family", ROTATED)
def test_every_layer_of_every_family(family: str, engine_of: Callable[[str], Engine]) -> None:
    check(engine_of(family))


def test_a_part_of_each_key_may_be_left_alone(engine_of: Callable[[str], Engine]) -> None:
    cos, _ = engine_of("phi3").rope(0, [5])
    assert cos.shape == (1, 6)  # of 8


def test_layers_of_two_types_rotate_differently(engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("gemma3")
    assert not torch.equal(engine.rope(0, [9])[0], engine.rope(1, [9])[0])


@pytest.mark.parametrize("rope", [YARN, LLAMA3, LINEAR], ids=lambda rope: rope["rope_type"])
def test_scaled_rotations_of_fixed_frequencies(rope: dict[str, Any], tmp_path: Path) -> None:
    check(mneme.engine(tiny_model("llama", tmp_path, rope_parameters=rope)))


@pytest.mark.parametrize("rope", [DYNAMIC, LONG], ids=lambda rope: rope["rope_type"])
def test_frequencies_that_depend_on_length_end_the_window_where_they_are_fixed(
    rope: dict[str, Any], tmp_path: Path
) -> None:
    engine = mneme.engine(
        tiny_model("llama", tmp_path, rope_parameters=rope, max_position_embeddings=256)
    )
    assert engine.window in (64, 256)
    with pytest.raises(InvalidInputError, match="beyond the model's window"):
        engine.session().feed([20] * (engine.window + 1))
    check(engine)


def test_two_sets_of_frequencies_as_phi3_has_them(tmp_path: Path) -> None:
    rope = {
        "type": "longrope",
        "rope_type": "longrope",
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
    }
    engine = mneme.engine(
        tiny_model(
            "phi3-sliding", tmp_path, rope_scaling=rope, sliding_window=None,
            max_position_embeddings=256, original_max_position_embeddings=64,
        )
    )  # fmt: skip
    assert engine.window == 64
    check(engine)


def test_a_model_that_adds_positions_is_refused(engine_of: Callable[[str], Engine]) -> None:
    with pytest.raises(UnsuitedModelError, match="gpt2 does not rotate"):
        engine_of("gpt2").rope(0, [1])


def test_a_model_that_rotates_pairs_is_refused(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("cohere", tmp_path))
    with pytest.raises(UnsuitedModelError, match="cohere does not rotate its keys by halves"):
        engine.rope(0, [1])


@pytest.mark.parametrize(("layer", "position"), [(2, 0), (-1, 0), (0, -1), (0, 4096)])
def test_only_what_is_there(layer: int, position: int, engine_of: Callable[[str], Engine]) -> None:
    with pytest.raises(InvalidInputError):
        engine_of("llama").rope(layer, [position])
