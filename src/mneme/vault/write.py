"""New cubes: version, text, index entry, edges, audit and jobs in one transaction."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import CubeNotFoundError, IdempotencyConflictError
from mneme.core.provenance import SourceSpan
from mneme.core.rows import VersionRow
from mneme.memories.plaintext.merge import is_like, sketches
from mneme.vault import audit
from mneme.vault.codec import canonical_json, sources_json, sources_of
from mneme.vault.draft import Kept
from mneme.vault.entries import Said, make_entries
from mneme.vault.marks import DERIVED, MUTE, marks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mneme.core.rows import Namespace
    from mneme.core.store import Transaction
    from mneme.vault.draft import Draft
    from mneme.vault.entries import Entry
    from mneme.vault.parts import Parts

SOURCE = "source"  # edge: the child derives from the parent
REPEATS = "repeats"  # edge: the child says nearly what the parent said before
READ = "read"  # the job that reads what was heard
RULES = "rules"  # the stage at which turns wait to be read by rules
RULES_LLM = "rules_llm"  # the same, and a language model shall read them right afterwards

_SALT_BYTES = 16


class _New(NamedTuple):
    draft: Draft
    entry: Entry
    bands: tuple[int, ...]
    row: VersionRow
    salt: bytes


class Writer:
    """Writes new cubes into a namespace."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add(self, path: str, drafts: Sequence[Draft]) -> list[Kept]:
        """Keep drafts, all or none; durable when it returns.

        Raises:
            IdempotencyConflictError: A request came again with other content.
        """
        entries = self.entries_of(drafts)
        with self._parts.store.write() as tx:
            namespace = tx.cubes.touch_namespace(path)
            known = self._known(tx, namespace, drafts)
            fresh = [i for i, kept in enumerate(known) if kept is None]
            new = self._number(tx, drafts, entries, fresh)
            self._write(tx, path, namespace, list(new.values()))
        return [_kept(i, drafts, known, new) for i in range(len(drafts))]

    def insert(
        self, tx: Transaction, path: str, namespace: Namespace, drafts: Sequence[Draft]
    ) -> list[VersionRow]:
        """Keep drafts within a transaction that goes on."""
        new = self._number(tx, drafts, self.entries_of(drafts), range(len(drafts)))
        self._write(tx, path, namespace, list(new.values()))
        return [each.row for each in new.values()]

    def entries_of(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Index entries of drafts, with vectors where the embedder is in this process."""
        embedding = self._parts.embedding if self._parts.embedding.inline else None
        said = [Said(d.text, d.role, d.speaker, d.event_at, d.indexed) for d in drafts]
        return make_entries(said, embedding)

    def _known(
        self, tx: Transaction, namespace: Namespace, drafts: Sequence[Draft]
    ) -> list[Kept | int | None]:
        """For each draft the cube that was there, the draft that it repeats, or None."""
        known: list[Kept | int | None] = []
        asked: dict[str, int] = {}
        for i, draft in enumerate(drafts):
            whole = None if draft.part_of is None else known[draft.part_of]
            if isinstance(whole, Kept):
                known.append(self._known_part(tx, namespace, whole, draft))
            elif whole is not None or draft.request is None:  # a part goes where its whole goes
                known.append(whole)
            elif draft.request in asked:
                first = asked[draft.request]
                if drafts[first].request_content != draft.request_content:
                    raise IdempotencyConflictError(_key_in(draft.request))
                known.append(known[first] or first)
            else:
                asked[draft.request] = i
                known.append(self._known_request(tx, namespace, draft))
        return known

    def _known_request(self, tx: Transaction, namespace: Namespace, draft: Draft) -> Kept | None:
        found = tx.ledger.request(namespace.number, self.hashed(draft.request or ""))
        if found is None:
            return None
        key, content = found
        if content != self.hashed(draft.request_content):
            raise IdempotencyConflictError(_key_in(draft.request or ""))
        row = tx.cubes.current_of_keys(namespace.number, [key])[0]
        return Kept(row, tx.cubes.body(key, row.text_version)[0], repeated=True)

    def _known_part(self, tx: Transaction, namespace: Namespace, whole: Kept, draft: Draft) -> Kept:
        """The part of a document that was there; the document where that part is gone."""
        parts = tx.ledger.children(whole.row.key, SOURCE)
        for row in tx.cubes.current_of_keys(namespace.number, parts):
            if [(s.start, s.end) for s in sources_of(row)] == [draft.span]:
                return Kept(row, tx.cubes.body(row.key, row.text_version)[0], repeated=True)
        return whole

    def hashed(self, text: str) -> bytes:
        """A hash that only this store can make."""
        return hashlib.blake2b(text.encode(), key=self._parts.secret, digest_size=16).digest()

    def _number(
        self,
        tx: Transaction,
        drafts: Sequence[Draft],
        entries: Sequence[Entry],
        fresh: Sequence[int],
    ) -> dict[int, _New]:
        """Give each new cube its key, id and header."""
        key, now = tx.cubes.next_key(), self._parts.clock.now_us()
        ids = {i: self._parts.ids.make() for i in fresh}
        salts = self._parts.random_bytes(_SALT_BYTES * len(fresh))
        # what is derived repeats its source by nature
        bands = sketches([b"" if drafts[i].origin == DERIVED else entries[i].terms for i in fresh])
        new = {}
        for number, i in enumerate(fresh):
            draft = drafts[i]
            row = self._row(draft, key + number, ids[i], now)
            spans = draft.sources
            if draft.part_of in ids:
                start, end = draft.span
                spans += (SourceSpan(cube_id=ids[draft.part_of], version=1, start=start, end=end),)
            row = row._replace(sources=sources_json(spans))
            if draft.session is None and draft.session_of in ids:
                row = row._replace(session=ids[draft.session_of])
            salt = salts[_SALT_BYTES * number : _SALT_BYTES * (number + 1)]
            new[i] = _New(draft, entries[i], bands[number], row, salt)
        return new

    def _row(self, draft: Draft, key: int, cube_id: str, now: int) -> VersionRow:
        return VersionRow(
            key, 1, 1, cube_id, "plaintext", draft.type, "activated", None,
            draft.session if draft.session is not None else cube_id, draft.role, draft.speaker,
            draft.metadata, draft.labels, draft.event_at, now, draft.valid_from, draft.valid_to,
            draft.expires_at, draft.priority, int(draft.hold), draft.origin, draft.method,
            self._parts.actor, draft.model, draft.trust, None,
        )  # fmt: skip

    def _write(self, tx: Transaction, path: str, namespace: Namespace, new: Sequence[_New]) -> None:
        if not new:
            return
        embedded = any(n.entry.vectors is not None for n in new)
        number = embedder_number(tx, self._parts) if embedded else None
        tx.cubes.add(
            namespace,
            [n.row for n in new],
            [n.entry.row(n.row.key, 1, (n.draft.text, n.salt), number) for n in new],
        )
        self._link(tx, path, namespace, new)
        self._mark(tx, namespace, new)
        self._hear(tx, path, namespace, new)
        tx.ledger.add_requests(
            (
                namespace.number,
                self.hashed(n.draft.request),
                n.row.key,
                self.hashed(n.draft.request_content),
            )
            for n in new
            if n.draft.request is not None
        )
        enqueue_followers(tx, self._parts, [n.row for n in new], [n.entry for n in new])
        audit.append(
            tx.ledger,
            (
                audit.Change("add", path, n.row.id, 1, audit.digest_of(n.draft.text, n.salt))
                for n in new
            ),
            at=new[0].row.recorded_at,
            actor=self._parts.actor,
        )

    def _mark(self, tx: Transaction, namespace: Namespace, new: Sequence[_New]) -> None:
        """Write by what derived cubes are found again."""
        secret = self._parts.secret
        tx.written.add_marks(
            (namespace.number, kind, mark, n.row.key)
            for n in new
            if n.row.origin == DERIVED
            for kind, mark in marks_of(n.row, n.draft.text, secret)
        )
        tx.written.add_marks((namespace.number, MUTE, 0, n.row.key) for n in new if n.draft.mute)

    def _hear(self, tx: Transaction, path: str, namespace: Namespace, new: Sequence[_New]) -> None:
        """Put turns into the queue of written memory, with the job that reads it."""
        now = self._parts.clock.now_us()
        for stage in sorted({n.draft.heard for n in new if n.draft.heard is not None}):
            keys = [n.row.key for n in new if n.draft.heard == stage]
            tx.written.hear(namespace.number, keys, stage, now)
            enqueue_reading(tx, path, now)

    def _link(self, tx: Transaction, path: str, namespace: Namespace, new: Sequence[_New]) -> None:
        """Write the edges of derivation and of likeness."""
        fresh = {n.row.id: n.row.key for n in new}
        edges = []
        recent: dict[int, _New] = {}
        for each in new:
            for span in sources_of(each.row):
                parent = fresh.get(span.cube_id) or key_of(tx, path, namespace, span.cube_id)
                edges.append((parent, each.row.key, SOURCE))
            like = self._like(tx, namespace, each, recent)
            if like is not None:
                edges.append((like, each.row.key, REPEATS))
            recent.update(dict.fromkeys(each.bands, each))
        tx.ledger.add_edges(edges)
        tx.ledger.add_sketches(
            (namespace.number, band, each.row.key) for each in new for band in each.bands
        )

    def _like(
        self, tx: Transaction, namespace: Namespace, new: _New, recent: dict[int, _New]
    ) -> int | None:
        """The newest older cube that says nearly the same."""
        if new.row.method == "section":
            return None
        others = {id(o): o for o in (recent.get(band) for band in new.bands) if o is not None}
        for other in others.values():
            if is_like(new.entry.terms, other.entry.terms):
                return other.row.key
        for key in tx.ledger.alike(namespace.number, new.bands):
            if is_like(new.entry.terms, tx.entries.terms(key)):
                return key
        return None


def _key_in(request: str) -> str:
    """The caller's key in the name of a request."""
    return request.removeprefix("key:").rpartition("#")[0]


def _kept(
    i: int, drafts: Sequence[Draft], known: Sequence[Kept | int | None], new: dict[int, _New]
) -> Kept:
    there = known[i]
    if isinstance(there, Kept):
        return there
    first = i if there is None else there
    return Kept(new[first].row, drafts[first].text, repeated=first != i)


def key_of(tx: Transaction, path: str, namespace: Namespace, cube_id: str) -> int:
    """The store's number of a cube of the namespace."""
    row = tx.cubes.current(namespace.number, cube_id)
    if row is None:
        raise CubeNotFoundError(cube_id, path)
    return row.key


def embedder_number(tx: Transaction, parts: Parts) -> int | None:
    """The store's number of the embedder in use, made if it is new; None without one."""
    name = parts.embedding.id
    if name is None:
        return None
    known = tx.entries.embedder_number(name)
    return tx.entries.embedder_number(name, make=True) if known is None else known


def enqueue_reading(tx: Transaction, path: str, due_at: int) -> None:
    """Write the job that reads the turns of a namespace that were heard."""
    tx.ledger.enqueue(READ, f"{READ} {path}", canonical_json({"namespace": path}), due_at)


def enqueue_followers(
    tx: Transaction, parts: Parts, rows: Iterable[VersionRow], entries: Iterable[Entry]
) -> None:
    """Write the jobs that new versions cause: late vectors, and their end of life."""
    late = any(entry.vectors is None and entry.spans for entry in entries)
    if late and parts.embedding.embedder is not None:
        tx.ledger.enqueue("embed", "embed", "{}", parts.clock.now_us())
    ends = [row.expires_at for row in rows if row.expires_at is not None]
    if ends:
        tx.ledger.enqueue("expire", "expire", "{}", min(ends))
