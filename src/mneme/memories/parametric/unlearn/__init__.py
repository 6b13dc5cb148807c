"""Approximate unlearning: taking facts out of an adapter that cannot be written again without them.

The exact way is another: a shard is dropped and written again from its ledger without the fact.
These are for adapters without a ledger (imported, merged), change the adapter alone and never the
base, and are no erasure: what they leave behind is measured by `damage` and must be told with them.
Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mneme.memories.parametric.unlearn.unlearner import Unlearner

_UNLEARNERS: Final = {  # name: class, in the module of that name
    "ssd": "Dampening",
    "ascent": "Ascent",
    "projection": "Projection",
}

NAMES: Final = tuple(_UNLEARNERS)


def build_unlearner(name: str) -> Unlearner:
    """The unlearner of that name.

    Raises:
        InvalidInputError: There is none; lists those there are.
    """
    if name not in _UNLEARNERS:
        raise InvalidInputError(f"there is no unlearner {name!r}; there are {', '.join(NAMES)}")
    made: Unlearner = getattr(import_module(f"{__name__}.{name}"), _UNLEARNERS[name])()
    return made
