"""Policies of kvpress (extra `kvpress`), run on the first pass over a text.

A press hangs on the model while a text is computed, and leaves a smaller cache. Which tokens are
in it is found by their keys, bit by bit, since a press does not say.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from mneme.core.engine import Layer
from mneme.core.errors import (
    InvalidInputError,
    MissingDependencyError,
    MnemeError,
    UnsuitedModelError,
)
from mneme.memories.activation.kv import Held
from mneme.memories.activation.policies.choice import check, columns, filled, kept_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.policies.policy import About

_LEAST = 32  # tokens; presses protect windows at both ends
_SEED = 0
_BROKEN = (RuntimeError, AttributeError, AssertionError, IndexError, TypeError, ValueError)
_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press as a build policy.

    Attributes:
        about: What it is.
        make: The press, of the module kvpress, the share to leave out, and the number of tokens.
        eager: Whether it needs attention weights, which only the slow way of computing them gives.
    """

    about: About
    make: Callable[[Any, float, int], Any]
    eager: bool = False

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        check(engine, self.about.name, tokens, keep)
        kvpress = load_kvpress(self.about.name)
        self._check(kvpress, engine, tokens, alone=not past and position == 0)
        count = kept_of(len(tokens), keep)
        # A press keeps int(tokens x (1 - share)); half a token more guards against rounding.
        share = 0.0 if count == len(tokens) else 1 - (count + 0.5) / len(tokens)
        press = self.make(kvpress, share, len(tokens))
        try:
            full, left = self._run(engine, press, tokens)
        except (MnemeError, torch.OutOfMemoryError):
            raise
        except _BROKEN as error:
            raise UnsuitedModelError(
                f"{self.about.name}: kvpress fails on {type(engine.model).__name__} ({error}); "
                "use a policy of our own, such as leverage"
            ) from error
        return _held(full, left) if self.about.frees_bytes else Held(left)

    def _check(self, kvpress: Any, engine: Engine, tokens: Sequence[int], *, alone: bool) -> None:  # noqa: ANN401
        name, model = self.about.name, engine.model
        if not isinstance(model, kvpress.SUPPORTED_MODELS):
            raise UnsuitedModelError(f"{name}: kvpress does not know {type(model).__name__}")
        if not alone:
            raise InvalidInputError(
                f"{name} thins what a prompt begins with, in one pass: no past, position 0; "
                "for what comes later use a policy of our own, such as leverage"
            )
        if not _LEAST <= len(tokens) <= engine.window:
            raise InvalidInputError(
                f"{name} needs {_LEAST} to {engine.window} tokens, not {len(tokens)}"
            )

    def _run(self, engine: Engine, press: Any, tokens: Sequence[int]) -> tuple[KV, KV]:  # noqa: ANN401
        """Keys and values of all tokens, and of those that the press left."""
        from transformers import DynamicCache

        model = engine.model
        full: dict[int, Layer] = {}

        def watch(layer: int, _queries: Tensor, keys: Tensor, values: Tensor) -> None:
            full[layer] = Layer(keys, values)

        cache = DynamicCache(config=model.config)
        line = torch.tensor([list(tokens)], device=model.device)
        with (
            engine.observed(watch),  # nobody else computes meanwhile
            torch.no_grad(),
            _lots(model),
            _as_found(model),
            _attention(model, eager=self.eager),
            engine.observed(watch),  # by the way that is set now
            press(model),
        ):
            model.base_model(line, past_key_values=cache, use_cache=True)
        layers: list[Any] = cache.layers
        left = tuple(Layer(layer.keys[0], layer.values[0]) for layer in layers)
        return tuple(full[layer] for layer in range(engine.layers)), left


def _held(full: KV, left: KV) -> Held:
    """What a press left, in the order of the text, with positions.

    Where layers were left different numbers of tokens (chunks of different sizes), those with
    fewer get their newest other tokens back, because a cache is rectangular.

    Args:
        full: Of all tokens.
        left: In any order; values may be others, keys may not.
    """
    places = [_places(all_of.keys, kept.keys) for all_of, kept in zip(full, left, strict=True)]
    count = max(at.shape[-1] for at in places)
    layers, positions = [], []
    for all_of, kept, at in zip(full, left, places, strict=True):
        chosen = filled(at.sort(dim=-1).values, count, all_of.keys.shape[1])
        keys, values = (
            columns(_put(whole, at, part), chosen) for whole, part in zip(all_of, kept, strict=True)
        )
        layers.append(Layer(keys, values))
        positions.append(chosen.to(torch.int32))
    return Held(tuple(layers), torch.stack(positions))


def _put(whole: Tensor, at: Tensor, part: Tensor) -> Tensor:
    """[kv heads, tokens, size] with some tokens in the state that a press gave them."""
    return whole.scatter(1, at[..., None].expand(-1, -1, part.shape[-1]), part)


def _places(full: Tensor, kept: Tensor) -> Tensor:
    """int64 [kv heads, kept]: which of all keys each kept key is, bit by bit."""
    marks, sought = _marks(full), _marks(kept)
    ordered, order = marks.sort(dim=-1, stable=True)
    spot = torch.searchsorted(ordered, sought.contiguous()).clamp_max(marks.shape[-1] - 1)
    if not torch.equal(ordered.gather(-1, spot), sought):
        raise UnsuitedModelError("the press changed keys, so their positions are lost")
    return order.gather(-1, spot)


def _marks(keys: Tensor) -> Tensor:
    """int64 [kv heads, tokens]: a number for each key, by its bits."""
    bits = keys.contiguous().view(_WORDS[keys.element_size()]).to(torch.int64)
    lots = torch.Generator().manual_seed(_SEED)
    odd = torch.randint(-(2**62), 2**62, (keys.shape[-1],), generator=lots) * 2 + 1
    return (bits * odd.to(keys.device)).sum(-1)


def has_kvpress() -> bool:
    """Whether kvpress is installed."""
    return find_spec("kvpress") is not None


def load_kvpress(name: str) -> Any:  # noqa: ANN401
    """The module kvpress. It wraps the attention functions of transformers as it is imported.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if not has_kvpress():
        raise MissingDependencyError("kvpress", "kvpress", f"policy {name!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # packages that it imports use what Python deprecates
        return import_module("kvpress")


@contextmanager
def _lots(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Random numbers that are the same each time, and leave those of others as they were."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(_SEED)
        yield


@contextmanager
def _attention(model: Any, *, eager: bool) -> Iterator[None]:  # noqa: ANN401
    """While it is open, attention weights are there, if they are wanted."""
    text = model.config.get_text_config(decoder=True)
    present = text._attn_implementation
    try:
        if eager:
            text._attn_implementation = "eager"
        yield
    finally:
        text._attn_implementation = present


@contextmanager
def _as_found(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Take back what presses leave on a model: each layer's reference to its rotation."""
    parts = [layer.self_attn for layer in model.base_model.layers]
    bare = [part for part in parts if not hasattr(part, "rotary_emb")]
    try:
        yield
    finally:
        for part in bare:
            if hasattr(part, "rotary_emb"):
                del part.rotary_emb
