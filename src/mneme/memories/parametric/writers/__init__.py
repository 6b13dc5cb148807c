"""Writers of adapters and what their adapters become on an engine, by name.

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mneme.memories.parametric.adapter import Carrier
    from mneme.memories.parametric.training import Writer

_WRITERS: Final = {  # name: module and class
    "lora": ("mneme.memories.parametric.writers.lora", "LoraWriter"),
    "cartridge": ("mneme.memories.parametric.writers.cartridge", "CartridgeWriter"),
    "memory-layer": ("mneme.memories.parametric.writers.memory_layer", "MemoryLayerWriter"),
    "knn": ("mneme.memories.parametric.writers.knn", "KnnWriter"),
}
_CARRIERS: Final = {
    "lora": ("mneme.memories.parametric.lora", "LoraCarrier"),
    "cartridge": ("mneme.memories.parametric.cartridge", "CartridgeCarrier"),
    "memory-layer": ("mneme.memories.parametric.memory_layer", "MemoryLayerCarrier"),
    "knn": ("mneme.memories.parametric.knn", "KnnCarrier"),
}

NAMES: Final = tuple(_WRITERS)


def build_writer(name: str) -> Writer:
    """The writer of that name.

    Raises:
        InvalidInputError: There is none; lists those there are.
    """
    writer: Writer = _made(name, _WRITERS, "writer")
    return writer


def build_carrier(name: str) -> Carrier:
    """What makes adapters of that kind ready on an engine.

    Raises:
        InvalidInputError: There is none; lists those there are.
    """
    carrier: Carrier = _made(name, _CARRIERS, "carrier")
    return carrier


def _made(name: str, known: dict[str, tuple[str, str]], what: str) -> Any:  # noqa: ANN401
    if name not in known:
        raise InvalidInputError(f"there is no {what} {name!r}; there are {', '.join(known)}")
    module, kind = known[name]
    return getattr(import_module(module), kind)()
