"""The read-only door to the tables of a namespace: one SELECT, on copies, within limits.

The tables are copied into a database of their own in memory, where nothing else is: no statement
can reach another table, since there is none. On top of that, an authorizer allows SELECT on these
tables and functions from a list; one statement is run; and time, memory, rows and lengths are
limited. SQLite's own temporary storage is kept in memory, too (the VFS "memdb"), where a sort goes
in small portions that can be interrupted.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from contextlib import closing
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final, Self

import apsw

from mneme.backends.sql_functions import ALLOWED, replace_costly
from mneme.core.errors import QueryRefusedError
from mneme.core.tabular import QueryResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mneme.core.tabular import Column, Question, TableView, Value

LONGEST_SQL: Final = 10_000  # bytes
_LONGEST_VALUE = 100_000  # bytes of any string, and of any row
_MOST_RESULT_BYTES = 4 << 20
_MOST_MEMORY = 64 << 20  # bytes that a query may take while it runs
_LOOK_S = 0.01
_STEPS = 50_000  # of SQLite's machine between two further looks at the clock
_PLACES_KEPT = 8
# A query is ended before its time is over, since what has begun is not interrupted at once.
_RESERVE, _LEAST_RESERVE_S, _MOST_RESERVE = 0.1, 0.05, 0.25
_AFFINITY = {
    "text": "TEXT",
    "integer": "INTEGER",
    "real": "REAL",
    "boolean": "INTEGER",
    "date": "TEXT",
    "datetime": "TEXT",
}
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: _LONGEST_VALUE,
    apsw.SQLITE_LIMIT_SQL_LENGTH: LONGEST_SQL,
    apsw.SQLITE_LIMIT_COLUMN: 200,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    apsw.SQLITE_LIMIT_VDBE_OP: 25_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 32,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 200,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_BUILT_IN = (
    "sqlite_", "pragma_", "json", "fts", "dbstat", "rtree", "geopoly", "carray", "generate_series",
    "bytecode", "tables_used", "completion",
)  # fmt: skip
_IDLE = re.compile(r"[\s;]+|--[^\n]*|/\*.*?\*/", re.DOTALL)  # does nothing after a statement


class SqliteQueryDoor:
    """Answers queries on copies of tables; see `core.tabular.QueryDoor`."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, _Room] = OrderedDict()
        self._lock = Lock()

    def ask(self, place: str | None, tables: Sequence[TableView], asked: Question) -> QueryResult:
        """Answer a question on the tables given; their copies are kept under `place`.

        Raises:
            QueryRefusedError: The statement is not one SELECT on these tables, or beyond a limit.
        """
        if place is None:
            with closing(_Room()) as room:
                return room.ask(tables, asked)
        return self._room(place).ask(tables, asked)

    def let_go(self, place: str) -> None:
        """Keep no copies under that name."""
        with self._lock:
            self._rooms.pop(place, None)

    def _room(self, place: str) -> _Room:
        with self._lock:
            room = self._rooms.setdefault(place, _Room())
            self._rooms.move_to_end(place)
            while len(self._rooms) > _PLACES_KEPT:
                self._rooms.popitem(last=False)
            return room


