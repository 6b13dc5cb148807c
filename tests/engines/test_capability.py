"""A model whose cache is no list of keys and values is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import mneme
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.loading import load
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.tiny_models import tiny_model


@pytest.mark.parametrize(
    ("family", "name"),
    [("mamba", "mamba"), ("qwen3-next", "qwen3_next"), ("falcon-h1", "falcon_h1")],
)
def test_a_model_with_a_state_is_refused(family: str, name: str, tmp_path: Path) -> None:
    folder = tiny_model(family, tmp_path)
    with pytest.raises(UnsuitedModelError, match=name):
        mneme.engine(folder)


def test_an_unknown_type_of_layer_is_refused_by_its_number(
    folder_of: Callable[[str], Path],
) -> None:
    model, tokenizer = load(folder_of("qwen3"))
    model.config.layer_types = ["full_attention", "linear_attention"]
    with pytest.raises(UnsuitedModelError, match="layer 1 of qwen3 is 'linear_attention'"):
        LocalEngine(model, tokenizer)


def test_layers_that_share_a_cache_do_not_appear(engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("gemma3n")
    assert engine.model.config.num_hidden_layers == 4
    assert engine.layers == 2


def test_layers_that_could_share_but_do_not(tmp_path: Path, prompt: list[int]) -> None:
    engine = mneme.engine(tiny_model("gemma3n", tmp_path, num_kv_shared_layers=0))
    assert (engine.layers, engine.slides) == (4, True)
    parts = engine.session(record=True)
    parts.feed(prompt[:50])
    again = engine.session(parts.recorded())
    assert torch.equal(again.feed(prompt[50:]), parts.feed(prompt[50:]))


@pytest.mark.parametrize(
    ("family", "slides"), [("llama", False), ("mistral-sliding", True), ("gemma3", True)]
)
def test_what_an_engine_says_of_itself(
    family: str, slides: bool, engine_of: Callable[[str], Engine]
) -> None:
    engine = engine_of(family)
    assert (engine.layers, engine.slides, engine.window, engine.device) == (2, slides, 4096, "cpu")


def test_a_model_that_sees_what_comes_is_refused(folder_of: Callable[[str], Path]) -> None:
    model, tokenizer = load(folder_of("llama"))
    model.config.is_causal = False
    with pytest.raises(UnsuitedModelError, match="llama gives other logits"):
        LocalEngine(model, tokenizer)


def test_a_model_that_remembers_by_itself_is_refused(folder_of: Callable[[str], Path]) -> None:
    model, tokenizer = load(folder_of("llama"))
    calls: list[int] = []

    def drift(_: object, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        calls.append(1)
        return (given[0] + len(calls),)

    model.lm_head.register_forward_pre_hook(drift)
    with pytest.raises(UnsuitedModelError, match="put back give other logits"):
        LocalEngine(model, tokenizer)


def test_a_model_whose_cache_breaks_is_refused(folder_of: Callable[[str], Path]) -> None:
    model, tokenizer = load(folder_of("llama"))

    def broken(*_: object) -> None:
        raise IndexError("no such state")

    model.model.layers[1].register_forward_pre_hook(broken)
    with pytest.raises(UnsuitedModelError, match=r"cannot be put back.*no such state"):
        LocalEngine(model, tokenizer)


def test_weights_that_are_no_numbers_are_refused(folder_of: Callable[[str], Path]) -> None:
    model, tokenizer = load(folder_of("llama"))
    model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UnsuitedModelError):
        LocalEngine(model, tokenizer)


def test_chunks_have_a_size(folder_of: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidInputError, match="chunk_tokens"):
        mneme.engine(folder_of("llama"), chunk_tokens=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_on_a_gpu(folder_of: Callable[[str], Path], prompt: list[int]) -> None:
    engine = mneme.engine(folder_of("gemma3"), device="cuda")
    parts = engine.session(record=True)
    parts.feed(prompt[:64])
    past = parts.recorded()
    on_host = tuple(type(layer)(layer.keys.cpu(), layer.values.cpu()) for layer in past)
    right = parts.feed(prompt[64:])
    assert torch.equal(engine.session(past).feed(prompt[64:]), right)
    assert torch.equal(engine.session(on_host).feed(prompt[64:]), right)
    assert engine.rope(0, [3])[0].device.type == "cuda"
