"""mem0's filters, decided on one memory at a time.

In: the mapping that `search` and `get_all` take: fields, operators, AND, OR, NOT, "*". Out: whether
a memory's fields satisfy it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mneme.core.errors import InvalidInputError

Fields = Mapping[str, Any]
Test = Callable[[Fields], bool]

_MISSING = object()
_LOGIC = ("AND", "OR", "NOT")


def test_of(filters: object) -> Test:
    """Whether a memory's fields satisfy a filter.

    Raises:
        InvalidInputError: An operator that mem0 does not have, or one in a wrong shape.
    """
    if not isinstance(filters, Mapping):
        raise InvalidInputError(f"filters take a dict, not {type(filters).__name__}")
    return _all([_test(str(name), wanted) for name, wanted in filters.items()])


def _test(name: str, wanted: object) -> Test:
    if name in _LOGIC:
        return _logic(name, wanted)
    if wanted == "*":
        return lambda fields: fields.get(name) is not None
    if isinstance(wanted, list | tuple | set):
        return _operator(name, "in", wanted)
    if not isinstance(wanted, Mapping):
        return _operator(name, "eq", wanted)
    if not wanted:
        raise InvalidInputError(f"the filter of {name!r} is empty")
    return _all([_operator(name, str(op), value) for op, value in wanted.items()])


def _logic(name: str, wanted: object) -> Test:
    if not isinstance(wanted, list) or (not wanted and name != "AND"):
        raise InvalidInputError(f"{name} operator requires a list of conditions")
    tests = [test_of(each) for each in wanted]
    if name == "AND":
        return _all(tests)
    if name == "OR":
        return lambda fields: any(test(fields) for test in tests)
    return lambda fields: not any(test(fields) for test in tests)


def _all(tests: list[Test]) -> Test:
    return lambda fields: all(test(fields) for test in tests)


def _operator(name: str, op: str, wanted: Any) -> Test:  # noqa: ANN401 (JSON)
    decide = _OPERATORS.get(op)
    if decide is None:
        raise InvalidInputError(f"Unsupported metadata filter operator: {op}")
    if op in {"in", "nin"} and not isinstance(wanted, list | tuple | set):
        raise InvalidInputError(f"{op} takes a list of values")
    return lambda fields: decide(fields.get(name, _MISSING), wanted)


def _orders(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def decide(value: Any, wanted: Any) -> bool:  # noqa: ANN401 (JSON)
        alike = isinstance(value, str) and isinstance(wanted, str)
        numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
        return (alike or numbers) and compare(value, wanted)

    return decide


def _contains(value: Any, wanted: Any) -> bool:  # noqa: ANN401 (JSON)
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, list | tuple) and wanted in value


def _icontains(value: Any, wanted: Any) -> bool:  # noqa: ANN401 (JSON)
    texts = isinstance(value, str) and isinstance(wanted, str)
    return texts and wanted.casefold() in value.casefold()


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "ne": lambda value, wanted: value != wanted,
    "in": lambda value, wanted: value in wanted,
    "nin": lambda value, wanted: value not in wanted,
    "gt": _orders(lambda value, wanted: value > wanted),
    "gte": _orders(lambda value, wanted: value >= wanted),
    "lt": _orders(lambda value, wanted: value < wanted),
    "lte": _orders(lambda value, wanted: value <= wanted),
    "contains": _contains,
    "icontains": _icontains,
}
