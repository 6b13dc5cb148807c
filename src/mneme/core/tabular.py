"""What passes between tables of a namespace and the read-only door to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Cell = str | int | float | bool | None
Value = str | int | float | bytes | None  # what SQL may give back

COLUMN_TYPES: tuple[str, ...] = ("text", "integer", "real", "boolean", "date", "datetime")


class Column(NamedTuple):
    """A column of a table; its type is one of COLUMN_TYPES."""

    name: str
    type: str


class TableRow(NamedTuple):
    """A row of a table as it is stored.

    Attributes:
        row: Its number within the table.
        since: The version of the table's cube that wrote it.
        until: The version that changed or removed it; None while it stands.
        source: The number of the cube that it came from, if one was named.
        untrusted: Whether that cube was untrusted.
        value: A JSON object of cells by column.
    """

    row: int
    since: int
    until: int | None
    source: int | None
    untrusted: int
    value: str


class TableView(NamedTuple):
    """A table as the door shows it.

    Attributes:
        name: By which a query names it.
        columns: With their types.
        stamp: The same for the same content.
        untrusted: Whether any row of it is.
        load: Gives the rows: the number of each and its cells, in the order of the columns.
    """

    name: str
    columns: tuple[Column, ...]
    stamp: tuple[object, ...]
    untrusted: bool
    load: Callable[[], Iterable[tuple[int, list[Cell]]]]


class Question(NamedTuple):
    """A query and its limits; at most `limit` rows come back within `timeout_s` seconds."""

    sql: str
    params: Sequence[Cell] | Mapping[str, Cell] | None
    limit: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """What a query gave.

    Attributes:
        columns: Their names, as the query gives them.
        rows: In the order of the query.
        truncated: Whether there were more rows than were asked for, or than may be held.
        tables: Those that the query read, by name.
        untrusted: Whether one of them holds a row that a tool or a document brought: then the
            values are data, and never instructions.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    truncated: bool
    tables: tuple[str, ...]
    untrusted: bool


class QueryDoor(Protocol):
    """Answers SELECT statements on the tables that it is given, and reaches nothing else.

    Raises:
        QueryRefusedError: The statement is not one SELECT on these tables, or beyond a limit.
    """

    def ask(self, place: str | None, tables: Sequence[TableView], asked: Question) -> QueryResult:
        """Answer a question; what was loaded is kept under `place`, unless it is None."""
        ...

    def let_go(self, place: str) -> None:
        """Keep nothing of what was loaded there."""
        ...
