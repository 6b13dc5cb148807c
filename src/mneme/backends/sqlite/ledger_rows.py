"""What is written beside cubes: derivation, requests, near-repeats, usage, audit and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.rows import AuditRow, JobRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import apsw

_JOB = "number, kind, unique_key, payload, state, tries, due_at, lease_until, error"
_ERASED_WITH_CUBE = (
    "DELETE FROM sketch WHERE key = ?",
    "DELETE FROM request WHERE key = ?",
    "DELETE FROM usage WHERE key = ?",
    "DELETE FROM decision WHERE key = ?",
    "DELETE FROM heard WHERE key = ?",
    "DELETE FROM mark WHERE key = ?",
    "DELETE FROM table_row WHERE key = ?",
    "DELETE FROM table_row WHERE source = ?",
    "DELETE FROM edge WHERE child = ?",
    "DELETE FROM edge WHERE parent = ?",
)


class LedgerRows:
    """The rows beside cubes, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    # -- derivation and likeness

    def add_edges(self, edges: Iterable[tuple[int, int, str]]) -> None:
        """Write (parent, child, relation); those that exist stay."""
        self._run_many("INSERT OR IGNORE INTO edge VALUES (?,?,?)", list(edges))

    def children(self, key: int, relation: str) -> list[int]:
        """Cubes that name this one as a parent."""
        sql = "SELECT child FROM edge WHERE parent = ? AND relation = ? ORDER BY child"
        return [child for (child,) in self._run(sql, (key, relation))]

    def parents(self, key: int, relation: str) -> list[int]:
        """Cubes that this one names as parents."""
        sql = "SELECT parent FROM edge WHERE child = ? AND relation = ? ORDER BY parent"
        return [parent for (parent,) in self._run(sql, (key, relation))]

    def set_parents(self, key: int, relation: str, parents: Iterable[int]) -> None:
        """Replace what a cube names as its parents."""
        self._run("DELETE FROM edge WHERE child = ? AND relation = ?", (key, relation))
        self.add_edges([(parent, key, relation) for parent in parents])

    def alike(self, ns: int, bands: Sequence[int]) -> list[int]:
        """The newest cube that shares each band of a sketch."""
        sql = "SELECT key FROM sketch WHERE ns = ? AND band = ? ORDER BY key DESC LIMIT 1"
        found = (self._run(sql, (ns, band)).fetchone() for band in bands)
        return sorted({row[0] for row in found if row}, reverse=True)

    def add_sketches(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Write (namespace, band, key)."""
        self._run_many("INSERT OR IGNORE INTO sketch VALUES (?,?,?)", list(rows))

    def drop_sketch(self, key: int) -> None:
        """Forget what a cube looked like, before its text changes."""
        self._run("DELETE FROM sketch WHERE key = ?", (key,))

    # -- requests

    def request(self, ns: int, name: bytes) -> tuple[int, bytes] | None:
        """The cube that a request made, with the keyed hash of its content."""
        sql = "SELECT key, content FROM request WHERE ns = ? AND name = ?"
        found: tuple[int, bytes] | None = self._run(sql, (ns, name)).fetchone()
        return found

    def add_requests(self, rows: Iterable[tuple[int, bytes, int, bytes]]) -> None:
        """Write (namespace, keyed hash of the name, key, keyed hash of the content)."""
        self._run_many("INSERT OR IGNORE INTO request VALUES (?,?,?,?)", list(rows))

    # -- usage

    def add_usage(self, rows: Iterable[tuple[int, int, int, float]]) -> None:
        """Add (key, uses, last used at, change of utility); utility stays within -1 and 1."""
        self._run_many(
            "INSERT INTO usage SELECT ?1, ?2, ?3, max(-1.0, min(1.0, ?4)) "
            "WHERE EXISTS (SELECT 1 FROM cube WHERE key = ?1 AND state != 'erased') "
            "ON CONFLICT(key) DO UPDATE SET uses = uses + excluded.uses, "
            "last_used_at = max(ifnull(last_used_at, 0), excluded.last_used_at), "
            "utility = max(-1.0, min(1.0, utility + ?4))",
            list(rows),
        )

    def uses(self, key: int) -> int:
        """How often a cube was used."""
        row = self._run("SELECT uses FROM usage WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    def usage(self, key: int) -> tuple[int, int | None, float]:
        """Uses of a cube, when it was last used, and its utility (-1 to 1)."""
        sql = "SELECT uses, last_used_at, utility FROM usage WHERE key = ?"
        found: tuple[int, int | None, float] | None = self._run(sql, (key,)).fetchone()
        return found or (0, None, 0.0)

    # -- audit

    def last_audit(self) -> tuple[int, str]:
        """Number and hash of the newest entry; (0, "") of an empty chain."""
        row = self._run("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        return row or (0, "")

    def append_audit(self, rows: Iterable[AuditRow]) -> None:
        """Write further entries."""
        self._run_many("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?)", list(rows))

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Entries after a number, oldest first."""
        for row in self._run("SELECT * FROM audit WHERE number > ? ORDER BY number", (after,)):
            yield AuditRow(*row)

    # -- jobs

    def enqueue(self, kind: str, unique_key: str, payload: str, due_at: int) -> None:
        """Write a job, unless one with the same unique key waits already; the sooner time wins."""
        self._run(
            "INSERT INTO job(kind, unique_key, payload, state, tries, due_at) "
            "VALUES (?, ?, ?, 'waiting', 0, ?) ON CONFLICT(unique_key) WHERE state = 'waiting' "
            "DO UPDATE SET due_at = min(due_at, excluded.due_at)",
            (kind, unique_key, payload, due_at),
        )

    def lease_job(self, now: int, until: int) -> JobRow | None:
        """Take the job that has been due longest, also one whose holder let its lease run out."""
        row = self._run(
            "SELECT number, unique_key FROM job WHERE (state = 'waiting' AND due_at <= ?1) "
            "OR (state = 'running' AND lease_until <= ?1) ORDER BY due_at, number LIMIT 1",
            (now,),
        ).fetchone()
        if row is None:
            return None
        return JobRow(
            *self._run(
                "UPDATE job SET state = 'running', tries = tries + 1, lease_until = ? "
                f"WHERE number = ? RETURNING {_JOB}",
                (until, row[0]),
            ).fetchone()
        )

    def holds_lease(self, job: JobRow) -> bool:
        """Whether the job is still ours: nobody took it after its lease ran out."""
        sql = "SELECT 1 FROM job WHERE number = ? AND state = 'running' AND tries = ?"
        return self._run(sql, (job.number, job.tries)).fetchone() is not None

    def finish_job(self, job: JobRow) -> None:
        """Remove a job that is done."""
        self._run("DELETE FROM job WHERE number = ? AND tries = ?", (job.number, job.tries))

    def fail_job(self, job: JobRow, *, state: str, due_at: int, error: str) -> None:
        """Put a job back, or aside, after a failure; one that waits again meanwhile replaces it."""
        waits = "SELECT 1 FROM job WHERE unique_key = ? AND state = 'waiting'"
        if state == "waiting" and self._run(waits, (job.unique_key,)).fetchone():
            self.finish_job(job)
            return
        self._run(
            "UPDATE job SET state = ?, due_at = ?, lease_until = NULL, error = ? "
            "WHERE number = ? AND tries = ?",
            (state, due_at, error, job.number, job.tries),
        )

    def extend_lease(self, job: JobRow, until: int) -> None:
        """Keep a long job ours."""
        sql = "UPDATE job SET lease_until = ? WHERE number = ? AND tries = ?"
        self._run(sql, (until, job.number, job.tries))

    def drop_waiting(self, unique_key: str) -> None:
        """Remove a waiting job that is no longer needed."""
        self._run("DELETE FROM job WHERE unique_key = ? AND state = 'waiting'", (unique_key,))

    def next_due(self) -> int | None:
        """When the next job is due; None if none waits."""
        sql = "SELECT min(ifnull(lease_until, due_at)) FROM job WHERE state != 'dead'"
        due: int | None = self._run(sql).fetchone()[0]
        return due

    def jobs(self) -> list[JobRow]:
        """All jobs, oldest first."""
        return [JobRow(*row) for row in self._run(f"SELECT {_JOB} FROM job ORDER BY number")]

    def job(self, number: int) -> JobRow | None:
        """One job."""
        row = self._run(f"SELECT {_JOB} FROM job WHERE number = ?", (number,)).fetchone()
        return None if row is None else JobRow(*row)

    def jobs_named(self, unique_key: str) -> list[JobRow]:
        """Those of a name that wait or run, oldest first."""
        waits = f"SELECT {_JOB} FROM job WHERE state = 'waiting' AND unique_key = ?1"
        runs = f"SELECT {_JOB} FROM job WHERE state = 'running' AND unique_key = ?1"
        found = self._run(f"{waits} UNION ALL {runs}", (unique_key,))
        return sorted(JobRow(*row) for row in found)

    # -- meta, copies, erasure

    def meta(self, name: str) -> str | None:
        """A named value of the store."""
        row = self._run("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: str) -> None:
        """Name a value of the store."""
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def add_copy(self, at: int, ns: int | None, kind: str, path: str) -> None:
        """Note that a copy of a namespace, or of all, was written to a path."""
        self._run("INSERT INTO copy(at, ns, kind, path) VALUES (?,?,?,?)", (at, ns, kind, path))

    def copies(self, ns: int, since: int) -> list[tuple[str, str]]:
        """(kind, path) of the copies that may hold what a namespace held after `since`."""
        sql = "SELECT DISTINCT kind, path FROM copy WHERE (ns = ? OR ns IS NULL) AND at >= ?"
        found: list[tuple[str, str]] = self._run(sql, (ns, since)).fetchall()
        return found

    def erase(self, ns_seq: int, key: int, versions: int) -> dict[str, int]:
        """Delete every row of a cube but its bare id; the number of rows by table."""
        first, last = key * versions, (key + 1) * versions
        gone: dict[str, int] = {}
        for table in ("text", "entry", "version"):
            sql = f"DELETE FROM {table} WHERE vid > ? AND vid < ? RETURNING 1"
            gone[table] = len(self._run(sql, (first, last)).fetchall())
        for sql in _ERASED_WITH_CUBE:
            table = sql.split()[2]
            count = len(self._run(f"{sql} RETURNING 1", (key,)).fetchall())
            gone[table] = gone.get(table, 0) + count
        self._run("UPDATE cube SET state = 'erased', seq = ? WHERE key = ?", (ns_seq, key))
        return gone
