"""What a writer makes: tensors for one base, and what is on while a model runs with them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor

    from mneme.core.engine import KV, Engine

_BASE: Final = ("architecture", "rope", "weights", "tokenizer", "chat_template", "adapter")


def base_of(fields: Mapping[str, str]) -> str:
    """What an adapter belongs to: SHA-256 in hex over what decides about a model's answers.

    Other than an engine's fingerprint it covers neither device nor version of a library: these
    move the last bits of numbers, and an adapter is no copy of numbers but a change of weights.

    Args:
        fields: `Engine.fields`.
    """
    said = json.dumps({name: fields[name] for name in _BASE}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Knowledge as tensors.

    Attributes:
        carrier: Which kind: "lora", "cartridge", ...
        base: Of what (`base_of`).
        config: JSON. Of "lora" and "cartridge": peft's adapter_config, so that peft loads it.
        tensors: By name, on the CPU, float32 as they were trained; of "lora" and "cartridge" the
            flat names of peft's adapter_model.safetensors.
    """

    carrier: str
    base: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


class Applied(Protocol):
    """An adapter that is ready to be used on one engine.

    Attributes:
        past: Keys and values that every prompt begins with (a cartridge); None for all others.
    """

    @property
    def past(self) -> KV | None: ...
    def on(self) -> AbstractContextManager[None]:
        """While it is open, forward passes of the engine's model have the adapter on, every row.

        It holds the engine's lock; outside of it the model is the base, bit by bit.
        """
        ...

    def close(self) -> None:
        """Let go of its tensors and of hooks on the model."""
        ...


class Carrier(Protocol):
    """A kind of adapter: what a written one becomes on an engine."""

    @property
    def name(self) -> str: ...
    def apply(self, engine: Engine, adapter: Adapter) -> Applied:
        """Make it ready.

        Raises:
            InvalidInputError: It is of another base, or its tensors do not fit this model.
        """
        ...
