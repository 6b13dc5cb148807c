"""Care for the store as a whole: late vectors, indexes from the rows, checks and copies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mneme.core.errors import BackendUnavailableError, ForbiddenError, ImportRefusedError
from mneme.vault import audit, sweep
from mneme.vault.entries import Said, embed_texts, make_entries, pack_vectors
from mneme.vault.snapshot import copy_with_files
from mneme.vault.write import embedder_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mneme.core.rows import TextRow
    from mneme.core.store import Transaction
    from mneme.vault.find import Finder
    from mneme.vault.parts import Parts

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `verify` found."""

    problems: tuple[str, ...]
    audit_head: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts and bytes of a store.

    Attributes:
        counts: Cubes, versions, namespaces, audit entries, blocks of keys and values, files of
            adapters.
        states: Current cubes by state.
        types: Current cubes of plaintext by type.
        bytes: By kind and tier: text, index and vectors on disk, blocks of keys and values (in all
            and by place: "activation disk"), adapters likewise ("parametric disk"), files on disk,
            index in memory.
        jobs: Background jobs by state.
        missing_vectors: Texts whose vectors are still to be made.
        embedder: Id of the embedder in use.
        unread: Turns that written memory has still to read.
        spent: What language models cost, by kind of work: calls, tokens, and money in millionths.
        ledger: What keys and values saved in this process: requests, tokens, seconds.
    """

    counts: dict[str, int]
    states: dict[str, int]
    types: dict[str, int]
    bytes: dict[str, int]
    jobs: dict[str, int]
    missing_vectors: int
    embedder: str | None
    unread: int = 0
    spent: dict[str, dict[str, int]] = field(default_factory=dict)
    ledger: dict[str, float] = field(default_factory=dict)


class Upkeep:
    """Keeps indexes and vectors in step with the rows, and proves that all is whole."""

    def __init__(self, parts: Parts, finder: Finder) -> None:
        self._parts, self._finder = parts, finder

    def embed_missing(
        self, progress: Callable[[int, int], None] | None = None, keep_on: Callable[[], bool] = bool
    ) -> bool:
        """Make the vectors that texts lack, batch by batch; False if `keep_on` ended it early.

        Each batch is durable by itself: an interrupted run goes on where it was.

        Raises:
            BackendUnavailableError: The embedder does not answer.
        """
        embedding = self._parts.embedding
        if embedding.embedder is None:
            return True
        number = self._embedder_number()
        with self._parts.store.read() as tx:
            total = tx.entries.missing_vectors(number)
        done, after = 0, (0, 0)
        while keep_on() or not done:
            with self._parts.store.read() as tx:
                texts = tx.entries.unembedded(number, after, _BATCH)
                said = [self._said(tx, text) for text in texts]
            if not texts:
                return True
            self._embed(number, texts, said)
            after = texts[-1][:2]
            done += len(texts)
            if progress is not None:
                progress(min(done, total), total)
        return False

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read every text again and write its index entry anew, vectors included."""
        inline = self._parts.embedding if self._parts.embedding.inline else None
        with self._parts.store.read() as tx:
            total = tx.counts()["texts"]
        done, after = 0, (0, 0)
        while True:
            with self._parts.store.write() as tx:
                texts = tx.entries.texts(after, _BATCH)
                if not texts:
                    break
                said = [self._said(tx, text) for text in texts]
                entries = make_entries(said, inline)
                number = embedder_number(tx, self._parts) if inline else None
                tx.entries.set(
                    entry.row(text.key, text.version, (text.body, text.salt), number)
                    for text, entry in zip(texts, entries, strict=True)
                )
                tx.entries.mark_changed({text.key for text in texts})
                tx.ledger.enqueue("embed", "embed", "{}", self._parts.clock.now_us())
            after = texts[-1][:2]
            done += len(texts)
            if progress is not None:
                progress(done, total)
        self._finder.drop()

    def verify(self, kept_head: str | None) -> Report:
        """Check the file, rows, index entries, the audit chain, files of blocks and adapters."""
        found = self._parts.store.problems()
        if not found:
            with self._parts.store.read() as tx:
                found = audit.problems(tx.ledger, kept_head) + self._entry_problems(tx)
                head = tx.ledger.last_audit()[1]
            found += sweep.problems(self._parts)
            return Report(problems=tuple(found), audit_head=head)
        return Report(problems=tuple(found), audit_head="")

    def snapshot(self, folder: Path) -> None:
        """A consistent copy in a new or empty folder, with the files of adapters."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ImportRefusedError(f"{folder} is not empty; give a new folder for the snapshot")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ForbiddenError(f"cannot make {folder}: {error}") from error
        with self._parts.store.write() as tx:
            now = self._parts.clock.now_us()
            tx.ledger.add_copy(now, None, "snapshot", str(folder.resolve()))
        if self._parts.adapters is None or self._parts.adapters_in is None:
            self._parts.store.copy_to(folder)
        else:
            copy_with_files(
                self._parts.store, self._parts.adapters, folder, self._parts.adapters_in
            )

    def stats(self) -> Stats:
        """Counts and bytes."""
        embedder = self._parts.embedding.id
        with self._parts.store.read() as tx:
            counts = tx.counts()
            jobs: dict[str, int] = {}
            for job in tx.ledger.jobs():
                jobs[job.state] = jobs.get(job.state, 0) + 1
            number = None if embedder is None else tx.entries.embedder_number(embedder)
            missing = 0 if embedder is None else tx.entries.missing_vectors(number)
            states, types = tx.states(), tx.types()
            unread = tx.written.heard_count()
            spent = {job: each._asdict() for job, each in tx.written.spent().items()}
        sizes = {name[:-6]: counts.pop(name) for name in list(counts) if name.endswith("_bytes")}
        sizes |= self._place_sizes()
        sizes |= {"disk": self._parts.store.bytes_on_disk(), "memory": self._finder.bytes()}
        return Stats(
            counts=counts, states=states, types=types, bytes=sizes, jobs=jobs,
            missing_vectors=missing, embedder=embedder, unread=unread, spent=spent,
        )  # fmt: skip

    def _place_sizes(self) -> dict[str, int]:
        """Bytes of blocks and adapters by place, as far as it answers."""
        sizes = {}
        places = {f"activation {place.name}": place for place in self._parts.blobs}
        if self._parts.adapters is not None:
            places[f"parametric {self._parts.adapters.name}"] = self._parts.adapters
        for name, place in places.items():
            try:
                sizes[name] = place.total_bytes()
            except BackendUnavailableError:
                continue
        return sizes

    def _embedder_number(self) -> int | None:
        self._parts.embedding.demand([""])  # a dead embedder says so here
        with self._parts.store.write() as tx:
            return embedder_number(tx, self._parts)

    def _embed(self, number: int | None, texts: Sequence[TextRow], said: Sequence[Said]) -> None:
        pieces = [embed_texts(each) for each in said]
        vectors = self._parts.embedding.demand([piece for part in pieces for piece in part])
        rows, at = [], 0
        for text, part in zip(texts, pieces, strict=True):
            blob = pack_vectors(vectors[at : at + len(part)])
            rows.append(text._replace(embedder=number, vectors=blob))
            at += len(part)
        with self._parts.store.write() as tx:
            present = [r for r in rows if tx.cubes.version_at(r.key, r.version) is not None]
            tx.entries.set(present)  # what was erased meanwhile stays gone
            tx.entries.mark_changed({row.key for row in present})

    def _said(self, tx: Transaction, text: TextRow) -> Said:
        found = tx.cubes.version_at(text.key, text.version)
        indexed = bool(text.spans)
        if found is None:
            return Said(text.body, "user", None, None, indexed)
        row = found[1]
        return Said(text.body, row.role, row.speaker, row.event_at, indexed)

    def _entry_problems(self, tx: Transaction) -> list[str]:
        """Whether each index entry is what its text gives today; says how many are not."""
        wrong, after = 0, (0, 0)
        while texts := tx.entries.texts(after, _BATCH):
            said = [self._said(tx, text) for text in texts]
            for text, entry in zip(texts, make_entries(said, None), strict=True):
                wrong += (text.terms, text.spans) != (entry.terms, entry.spans)
            after = texts[-1][:2]
        return [f"{wrong} index entries differ from their texts: run rebuild"] if wrong else []
