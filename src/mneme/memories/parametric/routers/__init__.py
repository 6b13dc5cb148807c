"""Routers that look at activations instead of words: plug-ins, each behind the locality gate.

What ships by default is `router.RouterIndex`. These take a question's activations in the base and
say whether a shard's adapter is to be on. None of them is used before `admit` has shown that it
sends no unrelated prompt to the adapter; how each fares is measured in
`benchmarks/parametric_route.py`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mneme.memories.parametric.routers.activation_router import ActivationRouter

_ROUTERS: Final = {  # name: module and class
    "norm": ("norm", "NormRouter"),
    "keys": ("keys", "KeyRouter"),
    "descriptor": ("descriptor", "DescriptorRouter"),
}

NAMES: Final = tuple(_ROUTERS)


def build_router(name: str) -> ActivationRouter:
    """The router of that name, to be fitted and then admitted.

    Raises:
        InvalidInputError: There is none; lists those there are.
    """
    if name not in _ROUTERS:
        raise InvalidInputError(f"there is no router {name!r}; there are {', '.join(NAMES)}")
    module, kind = _ROUTERS[name]
    made: ActivationRouter = getattr(import_module(f"{__name__}.{module}"), kind)()
    return made