class _Room:
    """One database in memory with the tables of one namespace."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._db = apsw.Connection(":memory:", vfs="memdb", statementcachesize=0)
        for setting in ("temp_store = 1", "cache_size = 100", "trusted_schema = OFF"):
            self._db.pragma(*setting.split(" = "))
        self._db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        self._db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)  # "x" is a column, never a string
        self._db.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        replace_costly(self._db)

    def close(self) -> None:
        """Let go of the copies."""
        self._db.close()

    def ask(self, tables: Sequence[TableView], asked: Question) -> QueryResult:
        """Bring the copies up to date and answer."""
        with self._lock:
            self._load(tables)
            if "\0" in asked.sql:
                raise QueryRefusedError(f"the query holds a NUL character; {_known(tables)}")
            guard = _Guard(table.name for table in tables)
            try:
                return self._answer(tables, asked, guard)
            except apsw.Error as error:
                why = self._why(error, guard)
                raise QueryRefusedError(f"{why}; {_known(tables)}") from error
            except QueryRefusedError as error:  # one of our own functions says no
                raise QueryRefusedError(f"{error}; {_known(tables)}") from error
            except UnicodeError as error:
                raise QueryRefusedError("the query makes a text that is no Unicode") from error

    def _load(self, tables: Sequence[TableView]) -> None:
        self._db.authorizer = None
        for limit in _LIMITS:
            self._db.limit(limit, 1 << 30)
        wanted = {table.name: table.stamp for table in tables}
        for name in [name for name, stamp in self._stamps.items() if wanted.get(name) != stamp]:
            self._db.execute(f"DROP TABLE {_quoted(name)}")
            del self._stamps[name]
        for table in tables:
            if table.name not in self._stamps:
                self._copy(table)
                self._stamps[table.name] = table.stamp
        for limit, most in _LIMITS.items():
            self._db.limit(limit, most)

    def _copy(self, table: TableView) -> None:
        """Write a table; in a transaction, so that a failure leaves none of it."""
        columns = ", ".join(_defined(column) for column in table.columns)
        places = ",".join("?" * (1 + len(table.columns)))
        names = ", ".join(_quoted(column.name) for column in table.columns)
        name = _quoted(table.name)
        with self._db:
            self._db.execute(f"CREATE TABLE {name}({columns})")
            self._db.executemany(
                f"INSERT INTO {name}(rowid, {names}) VALUES ({places})",
                ((number, *cells) for number, cells in table.load()),
            )

    def _answer(self, tables: Sequence[TableView], asked: Question, guard: _Guard) -> QueryResult:
        cursor = self._db.cursor()
        gate = _Gate(asked.sql)
        cursor.exec_trace = gate.opens
        self._db.authorizer = guard.allows
        try:
            with _Watch(self._db, asked.timeout_s) as watch:
                rows, truncated = _run(cursor, asked, watch)
        finally:
            cursor.close(force=True)
        if gate.columns is None:
            raise QueryRefusedError("the query is empty; it must be a SELECT")
        read = tuple(table.name for table in tables if table.name in guard.read)
        return QueryResult(
            columns=gate.columns,
            rows=tuple(rows),
            truncated=truncated,
            tables=read,
            untrusted=any(table.untrusted for table in tables if table.name in guard.read),
        )

    def _why(self, error: apsw.Error, guard: _Guard) -> str:
        if guard.refused:
            return f"only one SELECT on the tables is allowed; {guard.refused}"
        if isinstance(error, apsw.ExecTraceAbort):
            return "only one statement is allowed, a SELECT without EXPLAIN"
        return f"SQL is refused: {error!s:.300}"


class _Watch:
    """Looks at the clock and at the memory while a query runs, and interrupts it.

    A thread of its own looks, since SQLite's count of steps says little of time: a step on a long
    text takes a thousand times as long as one on a number.
    """

    def __init__(self, db: apsw.Connection, timeout_s: float) -> None:
        self.reason = ""
        self._db, self._timeout_s = db, timeout_s
        reserve_s = max(_RESERVE * timeout_s, min(_LEAST_RESERVE_S, _MOST_RESERVE * timeout_s))
        self._end = time.monotonic() + timeout_s - reserve_s
        self._memory = _memory_used() + _MOST_MEMORY
        self._done = Event()
        self._thread = Thread(target=self._look, name="mneme-query", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._db.set_progress_handler(self.is_over, _STEPS)  # should the thread not get its turn
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()
        self._db.set_progress_handler(None)

    def is_over(self) -> bool:
        """Whether the query must end, and why."""
        if time.monotonic() >= self._end:
            self.reason = f"the query did not end within {self._timeout_s:g} s; ask for less"
        elif _memory_used() >= self._memory:
            self.reason = f"the query takes more than {_MOST_MEMORY >> 20} MiB; ask for less"
        return bool(self.reason)

    def _look(self) -> None:
        while not self._done.wait(max(0.0, min(_LOOK_S, self._end - time.monotonic()))):
            if self.is_over():
                self._db.interrupt()
                self._done.wait(_LOOK_S)


class _Guard:
    """SQLite's authorizer: says no to all that is not reading the tables."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._tables = {name.casefold(): name for name in tables}
        self.read: set[str] = set()
        self.refused = ""

    def allows(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        _trigger: str | None,
    ) -> int:
        """SQLITE_OK or SQLITE_DENY."""
        if action in {apsw.SQLITE_SELECT, apsw.SQLITE_RECURSIVE}:
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_READ and self._may_read(str(first), second, database):
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_FUNCTION:
            if str(second).casefold() in ALLOWED:
                return apsw.SQLITE_OK
            self.refused = f"function {second!s:.40} is not available"
        elif action == apsw.SQLITE_READ:
            self.refused = f"{first!s:.80} is none of them"
        else:
            self.refused = "the statement does something else"
        return apsw.SQLITE_DENY

    def _may_read(self, name: str, column: str | None, database: str | None) -> bool:
        """Whether it is one of the tables, or a name that the query gave to a part of itself."""
        if column:
            known = self._tables.get(name.casefold()) if database == "main" else None
        else:  # nothing but the number of rows is read, and the name is as the query spells it
            known = self._tables.get(name.casefold())
            if known is None and database is None:
                return not name.casefold().startswith(_BUILT_IN)
        if known is not None:
            self.read.add(known)
        return known is not None


class _Gate:
    """Lets one statement begin if it reads only, and keeps the names of its columns."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self.columns: tuple[str, ...] | None = None

    def opens(self, cursor: apsw.Cursor, statement: str, _bindings: object) -> bool:
        """Whether the statement may begin: nothing but blanks and comments comes after it."""
        if not _IDLE.sub("", statement):
            return True
        rest = self._sql.removeprefix(statement)
        if not cursor.is_readonly or cursor.is_explain or _IDLE.sub("", rest):
            return False
        self.columns = tuple(name for name, *_ in cursor.get_description())
        return bool(self.columns)


def _run(
    cursor: apsw.Cursor, asked: Question, watch: _Watch
) -> tuple[list[tuple[Value, ...]], bool]:
    """At most as many rows as are asked for, and whether there are more."""
    rows: list[tuple[Value, ...]] = []
    size = 0
    try:
        for row in cursor.execute(asked.sql, asked.params or (), can_cache=False):
            size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
            if len(rows) == asked.limit or size > _MOST_RESULT_BYTES:
                return rows, True
            rows.append(row)
    except apsw.InterruptError as error:
        raise QueryRefusedError(watch.reason) from error
    return rows, False


def _memory_used() -> int:
    return apsw.status(apsw.SQLITE_STATUS_MEMORY_USED)[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _defined(column: Column) -> str:
    return f"{_quoted(column.name)} {_AFFINITY[column.type]}"


def _known(tables: Sequence[TableView]) -> str:
    """What may be asked."""
    if not tables:
        return "the namespace has no tables yet"
    described = (
        f"{table.name}({', '.join(f'{name} {type_}' for name, type_ in table.columns)})"
        for table in tables
    )
    return f"tables: {'; '.join(described)}"[:2000]
