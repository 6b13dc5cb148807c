"""Calls that refuse keyword arguments which they do not have, and name the nearest one."""

from __future__ import annotations

from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mneme.core.errors import UnknownArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def strict(call: Callable[P, R]) -> Callable[P, R]:
    """Raise UnknownArgumentError, which is a TypeError, for an unknown keyword argument."""
    known = [name for name in signature(call).parameters if name != "self"]
    names = frozenset(known)

    @wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in names:
                raise UnknownArgumentError(f"{call.__name__}()", name, known)
        return call(*args, **kwargs)

    return checked
