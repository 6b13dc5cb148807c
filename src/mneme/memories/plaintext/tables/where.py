"""Which rows of a table are meant: a closed grammar, the same operators as `filters` have."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import InvalidInputError
from mneme.core.filters import OPERATORS
from mneme.memories.plaintext.tables.cells import cell_of, column_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from mneme.core.tabular import Cell
    from mneme.memories.plaintext.tables.shape import Shape

_MOST_VALUES = 1000
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class Test(NamedTuple):
    """One test of one column."""

    column: str
    op: str
    operand: object


def parse_where(where: object, shape: Shape, zone: tzinfo) -> tuple[Test, ...]:
    """Check which rows a caller means; an empty mapping means all.

    Args:
        where: A mapping from a column to a value or to {operator: value}; several mean "and".
        shape: Of the table.
        zone: Where times without a zone are read.

    Raises:
        InvalidInputError: On a column, an operator or a value outside the grammar.
    """
    if not isinstance(where, Mapping):
        raise InvalidInputError(
            "where takes a mapping such as {'amount': {'gt': 10}}; {} means every row"
        )
    tests = []
    for name, wanted in where.items():
        operators = wanted if isinstance(wanted, Mapping) else {"eq": wanted}
        if not operators:
            raise InvalidInputError(f"where on {name!r:.80} is empty; give a value")
        tests += [_test(name, op, value, (shape, zone)) for op, value in operators.items()]
    return tuple(tests)


def _test(name: object, op: object, value: object, place: tuple[Shape, tzinfo]) -> Test:
    shape, zone = place
    column = column_of(name, shape)
    if op not in OPERATORS:
        raise InvalidInputError(f"unknown operator {op!r:.80}; use one of {', '.join(OPERATORS)}")
    if op == "exists":
        if not isinstance(value, bool):
            raise InvalidInputError("exists takes true or false")
        return Test(column.name, op, value)
    if op == "in":
        if not isinstance(value, list | tuple | set | frozenset) or len(value) > _MOST_VALUES:
            raise InvalidInputError(f"in takes a list of at most {_MOST_VALUES} values")
        return Test(column.name, op, [cell_of(each, column, zone) for each in value])
    return Test(column.name, str(op), cell_of(value, column, zone))


def meets(cells: Mapping[str, Cell], tests: tuple[Test, ...]) -> bool:
    """Whether a row passes all tests; an empty cell is below and above nothing."""
    return all(_passes(cells.get(test.column), test) for test in tests)


def _passes(cell: Cell, test: Test) -> bool:
    if test.op == "exists":
        return (cell is not None) == test.operand
    if test.op == "in":
        return cell in test.operand  # type: ignore[operator]
    if test.op in {"eq", "ne"}:
        return (cell == test.operand) == (test.op == "eq")
    if cell is None or test.operand is None:
        return False
    return _ORDERS[test.op](cell, test.operand)
