"""Every attention can be watched, and watching changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import UnsuitedModelError
from mneme.testing.tiny_models import FAMILIES

Seen = list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]]


def watched(engine: Engine, tokens: list[int], split: int) -> tuple[Seen, torch.Tensor]:
    seen: Seen = []
    session = engine.session()
    session.feed(tokens[:split])
    with engine.observed(lambda *what: seen.append(what)):
        logits = session.feed(tokens[split:])
    return seen, logits


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", [*FAMILIES, "gemma3n"])
def test_what_is_seen_is_what_is_computed(
    family: str, attention: str, folder_of: Callable[[str], Path], prompt: list[int]
) -> None:
    engine = mneme.engine(folder_of(family), attention=attention)
    before = engine.model.config._attn_implementation
    plain = engine.session(record=True)
    plain.feed(prompt[:20])
    right = plain.feed(prompt[20:26])
    seen, logits = watched(engine, prompt[:26], 20)
    assert torch.equal(logits, right)
    assert [layer for layer, *_ in seen] == list(range(engine.layers))
    for layer, queries, keys, values in seen:
        kept = plain.recorded()[layer]
        assert queries.shape[1:] == (6, kept.keys.shape[-1])
        assert queries.shape[0] % keys.shape[0] == 0
        assert torch.equal(keys[:, -6:], kept.keys[:, -6:])
        assert torch.equal(values[:, -6:], kept.values[:, -6:])
        assert engine.slides or keys.shape[1] == 26
    assert engine.model.config._attn_implementation == before


def test_the_output_of_a_layer_can_be_computed_from_what_is_seen(
    engine_of: Callable[[str], Engine], prompt: list[int]
) -> None:
    engine = engine_of("llama")
    taken: list[torch.Tensor] = []
    hook = engine.model.model.layers[0].self_attn.o_proj.register_forward_pre_hook(
        lambda _, given: taken.append(given[0])
    )
    seen, _ = watched(engine, prompt[:21], 20)
    hook.remove()
    _, queries, keys, values = seen[0]
    keys, values = (part.repeat_interleave(2, dim=0) for part in (keys, values))
    weights = (queries @ keys.transpose(1, 2) / math.sqrt(keys.shape[-1])).softmax(dim=-1)
    assert torch.allclose((weights @ values)[:, 0].flatten(), taken[-1][0, 0], atol=1e-5)


def test_watching_ends_with_an_error(engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("llama")
    calls: list[int] = []

    def fail(layer: int, *_: object) -> None:
        calls.append(layer)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), engine.observed(fail):
        engine.session().feed([20])
    engine.session().feed([20])
    assert calls == [0]
    assert engine.model.config._attn_implementation == "sdpa"


def test_watching_within_watching(engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("llama")
    outer: list[int] = []
    inner: list[int] = []
    with engine.observed(lambda layer, *_: outer.append(layer)):
        with engine.observed(lambda layer, *_: inner.append(layer)):
            engine.session().feed([20])
        engine.session().feed([20])
    assert (outer, inner) == ([0, 1, 0, 1], [0, 1])


def test_another_engine_is_not_watched(engine_of: Callable[[str], Engine]) -> None:
    seen: list[int] = []
    other: list[int] = []
    with engine_of("llama").observed(lambda layer, *_: seen.append(layer)):
        engine_of("qwen2").session().feed([20])
        with engine_of("qwen2").observed(lambda layer, *_: other.append(layer)):
            engine_of("qwen2").session().feed([20])
    assert (seen, other) == ([], [0, 1])


def test_what_cannot_be_watched_is_refused(
    engine_of: Callable[[str], Engine],
    folder_of: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = mneme.engine(folder_of("llama"))
    attend = engine.model.model.layers[1].self_attn
    right = attend.forward
    other = engine_of("llama").model.model.layers[1].self_attn
    monkeypatch.setattr(attend, "forward", other.forward)
    with pytest.raises(UnsuitedModelError, match="cannot be watched"), engine.observed(print):
        pass
    monkeypatch.setattr(attend, "forward", right)
