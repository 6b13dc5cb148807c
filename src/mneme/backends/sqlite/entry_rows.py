"""Index entries as rows: terms and vectors beside each text, and how searches read them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from mneme.backends.sqlite.cube_rows import NEWEST_BY, SET_ENTRY
from mneme.backends.sqlite.schema import VERSIONS
from mneme.core.errors import StoreCorruptError
from mneme.core.protocols import IndexRow, PassageRow
from mneme.core.rows import TextRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

_INDEX = (
    "SELECT c.key, c.state, v.state, v.type, v.session, v.role, v.speaker, v.origin, v.trust, "
    "v.event_at, v.recorded_at, v.valid_from, v.valid_to, v.expires_at, u.utility, e.shape, "
    "e.mentions, e.spans, e.terms, CASE WHEN e.embedder = :embedder THEN e.vectors END "
    "FROM cube c JOIN version v ON v.vid = {version} "
    f"LEFT JOIN entry e ON e.vid = c.key * {VERSIONS} + v.text_version "
    "LEFT JOIN usage u ON u.key = c.key "
    "WHERE c.ns = :ns AND v.kind = 'plaintext' {since} ORDER BY c.key"
)
_NOW = f"c.key * {VERSIONS} + c.version"
_INDEX_ALL = _INDEX.replace("{version}", _NOW).replace("{since}", "")
_INDEX_SINCE = _INDEX.replace("{version}", _NOW).replace("{since}", "AND c.seq > :seq")
_INDEX_BY = _INDEX.replace("{version}", NEWEST_BY).replace("{since}", "")


class EntryRows:
    """The index entries of texts, within one transaction of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Any = connection.execute
        self._run_many: Any = connection.executemany

    def embedder_number(self, embedder_id: str, *, make: bool = False) -> int | None:
        """The store's number of an embedder."""
        if make:
            self._run("INSERT OR IGNORE INTO embedder(id) VALUES (?)", (embedder_id,))
        row = self._run("SELECT number FROM embedder WHERE id = ?", (embedder_id,)).fetchone()
        return row[0] if row else None

    def rows(self, ns: int, since_seq: int, embedder: int | None) -> Iterator[IndexRow]:
        """Every cube of a namespace that changed after `since_seq`, in order of writing."""
        values = {"ns": ns, "embedder": embedder}
        if not since_seq:
            yield from map(_index_row, self._run(_INDEX_ALL, values))
            return
        gone = "SELECT key FROM cube WHERE ns = ? AND seq > ? AND state = 'erased'"
        for (key,) in self._run(gone, (ns, since_seq)):  # no version is left to join
            yield _dead(key)
        yield from map(_index_row, self._run(_INDEX_SINCE, values | {"seq": since_seq}))

    def rows_as_of(self, ns: int, recorded_by: int, embedder: int | None) -> Iterator[IndexRow]:
        """Every cube of a namespace as it was at a past time; forgotten ones stay hidden."""
        values = {"ns": ns, "embedder": embedder, "by": recorded_by}
        yield from map(_index_row, self._run(_INDEX_BY, values))

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
        return [TextRow._make((*divmod(r[0], VERSIONS), *r[1:], None, None)) for r in rows]

    def missing_vectors(self, embedder: int | None) -> int:
        """How many texts have no vectors of this embedder; all, where it never made any."""
        return int(
            self._run(
                "SELECT count(*) FROM entry WHERE length(spans) > 0 AND (?1 IS NULL OR "
                "embedder IS NOT ?1)",
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
        return [TextRow._make((*divmod(r[0], VERSIONS), *r[1:])) for r in rows]

    def set(self, texts: Iterable[TextRow]) -> None:
        """Write, or write again, what the index knows of texts."""
        self._run_many(
            SET_ENTRY,
            [(t[0] * VERSIONS + t[1], *t[4:]) for t in texts],
        )

    def terms(self, key: int) -> bytes:
        """The hashed terms of a cube's current text; empty if it is gone."""
        row = self._run(
            "SELECT e.terms FROM cube c JOIN entry e ON "
            f"e.vid = c.key * {VERSIONS} + c.text_version WHERE c.key = ?",
            (key,),
        ).fetchone()
        return row[0] if row else b""

    def entry(self, key: int, text_version: int) -> TextRow:
        """A text with its index entry."""
        found = self.texts((key, text_version - 1), 1)
        if not found or found[0][:2] != (key, text_version):
            raise StoreCorruptError(f"the text of cube {key} is missing; run `mneme verify`")
        return found[0]

    def mark_changed(self, keys: Iterable[int]) -> None:
        """Make every process read these cubes again, whose index entry or usage changed."""
        numbers = list(keys)
        sql = "SELECT ns FROM cube WHERE key = ?"
        spaces = {self._run(sql, (key,)).fetchone()[0] for key in numbers}
        for ns in spaces:
            self._run("UPDATE namespace SET seq = seq + 1 WHERE ns = ?", (ns,))
        self._run_many(
            "UPDATE cube SET seq = (SELECT seq FROM namespace n WHERE n.ns = cube.ns) "
            "WHERE key = ?",
            [(key,) for key in numbers],
        )


def _index_row(row: tuple[Any, ...]) -> IndexRow:
    (key, state_now, state, type_, session, role, speaker, origin, trust, event_at, recorded_at,
     valid_from, valid_to, expires_at, utility, shape, mentions, spans, terms,
     vectors) = row  # fmt: skip
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
