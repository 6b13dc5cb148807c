"""Cubes, versions, texts and index entries as rows: what is written and how it is read back."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mneme.backends.sqlite.schema import VERSIONS
from mneme.backends.sqlite.selection import where_of
from mneme.core.errors import InvalidInputError
from mneme.core.protocols import IndexRow, PassageRow
from mneme.core.rows import Namespace, TextRow, VersionRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import apsw

    from mneme.core.rows import Selection

_HEADER = (
    "v.text_version, c.id, v.kind, v.type, v.state, v.prior_state, v.session, v.role, v.speaker, "
    "v.metadata, v.labels, v.event_at, v.recorded_at, v.valid_from, v.valid_to, v.expires_at, "
    "v.priority, v.hold, v.origin, v.method, v.actor, v.model, v.trust, v.sources"
)
_VERSION = f"SELECT c.key, v.vid % {VERSIONS}, {_HEADER} FROM cube c JOIN version v ON "
_CURRENT = f"{_VERSION} v.vid = c.key * {VERSIONS} + c.version "
_ALL = f"{_VERSION} v.vid > c.key * {VERSIONS} AND v.vid < (c.key + 1) * {VERSIONS} "
_LATEST_AS_OF = (  # of each cube the newest version that was recorded by then
    f"{_VERSION} v.vid = (SELECT max(o.vid) FROM version o WHERE o.vid > c.key * {VERSIONS} "
    f"AND o.vid < (c.key + 1) * {VERSIONS} AND o.recorded_at <= ?2) "
)
_INDEX = (
    "SELECT c.key, c.state, v.state, v.type, v.session, v.role, v.speaker, v.origin, v.trust, "
    "v.event_at, v.recorded_at, v.valid_from, v.valid_to, v.expires_at, u.utility, e.shape, "
    "e.mentions, e.spans, e.terms, CASE WHEN e.embedder = ?3 THEN e.vectors END "
    "FROM cube c JOIN version v ON v.vid = {version} "
    f"LEFT JOIN entry e ON e.vid = c.key * {VERSIONS} + v.text_version "
    "LEFT JOIN usage u ON u.key = c.key WHERE c.ns = ?1 {since} ORDER BY c.key"
)
_INDEX_CURRENT = _INDEX.format(
    version=f"c.key * {VERSIONS} + c.version", since="AND c.seq > ?2 AND v.kind = 'plaintext'"
)
_INDEX_AS_OF = _INDEX.format(
    version=f"(SELECT max(o.vid) FROM version o WHERE o.vid > c.key * {VERSIONS} AND "
    f"o.vid < (c.key + 1) * {VERSIONS} AND o.recorded_at <= ?2)",
    since="AND v.kind = 'plaintext'",
)
_PLACES = ",".join("?" * 24)
_GONE = ("erased",)


class CubeRows:
    """The rows of cubes, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run = connection.execute
        self._run_many = connection.executemany

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

    def namespaces(self, prefix: str) -> list[str]:
        """Paths that begin with the prefix and hold a cube, in order."""
        rows = self._run(
            "SELECT path FROM namespace n WHERE substr(path, 1, length(?1)) = ?1 AND EXISTS "
            "(SELECT 1 FROM cube c WHERE c.ns = n.ns AND c.state NOT IN ('erased', 'forgotten')) "
            "ORDER BY path",
            (prefix,),
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
        self.set_entries(rows)

    def set_entries(self, texts: Iterable[TextRow]) -> None:
        """Write, or write again, what the index knows of texts."""
        self._run_many(
            "INSERT OR REPLACE INTO entry VALUES (?,?,?,?,?,?,?)",
            [(t[0] * VERSIONS + t[1], *t[4:]) for t in texts],
        )

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

    def versions(self, key: int) -> list[VersionRow]:
        """All versions of a cube, oldest first."""
        return [VersionRow(*r) for r in self._run(_ALL + "WHERE c.key = ? ORDER BY v.vid", (key,))]

    def as_of(self, ns: int, recorded_by: int, key: int) -> VersionRow | None:
        """The version of a cube that was the current one at that time."""
        sql = _LATEST_AS_OF + "WHERE c.ns = ?1 AND c.key = ?3"
        row = self._run(sql, (ns, recorded_by, key)).fetchone()
        return VersionRow(*row) if row else None

    def body(self, key: int, text_version: int) -> tuple[str, bytes]:
        """A text and its salt."""
        row = self._run(
            "SELECT body, salt FROM text WHERE vid = ?", (key * VERSIONS + text_version,)
        ).fetchone()
        return row or ("", b"")

    def select(
        self, ns: int, selection: Selection, *, after_key: int = 0, limit: int = -1
    ) -> list[VersionRow]:
        """Current versions that a selection means, in order of writing."""
        where, values = where_of(selection)
        sql = f"{_CURRENT} WHERE c.ns = :ns AND c.key > :after AND {where} ORDER BY c.key LIMIT :limit"
        values |= {"ns": ns, "after": after_key, "limit": limit}
        return [VersionRow(*row) for row in self._run(sql, values)]

    # -- the index

    def embedder_number(self, embedder_id: str, *, make: bool = False) -> int | None:
        """The store's number of an embedder."""
        if make:
            self._run("INSERT OR IGNORE INTO embedder(id) VALUES (?)", (embedder_id,))
        row = self._run("SELECT number FROM embedder WHERE id = ?", (embedder_id,)).fetchone()
        return row[0] if row else None

    def index_rows(self, ns: int, since_seq: int, embedder: int | None) -> Iterator[IndexRow]:
        """Every cube of a namespace that changed after `since_seq`, in order of writing."""
        if since_seq:  # those that were erased have no version left to join
            gone = "SELECT key FROM cube WHERE ns = ? AND seq > ? AND state = 'erased'"
            for (key,) in self._run(gone, (ns, since_seq)):
                yield _dead(key)
        for row in self._run(_INDEX_CURRENT, (ns, since_seq, embedder)):
            yield _index_row(row, embedder)

    def index_rows_as_of(
        self, ns: int, recorded_by: int, embedder: int | None
    ) -> Iterator[IndexRow]:
        """Every cube of a namespace as it was at a past time; forgotten ones stay hidden."""
        for row in self._run(_INDEX_AS_OF, (ns, recorded_by, embedder)):
            yield _index_row(row, embedder)

    def unembedded(self, embedder: int | None, after: tuple[int, int], limit: int) -> list[TextRow]:
        """Texts, by number, that have no vectors of this embedder."""
        key, version = after
        rows = self._run(
            "SELECT e.vid, t.body, t.salt, e.shape, e.mentions, e.spans, e.terms "
            "FROM entry e JOIN text t ON t.vid = e.vid "
            "WHERE e.vid > ? AND e.embedder IS NOT ? AND length(e.spans) > 0 "
            "ORDER BY e.vid LIMIT ?",
            (key * VERSIONS + version, embedder, limit),
        )
        return [TextRow(*divmod(r[0], VERSIONS), *r[1:], None, None) for r in rows]

    def missing_vectors(self, embedder: int | None) -> int:
        """How many texts have no vectors of this embedder."""
        return int(
            self._run(
                "SELECT count(*) FROM entry WHERE embedder IS NOT ? AND length(spans) > 0",
                (embedder,),
            ).fetchone()[0]
        )

    def texts(self, after: tuple[int, int], limit: int) -> list[TextRow]:
        """Stored texts with their entries, in order of writing, from after a number on."""
        rows = self._run(
            "SELECT t.vid, t.body, t.salt, ifnull(e.shape, 0), ifnull(e.mentions, x''), "
            "ifnull(e.spans, x''), ifnull(e.terms, x''), e.embedder, e.vectors "
            "FROM text t LEFT JOIN entry e ON e.vid = t.vid WHERE t.vid > ? ORDER BY t.vid LIMIT ?",
            (after[0] * VERSIONS + after[1], limit),
        )
        return [TextRow(*divmod(r[0], VERSIONS), *r[1:]) for r in rows]

    def version_at(self, key: int, version: int) -> tuple[str, VersionRow] | None:
        """One version by number, with its namespace's path."""
        row = self._run(
            f"SELECT n.path, c.key, v.vid % {VERSIONS}, {_HEADER} FROM version v "
            f"JOIN cube c ON c.key = v.vid / {VERSIONS} JOIN namespace n ON n.ns = c.ns "
            "WHERE v.vid = ?",
            (key * VERSIONS + version,),
        ).fetchone()
        return (row[0], VersionRow(*row[1:])) if row else None

    def touch_cubes(self, seq_of_ns: dict[int, int], keys: Iterable[int]) -> None:
        """Mark cubes as changed, so that every process reads them again."""
        for key in keys:
            for ns, seq in seq_of_ns.items():
                self._run("UPDATE cube SET seq = ? WHERE key = ? AND ns = ?", (seq, key, ns))


def _index_row(row: tuple, embedder: int | None) -> IndexRow:  # type: ignore[type-arg]
    (key, state_now, state, type_, session, role, speaker, origin, trust, event_at, recorded_at,
     valid_from, valid_to, expires_at, utility, shape, mentions, spans, terms, vectors) = row  # fmt: skip
    live = state_now not in {"forgotten", "erased", "expired"} and bool(spans)
    passages = _passages(spans, terms, vectors) if live else ()
    return IndexRow(
        key, live, state, type_, session, role, speaker, origin, trust, event_at, recorded_at,
        valid_from, valid_to, expires_at, shape or 0, mentions or b"", passages,
        utility or 0.0,
    )  # fmt: skip


def _dead(key: int) -> IndexRow:
    return IndexRow(
        key, False, "erased", "", "", "", None, "", "", None, 0, None, None, None, 0, b"", ()
    )  # fmt: skip


def _passages(spans: bytes, terms: bytes, vectors: bytes | None) -> tuple[PassageRow, ...]:
    count = len(spans) // 12
    if count == 1:
        return (PassageRow(terms, vectors),)
    width = len(vectors) // count if vectors else 0
    passages, at = [], 0
    for number, (_, _, size) in enumerate(struct.iter_unpack("<iii", spans)):
        vector = vectors[number * width : (number + 1) * width] if vectors else None
        passages.append(PassageRow(terms[at : at + 4 * size], vector))
        at += 4 * size
    return tuple(passages)
