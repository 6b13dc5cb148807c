"""What written memory keeps beside cubes: turns to be read, marks, claims and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.schema import VERSIONS
from mneme.core.rows import ClaimRow, DecisionRow, Spent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

_CLAIMS = (
    "SELECT e.parent, c.key, p.id, c.state, v.valid_from, v.valid_to, v.expires_at, v.sources "
    f"FROM cube c JOIN version v ON v.vid = c.key * {VERSIONS} + c.version "
    "JOIN edge e ON e.child = c.key AND e.relation = 'source' JOIN cube p ON p.key = e.parent "
    "WHERE c.ns = ? AND c.seq > ? AND v.method = 'extracted'"
)


_LOOK_BACK = 300


class WrittenRows:
    """The rows of written memory, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    # -- turns that are still to be read

    def hear(self, ns: int, keys: Iterable[int], stage: str, at: int) -> None:
        """Put cubes into the queue of a stage; one that waits in another stage changes over."""
        self._run_many(
            "INSERT INTO heard VALUES (?,?,?,?) ON CONFLICT(key) DO UPDATE SET "
            "stage = excluded.stage, at = excluded.at",
            [(key, ns, stage, at) for key in keys],
        )

    def heard(self, ns: int, stage: str, limit: int) -> list[int]:
        """The cubes that wait in a stage, in order of writing."""
        sql = "SELECT key FROM heard WHERE ns = ? AND stage = ? ORDER BY key LIMIT ?"
        return [key for (key,) in self._run(sql, (ns, stage, limit))]

    def heard_count(self, stage: str | None = None, ns: int | None = None) -> int:
        """How many cubes wait, in a stage or in all, in one namespace or in all."""
        sql = (
            "SELECT count(*) FROM heard "
            "WHERE (?1 IS NULL OR stage = ?1) AND (?2 IS NULL OR ns = ?2)"
        )
        return int(self._run(sql, (stage, ns)).fetchone()[0])

    def heard_since(self, ns: int, stage: str) -> int | None:
        """When the newest of the waiting cubes came; None if none waits."""
        sql = "SELECT max(at) FROM heard WHERE ns = ? AND stage = ?"
        at: int | None = self._run(sql, (ns, stage)).fetchone()[0]
        return at

    def unhear(self, keys: Iterable[int]) -> None:
        """Take cubes out of the queue."""
        self._run_many("DELETE FROM heard WHERE key = ?", [(key,) for key in keys])

    def said_before(self, ns: int, session: str, key: int, limit: int) -> list[int]:
        """The cubes of a session that came just before one, in order of writing.

        Looks back a few hundred cubes at most, so that the length of a session costs nothing.
        """
        sql = (
            f"SELECT c.key FROM cube c JOIN version v ON v.vid = c.key * {VERSIONS} + c.version "
            "WHERE c.ns = ? AND c.key < ? AND c.key >= ? AND v.session = ? "
            "AND v.origin != 'derived' AND c.state NOT IN ('forgotten', 'expired', 'erased') "
            "ORDER BY c.key DESC LIMIT ?"
        )
        found = self._run(sql, (ns, key, key - _LOOK_BACK, session, limit))
        return sorted(key for (key,) in found)

    # -- marks

    def add_marks(self, rows: Iterable[tuple[int, str, int, int]]) -> None:
        """Write (namespace, kind, mark, key)."""
        self._run_many("INSERT OR IGNORE INTO mark VALUES (?,?,?,?)", list(rows))

    def marked(self, ns: int, kind: str, mark: int) -> list[int]:
        """The cubes under a mark, in order of writing."""
        sql = "SELECT key FROM mark WHERE ns = ? AND kind = ? AND mark = ? ORDER BY key"
        return [key for (key,) in self._run(sql, (ns, kind, mark))]

    def marked_open(self, ns: int, kind: str, mark: int) -> list[int]:
        """The readable cubes under a mark whose validity has no end, in order of writing."""
        sql = (
            "SELECT c.key FROM mark m JOIN cube c ON c.key = m.key "
            f"JOIN version v ON v.vid = c.key * {VERSIONS} + c.version "
            "WHERE m.ns = ? AND m.kind = ? AND m.mark = ? AND v.valid_to IS NULL "
            "AND c.state NOT IN ('merged', 'forgotten', 'expired', 'erased') ORDER BY c.key"
        )
        return [key for (key,) in self._run(sql, (ns, kind, mark))]

    def marks(self, ns: int, kind: str) -> set[int]:
        """All marks of a kind that a namespace has."""
        sql = "SELECT DISTINCT mark FROM mark WHERE ns = ? AND kind = ?"
        return {mark for (mark,) in self._run(sql, (ns, kind))}

    def drop_marks(self, key: int) -> None:
        """Forget by what a cube was found, before its text or its header changes."""
        self._run("DELETE FROM mark WHERE key = ?", (key,))

    # -- claims

    def claims(self, ns: int, since_seq: int) -> Iterator[ClaimRow]:
        """What extracted cubes that changed after `since_seq` say of each of their sources."""
        for row in self._run(_CLAIMS, (ns, since_seq)):
            yield ClaimRow(*row)

    # -- decisions

    def add_decisions(self, ns: int, rows: Iterable[DecisionRow]) -> None:
        """Note what was shown, and what came of it."""
        self._run_many(
            "INSERT INTO decision(ns, key, at, query, place, reward, signals) "
            "VALUES (?,?,?,?,?,?,?)",
            [(ns, *row) for row in rows],
        )

    def decisions(self, ns: int) -> Iterator[tuple[str, DecisionRow]]:
        """Ids of readable cubes and what was noted of them, in order of writing."""
        sql = (
            "SELECT c.id, d.key, d.at, d.query, d.place, d.reward, d.signals "
            "FROM decision d JOIN cube c ON c.key = d.key "
            "WHERE d.ns = ? AND c.state NOT IN ('forgotten', 'expired', 'erased') "
            "ORDER BY d.number"
        )
        for cube_id, *row in self._run(sql, (ns,)):
            yield cube_id, DecisionRow(*row)

    def drop_decisions(self, ns: int) -> int:
        """Forget what was noted for a namespace; how many rows went."""
        return len(self._run("DELETE FROM decision WHERE ns = ? RETURNING 1", (ns,)).fetchall())

    # -- costs

    def spend(self, job: str, spent: Spent) -> None:
        """Add to the account of a kind of work."""
        self._run(
            "INSERT INTO spent VALUES (?,?,?,?,?) ON CONFLICT(job) DO UPDATE SET "
            "calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens, "
            "output_tokens = output_tokens + excluded.output_tokens, cost = cost + excluded.cost",
            (job, *spent),
        )

    def spent(self) -> dict[str, Spent]:
        """The account, by kind of work."""
        return {row[0]: Spent(*row[1:]) for row in self._run("SELECT * FROM spent ORDER BY job")}
