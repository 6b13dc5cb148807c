"""Cubes, versions, texts and index entries as rows: what is written and how it is read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.schema import VERSIONS
from mneme.backends.sqlite.selection import where_of
from mneme.core.errors import InvalidInputError, StoreCorruptError
from mneme.core.rows import Namespace, Shown, TextRow, VersionRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from mneme.core.rows import Selection

_HEADER = (
    "v.text_version, c.id, v.kind, v.type, v.state, v.prior_state, v.session, v.role, v.speaker, "
    "v.metadata, v.labels, v.event_at, v.recorded_at, v.valid_from, v.valid_to, v.expires_at, "
    "v.priority, v.hold, v.origin, v.method, v.actor, v.model, v.trust, v.sources"
)
NEWEST_BY = (  # of cube c the newest version that was recorded by then
    f"(SELECT max(o.vid) FROM version o WHERE o.vid > c.key * {VERSIONS} "
    f"AND o.vid < (c.key + 1) * {VERSIONS} AND o.recorded_at <= :by)"
)
_VERSION = f"SELECT c.key, v.vid % {VERSIONS}, {_HEADER} FROM cube c JOIN version v ON "
_CURRENT = f"{_VERSION} v.vid = c.key * {VERSIONS} + c.version "
_SHOWN = (
    f"SELECT c.key, v.vid % {VERSIONS}, {_HEADER}, t.body, ifnull(e.spans, x''), ifnull(u.uses, 0) "
    f"FROM cube c JOIN version v ON v.vid = c.key * {VERSIONS} + c.version "
    f"JOIN text t ON t.vid = c.key * {VERSIONS} + c.text_version "
    "LEFT JOIN entry e ON e.vid = t.vid LEFT JOIN usage u ON u.key = c.key "
    "WHERE c.key = ? AND c.ns = ?"
)
_ALL = f"{_VERSION} v.vid > c.key * {VERSIONS} AND v.vid < (c.key + 1) * {VERSIONS} "
_LATEST_BY = f"{_VERSION} v.vid = {NEWEST_BY} "
SET_ENTRY = "INSERT OR REPLACE INTO entry VALUES (?,?,?,?,?,?,?)"
_PLACES = ",".join("?" * 24)


class CubeRows:
    """The rows of cubes, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    # -- namespaces

    def namespace(self, path: str) -> Namespace | None:
        """The number of a namespace and its change counter; None if nothing was ever written."""
        row = self._run("SELECT ns, seq FROM namespace WHERE path = ?", (path,)).fetchone()
        return Namespace(*row) if row else None

    def touch_namespace(self, path: str) -> Namespace:
        """Raise the change counter of a namespace, which is made if it is new."""
        row = self._run(
            "INSERT INTO namespace(path, seq) VALUES (?, 1) "
            "ON CONFLICT(path) DO UPDATE SET seq = seq + 1 RETURNING ns, seq",
            (path,),
        ).fetchone()
        return Namespace(*row)

    def namespaces(self, prefix: str, now: int) -> list[str]:
        """Paths that begin with the prefix and hold a readable cube, in order."""
        rows = self._run(
            "SELECT path FROM namespace n WHERE substr(path, 1, length(?1)) = ?1 AND EXISTS "
            "(SELECT 1 FROM cube c JOIN version v ON v.vid = c.key * "
            f"{VERSIONS} + c.version WHERE c.ns = n.ns AND c.state NOT IN ('erased', 'forgotten', "
            "'expired') AND (v.expires_at IS NULL OR v.expires_at > ?2)) ORDER BY path",
            (prefix, now),
        )
        return [path for (path,) in rows]

    # -- writing

    def next_key(self) -> int:
        """The number of the next cube; only a writer may ask."""
        return int(self._run("SELECT ifnull(max(key), 0) + 1 FROM cube").fetchone()[0])

    def add(
        self, namespace: Namespace, rows: Sequence[VersionRow], texts: Iterable[TextRow]
    ) -> None:
        """Write the first versions of new cubes."""
        ns, seq = namespace
        self._run_many(
            "INSERT INTO cube VALUES (?,?,?,?,?,?,?)",
            [(r.key, r.id, ns, seq, r.version, r.text_version, r.state) for r in rows],
        )
        self._write_versions(rows)
        self.add_texts(texts)

    def add_version(self, namespace: Namespace, row: VersionRow) -> None:
        """Write a further version of a cube and make it the current one."""
        if row.version >= VERSIONS:
            raise InvalidInputError(f"cube {row.id!r} has reached the limit of {VERSIONS} versions")
        self._write_versions((row,))
        self._run(
            "UPDATE cube SET seq = ?, version = ?, text_version = ?, state = ? WHERE key = ?",
            (namespace.seq, row.version, row.text_version, row.state, row.key),
        )

    def _write_versions(self, rows: Sequence[VersionRow]) -> None:
        self._run_many(
            f"INSERT INTO version VALUES ({_PLACES})",
            [(r[0] * VERSIONS + r[1], r[2], *r[4:]) for r in rows],
        )

    def add_texts(self, texts: Iterable[TextRow]) -> None:
        """Write texts and their index entries."""
        rows = list(texts)
        self._run_many(
            "INSERT INTO text VALUES (?,?,?)",
            [(t.key * VERSIONS + t.version, t.body, t.salt) for t in rows],
        )
        self._run_many(SET_ENTRY, [(t[0] * VERSIONS + t[1], *t[4:]) for t in rows])

    # -- reading

    def current(self, ns: int, cube_id: str) -> VersionRow | None:
        """The current version of a cube of that namespace, erased ones not."""
        row = self._run(_CURRENT + "WHERE c.id = ? AND c.ns = ?", (cube_id, ns)).fetchone()
        return VersionRow(*row) if row else None

    def current_of_keys(self, ns: int, keys: Iterable[int]) -> list[VersionRow]:
        """The current versions of cubes by number, in the order asked; those gone are left out."""
        sql = _CURRENT + "WHERE c.key = ? AND c.ns = ?"
        found = (self._run(sql, (key, ns)).fetchone() for key in keys)
        return [VersionRow(*row) for row in found if row]

    def shown(self, ns: int, keys: Iterable[int]) -> list[Shown]:
        """Current versions by number with all that a hit shows; those gone are left out."""
        found = (self._run(_SHOWN, (key, ns)).fetchone() for key in keys)
        return [Shown(VersionRow(*row[:-3]), *row[-3:]) for row in found if row]

    def versions(self, key: int) -> list[VersionRow]:
        """All versions of a cube, oldest first."""
        return [VersionRow(*r) for r in self._run(_ALL + "WHERE c.key = ? ORDER BY v.vid", (key,))]

    def as_of(self, ns: int, recorded_by: int, key: int) -> VersionRow | None:
        """The version of a cube that was the current one at that time."""
        sql = _LATEST_BY + "WHERE c.ns = :ns AND c.key = :key"
        row = self._run(sql, {"ns": ns, "by": recorded_by, "key": key}).fetchone()
        return VersionRow(*row) if row else None

    def body(self, key: int, text_version: int) -> tuple[str, bytes]:
        """A text and its salt."""
        sql = "SELECT body, salt FROM text WHERE vid = ?"
        row: tuple[str, bytes] | None = self._run(sql, (key * VERSIONS + text_version,)).fetchone()
        if row is None:
            raise StoreCorruptError(f"the text of cube {key} is missing; run `mneme verify`")
        return row

    def select(
        self, ns: int, selection: Selection, *, after_key: int = 0, limit: int = -1
    ) -> list[VersionRow]:
        """Current versions that a selection means, in order of writing."""
        where, values = where_of(selection)
        where = f"c.ns = :ns AND c.key > :after AND {where}"
        sql = f"{_CURRENT} WHERE {where} ORDER BY c.key LIMIT :limit"
        values |= {"ns": ns, "after": after_key, "limit": limit}
        return [VersionRow(*row) for row in self._run(sql, values)]

    def select_as_of(self, ns: int, selection: Selection, recorded_by: int) -> set[int]:
        """The numbers of cubes that met a selection at a past time."""
        where, values = where_of(selection)
        values |= {"ns": ns, "by": recorded_by}
        sql = (
            f"SELECT c.key FROM cube c JOIN version v ON v.vid = {NEWEST_BY} "
            f"WHERE c.ns = :ns AND {where}"
        )
        return {key for (key,) in self._run(sql, values)}

    def version_at(self, key: int, version: int) -> tuple[str, VersionRow] | None:
        """One version by number, with its namespace's path."""
        row = self._run(
            f"SELECT n.path, c.key, v.vid % {VERSIONS}, {_HEADER} FROM version v "
            f"JOIN cube c ON c.key = v.vid / {VERSIONS} JOIN namespace n ON n.ns = c.ns "
            "WHERE v.vid = ?",
            (key * VERSIONS + version,),
        ).fetchone()
        return (row[0], VersionRow(*row[1:])) if row else None

    def taken(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are in use, in any namespace, erased cubes included."""
        sql = "SELECT id FROM cube WHERE id = ?"
        return {i for i in ids if self._run(sql, (i,)).fetchone() is not None}

    def overdue(self, now: int, states: tuple[str, ...]) -> list[tuple[str, VersionRow]]:
        """Cubes of all namespaces whose time is over, but whose state does not say so yet."""
        rows = self._run(
            f"SELECT n.path, c.key, v.vid % {VERSIONS}, {_HEADER} FROM cube c "
            f"JOIN version v ON v.vid = c.key * {VERSIONS} + c.version "
            "JOIN namespace n ON n.ns = c.ns WHERE v.expires_at <= ? "
            "AND c.state IN (SELECT value FROM json_each(?))",
            (now, json.dumps(states)),
        )
        return [(row[0], VersionRow(*row[1:])) for row in rows]

    def next_expiry(self, now: int) -> int | None:
        """When the next cube's time is over."""
        sql = (
            "SELECT min(v.expires_at) FROM cube c JOIN version v ON "
            f"v.vid = c.key * {VERSIONS} + c.version WHERE v.expires_at > ?"
        )
        due: int | None = self._run(sql, (now,)).fetchone()[0]
        return due
