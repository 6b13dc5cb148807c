"""Whether the keys and values of a model can be kept: its cache by name, then by proof."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from mneme.backends.engines.local.runner import Runner
from mneme.backends.engines.local.session import LocalSession
from mneme.core.errors import InvalidInputError, UnsuitedModelError

if TYPE_CHECKING:
    from mneme.core.engine import KV

_KEPT = (DynamicLayer, DynamicSlidingWindowLayer)
_SHARED = "DummyLayer"  # in newer versions, of a layer that uses another one's cache
_FULL = "full_attention"
_TYPES = {_FULL, "sliding_attention", "chunked_attention"}
_FIXED = {"longrope", "dynamic"}  # frequencies that are fixed up to the original length alone
_PROBE = 48  # tokens
_LONGEST = 512  # the largest window beyond which the probe goes
_NEAR = {torch.float32: 1e-4, torch.float64: 1e-4}  # of the largest logit
_NEAR_HALF = 5e-2
_BROKEN = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError)


def suited(model: Any, *, chunk_tokens: int | None = None) -> Runner:  # noqa: ANN401
    """What runs the model, after it gave proof.

    Raises:
        UnsuitedModelError: Its cache is no list of keys and values for each token, or what was
            put back does not say what was computed.
    """
    text = model.config.get_text_config(decoder=True)
    takes = frozenset(signature(model.forward).parameters)
    kind = model.config.model_type
    if getattr(model, "_is_stateful", False) or not {"past_key_values", "position_ids"} <= takes:
        raise UnsuitedModelError(
            f"{kind} keeps a state, or takes no positions: its memory cannot be kept as blocks"
        )
    slots, slides = _slots(model, text, kind)
    runner = Runner(
        model=model,
        slots=slots,
        slides=slides,
        window=_window(text, kind),
        takes=takes,
        chunk_tokens=chunk_tokens,
    )
    return replace(runner, shapes=_proof(runner, text, kind))


def _slots(model: Any, text: Any, kind: str) -> tuple[tuple[int, ...], bool]:  # noqa: ANN401
    """The layers with a cache of their own, and whether one slides."""
    for number, name in enumerate(getattr(text, "layer_types", None) or ()):
        if name not in _TYPES:
            raise UnsuitedModelError(
                f"layer {number} of {kind} is {name!r}: it keeps no keys and values for each token"
            )
    layers = DynamicCache(config=model.config).layers
    slots = []
    for number, layer in enumerate(layers):
        if type(layer) in _KEPT:
            slots.append(number)
        elif type(layer).__name__ != _SHARED:
            raise UnsuitedModelError(
                f"layer {number} of {kind} has the cache {type(layer).__name__}: "
                "it cannot be kept as blocks"
            )
    slides = any(type(layers[slot]) is DynamicSlidingWindowLayer for slot in slots)
    slides = slides or any(name != _FULL for name in getattr(text, "layer_types", None) or ())
    return tuple(slots) or tuple(range(text.num_hidden_layers)), slides


def _window(text: Any, kind: str) -> int:  # noqa: ANN401
    """Most positions for which a token's keys do not depend on how many tokens follow."""
    most = getattr(text, "max_position_embeddings", None)
    if not isinstance(most, int):
        raise UnsuitedModelError(f"{kind} does not say how many positions it has")
    rope = getattr(text, "rope_parameters", None) or {}
    for each in (rope, *(part for part in rope.values() if isinstance(part, dict))):
        original = each.get("original_max_position_embeddings")
        if each.get("rope_type") in _FIXED and original:
            most = min(most, int(original))
    return most


def _proof(runner: Runner, text: Any, kind: str) -> tuple[tuple[int, int, int], ...]:  # noqa: ANN401
    """Compute some tokens whole, in two parts, and in two parts with the first put back."""
    tokens = _tokens(runner, text)
    try:
        split = len(tokens) * 2 // 3
        whole = _session(runner, None).feed(tokens)
        parts = _session(runner, None)
        parts.feed(tokens[:split])
        past = parts.recorded()
        continued = parts.feed(tokens[split:])
        again = _session(runner, past).feed(tokens[split:])
    except (InvalidInputError, torch.OutOfMemoryError):
        raise
    except _BROKEN as error:
        raise UnsuitedModelError(f"the cache of {kind} cannot be put back: {error}") from error
    if not torch.equal(continued, again):
        raise UnsuitedModelError(
            f"keys and values of {kind} that are put back give other logits than those in place"
        )
    near = _NEAR.get(runner.dtype, _NEAR_HALF)
    if not bool((whole - again).abs().max() <= near * whole.abs().max()):
        raise UnsuitedModelError(
            f"{kind} gives other logits for a prompt in two parts than for the whole prompt"
        )
    return tuple((k.shape[0], k.shape[-1], v.shape[-1]) for k, v in past)


def _session(runner: Runner, past: KV | None) -> LocalSession:
    return LocalSession(runner, past, position=None, record=past is None)


def _tokens(runner: Runner, text: Any) -> list[int]:  # noqa: ANN401
    """Tokens of a prompt that is longer than a small window."""
    size = _PROBE
    window = getattr(text, "sliding_window", None)
    if runner.slides and window and window <= _LONGEST:
        size = max(size, window * 3 // 2 + _PROBE // 2)
    known = runner.known
    special = {getattr(text, name, None) for name in ("pad_token_id", "bos_token_id")}
    plain = [n for n in range(known // 8, known // 8 + 4 * size) if n not in special and n < known]
    return [plain[at * 7 % len(plain)] for at in range(min(size, runner.window))]
