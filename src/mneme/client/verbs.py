"""One description of each verb, two ways to call it: `verb` makes methods of it.

A verb is written once, as a generator that gives out requests and takes in answers. On a client
that waits it becomes a method that returns the result; on an asynchronous one, a coroutine. Type
checkers see either with its own arguments and result.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper, wraps
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from mneme.core.strict import strict

if TYPE_CHECKING:
    from mneme.client.transport import AsyncSender, Sender
    from mneme.client.wire import Flow

P = ParamSpec("P")
T = TypeVar("T")


class Waiting:
    """What has verbs that wait for the answer."""

    _sender: Sender


class Awaiting:
    """What has verbs that are coroutines."""

    _sender: AsyncSender


class verb(Generic[P, T]):  # noqa: N801 (a decorator)
    """A method of a class that is Waiting or Awaiting, from a generator of requests."""

    def __init__(self, call: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self._call = strict(call)
        self._signature = _without_self(signature(call))
        update_wrapper(self, call)  # type: ignore[arg-type]

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: Waiting, kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: Awaiting, kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self

        @wraps(self._call)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 (T, or to await)
            return owner._sender.run(self._call(owner, *args, **kwargs))

        bound.__signature__ = self._signature  # type: ignore[attr-defined]
        return bound


def _without_self(known: Signature) -> Signature:
    """As a caller sees it: no `self`, and what comes back, not how."""
    result = str(known.return_annotation).removeprefix("Flow[").removesuffix("]")
    return known.replace(parameters=list(known.parameters.values())[1:], return_annotation=result)
