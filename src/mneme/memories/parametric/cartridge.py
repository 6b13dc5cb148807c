"""Cartridges: keys and values that every prompt begins with, trained and not computed.

They are a bridge between weights and activation memory: written as an adapter is, used as a prefix
is (Cartridges, arXiv 2506.06266; prefix tuning, arXiv 2101.00190). A model with one on is the base
with more to attend to; its weights and its layers are never touched.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from mneme.core.engine import Layer
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import base_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.parametric.adapter import Adapter

NAME: Final = "cartridge"
TENSOR: Final = "prompt_embeddings"  # peft's name of the only one
_KINDS: Final = ("PREFIX_TUNING", "CARTRIDGE")  # of peft; both keep their tensor in one way


class PrefixShape(NamedTuple):
    """The shape of the keys and values of one token.

    heads: Of keys and values, not of queries.
    size: Of a head.
    """

    layers: int
    heads: int
    size: int

    @property
    def width(self) -> int:
        """Numbers of one token."""
        return self.layers * 2 * self.heads * self.size


def prefix_shape(kv: KV) -> PrefixShape:
    """The one shape that all layers share.

    Raises:
        UnsuitedModelError: They do not; peft's layout of a prefix has room for one shape only.
    """
    shapes = {(part.shape[0], part.shape[-1]) for layer in kv for part in layer}
    if len(shapes) != 1:
        raise UnsuitedModelError(
            f"the model's layers keep keys and values of different shapes, {sorted(shapes)}, "
            "and a cartridge has one for all; use the writer 'lora'"
        )
    return PrefixShape(len(kv), *shapes.pop())


def check_suited(engine: Engine) -> None:
    """Whether a prefix stays in sight.

    Raises:
        UnsuitedModelError: Some layers see only the last tokens, so that a longer prompt would
            push the cartridge out of their sight, and with it the facts.
    """
    if engine.slides:
        raise UnsuitedModelError(
            "the model has layers that see a window of the last tokens: a cartridge falls out of "
            "it as a prompt grows; use the writer 'lora'"
        )


def packed(kv: KV) -> Tensor:
    """Keys and values as peft keeps them: [tokens, layers x (keys, values) x heads x head size]."""
    parts = torch.stack([part for layer in kv for part in layer])  # [2 layers, heads, tokens, size]
    return parts.permute(2, 0, 1, 3).flatten(1)


def unpacked(flat: Tensor, shape: PrefixShape) -> KV:
    """What `packed` packed; views of it."""
    layers, heads, size = shape
    parts = flat.view(len(flat), layers * 2, heads, size).permute(1, 2, 0, 3)
    return tuple(Layer(parts[2 * at], parts[2 * at + 1]) for at in range(layers))


def cartridge_config(shape: PrefixShape, tokens: int) -> dict[str, Any]:
    """The adapter_config.json with which peft loads a cartridge.

    Heads are those of keys and values: peft takes them for the model's own, and sets them right
    again where the model groups its queries.
    """
    layers, heads, size = shape
    return {
        "peft_type": "PREFIX_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "num_virtual_tokens": tokens,
        "token_dim": heads * size,
        "num_transformer_submodules": 1,
        "num_attention_heads": heads,
        "num_layers": layers,
        "encoder_hidden_size": heads * size,
        "prefix_projection": False,
    }


def shape_of(config: Mapping[str, Any]) -> PrefixShape:
    """What `cartridge_config` says.

    Raises:
        InvalidInputError: It is no configuration of a prefix that can be kept as keys and values.
    """
    if config.get("peft_type") not in _KINDS or config.get("prefix_projection"):
        raise InvalidInputError(
            f"adapter_config is of {config.get('peft_type')!r}; a cartridge is one of "
            f"{' or '.join(_KINDS)}, without prefix_projection"
        )
    if config.get("num_transformer_submodules", 1) not in {1, None}:
        raise InvalidInputError("a prefix of an encoder and a decoder is no cartridge")
    layers, heads, width = (
        config.get(name) for name in ("num_layers", "num_attention_heads", "token_dim")
    )
    counts = [each for each in (layers, heads, width) if isinstance(each, int) and each > 0]
    if len(counts) != 3 or counts[2] % counts[1]:
        raise InvalidInputError(
            "adapter_config wants num_layers, num_attention_heads and token_dim, "
            "and token_dim must be a multiple of the heads"
        )
    return PrefixShape(counts[0], counts[1], counts[2] // counts[1])


def keys_and_values(adapter: Adapter) -> KV:
    """A cartridge as keys and values, with which a session of an engine can start.

    `engine.session(past=keys_and_values(adapter))` continues as the adapter does when it is on;
    so does whatever takes a prefix that was computed (activation memory).

    Returns:
        Of the type that the tensors were kept in, on the CPU.

    Raises:
        InvalidInputError: It is no cartridge, or its tensor is not of the shape that it says.
    """
    if adapter.carrier != NAME:
        raise InvalidInputError(f"an adapter of {adapter.carrier!r} is none of {NAME!r}")
    shape = shape_of(adapter.config)
    if set(adapter.tensors) != {TENSOR}:
        raise InvalidInputError(
            f"a cartridge has one tensor, {TENSOR}: not {list(adapter.tensors)}"
        )
    flat = adapter.tensors[TENSOR]
    wanted = (adapter.config.get("num_virtual_tokens"), shape.width)
    if tuple(flat.shape) != wanted or not len(flat):
        raise InvalidInputError(f"{TENSOR} is {list(flat.shape)}; by its config it is {wanted}")
    return unpacked(flat, shape)


class CartridgeCarrier:
    """The `Carrier` of cartridges (adapter.py)."""

    @property
    def name(self) -> str:
        return NAME

    def apply(self, engine: Engine, adapter: Adapter) -> CartridgeApplied:
        if adapter.base != base_of(engine.fields):
            raise InvalidInputError(
                f"the adapter was written for base {adapter.base[:12]}, and this model is "
                f"{base_of(engine.fields)[:12]}; write its facts again for this model"
            )
        check_suited(engine)
        kv = keys_and_values(adapter)
        engine.session(past=kv)  # refuses what is not of the model's shape
        tokens = kv[0].keys.shape[-2]
        if tokens >= engine.window:
            raise InvalidInputError(
                f"a cartridge of {tokens} tokens leaves no room in a window of {engine.window}"
            )
        return CartridgeApplied(engine, kv)


class CartridgeApplied:
    """Keys and values on the device, in the model's type; the model itself is not changed."""

    def __init__(self, engine: Engine, kv: KV) -> None:
        self._engine = engine
        self._past: KV | None = tuple(
            Layer(*(part.to(engine.device, engine.model.dtype) for part in layer)) for layer in kv
        )

    @property
    def past(self) -> KV:
        if self._past is None:
            raise InvalidInputError("the cartridge was closed; make it ready again with `apply`")
        return self._past

    @contextmanager
    def on(self) -> Iterator[None]:
        with self._engine.lock:
            yield

    def close(self) -> None:
        self._past = None
