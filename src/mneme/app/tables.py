"""Tables of a namespace: real rows and columns, and a read-only door for SQL (ChatDB)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.errors import InvalidInputError
from mneme.core.moments import optional_us
from mneme.core.strict import strict
from mneme.core.tabular import Question
from mneme.ingest import checks
from mneme.ingest.tables import Tables
from mneme.memories.plaintext.tables.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mneme.app.shared import Shared
    from mneme.core.tabular import Cell, Column, QueryResult
    from mneme.ingest.tables import Row

_LONGEST_SQL = 10_000
_LONGEST_DESCRIPTION = 2000
_MOST_ROWS = 10_000
_MOST_PARAMS = 200
_LONGEST_S = 60.0


class Table:
    """One table of a namespace; each change of it is a version of its cube.

    Attributes:
        id: Of the cube: `history`, `rollback`, `forget` and `erase` take it.
        name: By which SQL names it.
        columns: Their names and types.
    """

    def __init__(self, tables: Tables, shared: Shared, cube_id: str) -> None:
        shape = tables.opened(cube_id).shape
        self._tables, self._shared = tables, shared
        self.id = cube_id
        self.name: str = shape.name
        self.columns: tuple[Column, ...] = shape.columns

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {dict(self.columns)!r})"

    @property
    def version(self) -> int:
        """The version that the table is at."""
        return self._tables.opened(self.id).row.version

    @strict
    def insert(
        self,
        rows: Iterable[Mapping[str, Any]] | Mapping[str, Any],
        *,
        source: str | None = None,
        expected_version: int | None = None,
    ) -> list[int]:
        """Write one row or several, all or none; their numbers.

        `source` is the id of the cube that they were taken from: if it is untrusted, so are they;
        if it is forgotten, they are hidden; if it is erased, they are gone.
        """
        given = [rows] if hasattr(rows, "keys") else list(checks.items_of(rows))
        written = self._tables.insert(
            self.id,
            given,
            None if source is None else checks.id_of(source),
            checks.version_of(expected_version, name="expected_version"),
        )
        self._shared.wake()
        return written

    @strict
    def update(
        self,
        *,
        where: Mapping[str, Any],
        set: Mapping[str, Any],  # noqa: A002 (as SQL says it)
        expected_version: int | None = None,
    ) -> int:
        """Give rows other cells; how many changed. `where={}` means every row."""
        if not hasattr(set, "items") or not set:
            raise InvalidInputError("set takes a mapping from columns to their new values")
        return self._tables.update(
            self.id, where, set, checks.version_of(expected_version, name="expected_version")
        )

    @strict
    def delete(self, *, where: Mapping[str, Any], expected_version: int | None = None) -> int:
        """Remove rows from the table, not from its past; how many. `where={}` means every row."""
        expected = checks.version_of(expected_version, name="expected_version")
        return self._tables.delete(self.id, where, expected)

    @strict
    def rows(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        limit: int = 1000,
        as_of: datetime | str | None = None,
    ) -> list[Row]:
        """Rows in order of writing, now or as they were at a past time."""
        then = optional_us(as_of, self._shared.limits.zone, name="as_of")
        meant = {} if where is None else where
        return self._tables.rows(self.id, meant, _limit(limit), then)


class TableVerbs:
    """The verbs on tables, for Namespace."""

    path: str
    _shared: Shared

    @strict
    def table(
        self,
        name: str | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        description: str = "",
        id: str | None = None,  # noqa: A002 (the contract's name)
    ) -> Table:
        """Open a table by name or id; with `columns`, make it if it is not there.

        Column types: text, integer, real, boolean, date, datetime. A cell may be empty (None).
        """
        tables = self._tables()
        if id is not None:
            if name is not None or columns is not None:
                raise InvalidInputError("give a name or an id, not both")
            return Table(tables, self._shared, checks.id_of(id))
        said = checks.text_of(name, name="name", max_bytes=_LONGEST_DESCRIPTION)
        if columns is None:
            return Table(tables, self._shared, tables.named(said).row.id)
        about = _description(description)
        made = tables.create(shape_of(said, columns, about))
        self._shared.wake()
        return Table(tables, self._shared, made.row.id)

    @strict
    def query(
        self,
        sql: str,
        *,
        params: Sequence[Cell] | Mapping[str, Cell] | None = None,
        limit: int = 200,
        timeout_s: float = 1.0,
        as_of: datetime | str | None = None,
    ) -> QueryResult:
        """Ask the tables of this namespace with one SELECT, which reaches nothing else.

        Raises:
            QueryRefusedError: It is not one SELECT, or it goes beyond a limit; the message names
                the tables and columns that there are.
        """
        text = checks.text_of(sql, name="sql", max_bytes=_LONGEST_SQL)
        seconds = checks.seconds_of(timeout_s, name="timeout_s")
        if seconds is None or not 0 < seconds <= _LONGEST_S:
            raise InvalidInputError(f"timeout_s takes seconds above 0, up to {_LONGEST_S:g}")
        question = Question(text, _params(params), _limit(limit), seconds)
        then = optional_us(as_of, self._shared.limits.zone, name="as_of")
        views = self._tables().views(then)
        return self._shared.door.ask(self.path if then is None else None, views, question)

    def _tables(self) -> Tables:
        return Tables(self._shared.vault, self.path, self._shared.limits.zone)


def _limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_ROWS:
        raise InvalidInputError(f"limit takes a number from 1 to {_MOST_ROWS}, not {value!r:.80}")
    return value


def _description(value: object) -> str:
    if value == "":
        return ""
    text = checks.text_of(value, name="description", max_bytes=_LONGEST_DESCRIPTION)
    return " ".join(text.split())


def _params(value: object) -> Sequence[Cell] | Mapping[str, Cell] | None:
    """Values of `?` or `:name` in a query."""
    if value is None:
        return None
    if hasattr(value, "keys") and hasattr(value, "values"):
        given = {str(name): each for name, each in value.items()}  # type: ignore[attr-defined]
        _check_values(given.values())
        return given
    if isinstance(value, list | tuple):
        _check_values(value)
        return tuple(value)
    raise InvalidInputError("params takes a list of values for ?, or a mapping for :name")


def _check_values(values: Iterable[object]) -> None:
    each = list(values)
    if len(each) > _MOST_PARAMS:
        raise InvalidInputError(f"{len(each)} params; the limit is {_MOST_PARAMS}")
    for value in each:
        if isinstance(value, str):
            if value:
                checks.text_of(f"{value}.", name="a param", max_bytes=_LONGEST_SQL)
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise InvalidInputError("a param is an integer beyond 64 bits; make it a string")
        elif value is not None and not isinstance(value, int | float):
            raise InvalidInputError(f"a param cannot be a {type(value).__name__}")
