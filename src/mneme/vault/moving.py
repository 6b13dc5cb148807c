"""Whole cubes, with all their versions, out of a store and into one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.lifecycle import State
from mneme.core.rows import Selection
from mneme.memories.plaintext.merge import sketches
from mneme.vault import audit
from mneme.vault.bonds import SUPERSEDES
from mneme.vault.codec import sources_of
from mneme.vault.entries import Said, make_entries
from mneme.vault.marks import DERIVED, marks_of, superseded_by
from mneme.vault.write import SOURCE, embedder_number, enqueue_followers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.entries import Entry
    from mneme.vault.parts import Parts

_READABLE = tuple(s.value for s in State if s not in {State.FORGOTTEN, State.EXPIRED})
_BATCH = 256
_SALT_BYTES = 16


class Moved(NamedTuple):
    """A cube on its way: its versions, oldest first, and its texts by version."""

    versions: tuple[VersionRow, ...]
    texts: dict[int, str]
    indexed: bool


class Mover:
    """Reads and writes cubes with their whole past."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def cubes(self, path: str) -> Iterator[Moved]:
        """Every readable cube of a namespace, in order of writing."""
        now, after = self._parts.clock.now_us(), 0
        selection = Selection(states=_READABLE, now=now)  # others are made again from plaintext
        while True:
            with self._parts.store.read() as tx:
                known = tx.cubes.namespace(path)
                rows = (
                    []
                    if known is None
                    else tx.cubes.select(known.number, selection, after_key=after, limit=_BATCH)
                )
                batch = [self._moved(tx, row) for row in rows]
            if not batch:
                return
            yield from batch
            after = rows[-1].key

    def note_copy(self, path: str, kind: str, target: str) -> None:
        """Remember that a copy was written, for later erasures."""
        with self._parts.store.write() as tx:
            known = tx.cubes.namespace(path)
            now = self._parts.clock.now_us()
            tx.ledger.add_copy(now, known.number if known else None, kind, target)

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that this store uses already, in any namespace."""
        with self._parts.store.read() as tx:
            return tx.cubes.taken(ids)

    def insert(self, path: str, cubes: Sequence[Moved]) -> tuple[int, int]:
        """Write cubes with all versions, all or none; how many are new and were there already.

        A cube whose id this namespace holds is left as it is. Where another namespace of the
        store holds the id, the copy gets a new one, and what derives from it follows.
        """
        entries = [self._entries(cube) for cube in cubes]
        with self._parts.store.write() as tx:
            namespace = tx.cubes.touch_namespace(path)
            known = {
                cube.versions[0].id
                for cube in cubes
                for cube_id in (cube.versions[0].id, id_within(path, cube.versions[0].id))
                if tx.cubes.current(namespace.number, cube_id) is not None
            }
            taken = tx.cubes.taken([cube.versions[0].id for cube in cubes]) - known
            taken |= self._moved_before(tx, path, namespace, cubes)
            renamed = {cube_id: id_within(path, cube_id) for cube_id in sorted(taken)}
            new = [
                (cube, each)
                for cube, each in zip(cubes, entries, strict=True)
                if cube.versions[0].id not in known
            ]
            first = tx.cubes.next_key()
            for number, (cube, each) in enumerate(new):
                self._insert(tx, path, namespace, _renamed(cube, renamed), (first + number, each))
        return len(new), len(cubes) - len(new)

    def _moved_before(
        self, tx: Transaction, path: str, namespace: Namespace, cubes: Sequence[Moved]
    ) -> set[str]:
        """The sources of cubes whose copies got other ids in an earlier call."""
        spans = {
            span.cube_id for cube in cubes for row in cube.versions for span in sources_of(row)
        }
        return {
            cube_id
            for cube_id in spans
            if tx.cubes.current(namespace.number, cube_id) is None
            and tx.cubes.current(namespace.number, id_within(path, cube_id)) is not None
        }

    def _moved(self, tx: Transaction, row: VersionRow) -> Moved:
        versions = tx.cubes.versions(row.key)
        numbers = {version.text_version for version in versions}
        texts = {number: tx.cubes.body(row.key, number)[0] for number in numbers}
        indexed = bool(tx.entries.entry(row.key, row.text_version).spans)
        return Moved(tuple(versions), texts, indexed)

    def _entries(self, cube: Moved) -> dict[int, Entry]:
        row = cube.versions[-1]
        numbers = sorted(cube.texts)
        inline = self._parts.embedding if self._parts.embedding.inline else None
        said = [
            Said(cube.texts[n], row.role, row.speaker, row.event_at, cube.indexed) for n in numbers
        ]
        return dict(zip(numbers, make_entries(said, inline), strict=True))

    def _insert(
        self,
        tx: Transaction,
        path: str,
        namespace: Namespace,
        cube: Moved,
        place: tuple[int, dict[int, Entry]],
    ) -> None:
        key, entries = place
        embedded = any(entry.vectors is not None for entry in entries.values())
        number = embedder_number(tx, self._parts) if embedded else None
        salts = {version: self._parts.random_bytes(_SALT_BYTES) for version in entries}
        rows = [row._replace(key=key) for row in cube.versions]
        texts = [
            entry.row(key, version, (cube.texts[version], salts[version]), number)
            for version, entry in entries.items()
        ]
        tx.cubes.add(namespace, rows[:1], texts)
        for row in rows[1:]:
            tx.cubes.add_version(namespace, row)
        self._link(tx, namespace, rows[-1], entries[rows[-1].text_version].terms)
        enqueue_followers(tx, self._parts, rows[-1:], entries.values())
        row = rows[-1]
        digest = audit.digest_of(cube.texts[row.text_version], salts[row.text_version])
        change = audit.Change("import", path, row.id, row.version, digest)
        now = self._parts.clock.now_us()
        audit.append(tx.ledger, [change], at=now, actor=self._parts.actor)

    def _link(self, tx: Transaction, namespace: Namespace, row: VersionRow, terms: bytes) -> None:
        parents = [tx.cubes.current(namespace.number, s.cube_id) for s in sources_of(row)]
        tx.ledger.add_edges((p.key, row.key, SOURCE) for p in parents if p is not None)
        if row.origin == DERIVED:
            self._mark(tx, namespace, row)
            return
        bands = sketches([terms])[0]
        tx.ledger.add_sketches((namespace.number, band, row.key) for band in bands)

    def _mark(self, tx: Transaction, namespace: Namespace, row: VersionRow) -> None:
        """Write by what a derived cube is found, and what it superseded."""
        text = tx.cubes.body(row.key, row.text_version)[0]
        marks = marks_of(row, text, self._parts.secret)
        tx.written.add_marks((namespace.number, kind, mark, row.key) for kind, mark in marks)
        ended = [tx.cubes.current(namespace.number, cube_id) for cube_id in superseded_by(row)]
        tx.ledger.add_edges((row.key, old.key, SUPERSEDES) for old in ended if old is not None)


def id_within(path: str, cube_id: str) -> str:
    """The id of a copy, always the same one: its time is that of the original (UUIDv7)."""
    digest = hashlib.sha256(f"{path}\n{cube_id}".encode()).hexdigest()
    return f"{cube_id[:15]}{digest[:3]}{cube_id[18:20]}{digest[3:6]}-{digest[6:18]}"


def _renamed(cube: Moved, names: dict[str, str]) -> Moved:
    if not names:
        return cube
    versions = []
    for row in cube.versions:
        sources, session = row.sources, names.get(row.session, row.session)
        metadata = row.metadata if row.origin == DERIVED else None
        for old, new in names.items():
            sources = None if sources is None else sources.replace(old, new)
            metadata = None if metadata is None else metadata.replace(old, new)
        cube_id = names.get(row.id, row.id)
        renamed = row._replace(id=cube_id, session=session, sources=sources)
        versions.append(renamed if metadata is None else renamed._replace(metadata=metadata))
    return cube._replace(versions=tuple(versions))
