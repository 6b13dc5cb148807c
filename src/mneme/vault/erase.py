"""Erasure: rows, indexes, log and free space, with a receipt of what went and what was checked.

A job is written in the same transaction, so that an erasure that a crash or a reader interrupts is
finished by whoever opens the store next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mneme.core.clock import from_us
from mneme.core.errors import (
    BackendUnavailableError,
    CubeNotFoundError,
    ForbiddenError,
    StoreFullError,
)
from mneme.core.lifecycle import State
from mneme.govern.retention import is_hidden
from mneme.vault import audit
from mneme.vault.adapter_writer import AdapterWriter
from mneme.vault.codec import cube_of
from mneme.vault.rebuild import promise_again, remainders
from mneme.vault.stale import CARRIES, enqueue_sweep
from mneme.vault.sweep import count_files, hasten, look_for_orphans, sweep
from mneme.vault.write import RULES, SOURCE, enqueue_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mneme.core.cube import MemCube
    from mneme.core.rows import AdapterFile, BlockRow, Condition, Namespace, TextRow, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.life import Lives
    from mneme.vault.parts import Parts

SCRUB = "scrub"  # the job that leaves no byte of what was deleted

_PENDING = "bytes in the log, which a reader still uses or the disk has no room to fold"
_UNREACHED = "files in a place that does not answer, or is not set up here"
_ALL_STATES = tuple(s.value for s in State)
_MOST_PATTERNS = 48
_PATTERN_CHARS = 48
_FEWEST_BYTES = 12  # a shorter pattern may stand in a file by chance
_RETRY_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """What an erasure did.

    Attributes:
        erased: Ids of the cubes that went, those that derived from the target included.
        rebuilt: Ids of the cubes that take the places of shards that went: promised in the same
            transaction, for a job to write them again from what they carried besides.
        rows: How many rows went, by table.
        checked: What was looked for afterwards: bytes patterns of texts, vectors and tokens, and
            how many of them were found in the files ("found" is 0 unless another cube says the
            same; tensors are not searched); files of blocks and adapters by name, and how many of
            them were found in any place.
        pending: What is still to be done, by a job; empty when all bytes are gone, those of files
            that were let go of before included.
        not_reached: Copies that were made before and that this erasure cannot change.
        audit_hash: The head of the audit chain, which contains the erasure.
    """

    erased: tuple[str, ...]
    rebuilt: tuple[str, ...]
    rows: Mapping[str, int]
    checked: Mapping[str, int]
    pending: tuple[str, ...]
    not_reached: tuple[str, ...]
    reason: str | None
    at: datetime
    audit_hash: str

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.pending


class Eraser:
    """Erases cubes of a namespace and all that derives from them."""

    def __init__(self, parts: Parts, lives: Lives) -> None:
        self._parts, self._lives = parts, lives
        self._shards = AdapterWriter(parts, lives)
        self.caches: list[Callable[[str], None]] = []  # each lets go of a namespace's content

    def erase(
        self,
        path: str,
        ids: Sequence[str] | None,
        conditions: tuple[Condition, ...],
        reason: str | None,
    ) -> ErasureReceipt:
        """Erase cubes by id, forgotten and expired ones too, or by conditions.

        Raises:
            CubeNotFoundError: One of the ids is not there; nothing was erased.
            ForbiddenError: One of the cubes is held; nothing was erased.
        """
        now, rebuilt = self._parts.clock.now_us(), tuple[str, ...]()
        rows: dict[str, int] = {}
        with self._parts.store.write() as tx:
            doomed, known = self.doomed(tx, path, ids, conditions)
            patterns = _patterns([t for row in doomed for t in _texts(tx, row)])
            patterns += _row_patterns(tx, doomed)[: _MOST_PATTERNS - len(patterns)]
            copies = self._copies(tx, known, doomed)
            held = _Held.of(tx, doomed)
            if known is not None and doomed:
                left = remainders(tx, known, doomed, set(ids or ()))
                rows = self._delete(tx, path, doomed)
                rebuilt = promise_again(tx, self._shards, path, now, left)
                tx.ledger.enqueue(SCRUB, SCRUB, "{}", now + _RETRY_US)
            gone = held.without(tx)
            patterns += _token_patterns(tx, gone.blocks)
            if gone.names:
                enqueue_sweep(tx, now)
            changes = [audit.Change("erase", path, row.id, row.version, "") for row in doomed]
            head = audit.append(tx.ledger, changes, at=now, actor=self._parts.actor)
        for let_go in self.caches:
            let_go(path)
        done = not doomed or self.scrub()
        hasten(self._parts, patterns)
        missed = self._sweep(doomed)
        return ErasureReceipt(
            erased=tuple(row.id for row in doomed),
            rebuilt=rebuilt,
            rows=rows,
            checked=self._check(patterns, gone.names),
            pending=(*(() if done else (_PENDING,)), *missed),
            not_reached=copies,
            reason=reason,
            at=from_us(now),
            audit_hash=head,
        )

    def _delete(self, tx: Transaction, path: str, doomed: Sequence[VersionRow]) -> dict[str, int]:
        """Delete all rows of cubes; how many, by table."""
        rows: dict[str, int] = {}
        namespace = tx.cubes.touch_namespace(path)
        self._read_again(tx, path, namespace, doomed)
        for row in doomed:
            self._lives.reopen(tx, path, namespace, row.key)
        for row in doomed:
            for table, count in tx.erase(namespace.seq, row.key).items():
                rows[table] = rows.get(table, 0) + count
        return rows

    def preview(
        self, path: str, ids: Sequence[str] | None, conditions: tuple[Condition, ...]
    ) -> list[MemCube]:
        """The cubes that an erasure would take; nothing is changed.

        What is hidden from reads (forgotten, expired) is counted among them and says nothing.
        """
        with self._parts.store.read() as tx:
            rows, _ = self.doomed(tx, path, ids, conditions)
            return [self._foreseen(tx, path, row) for row in rows]

    def _foreseen(self, tx: Transaction, path: str, row: VersionRow) -> MemCube:
        text, _ = tx.cubes.body(row.key, row.text_version)
        cube = cube_of(row, path, text)
        if is_hidden(row, self._parts.clock.now_us()):
            return replace(cube, text="", metadata={}, content_hash="", speaker=None)
        return cube

    def doomed(
        self,
        tx: Transaction,
        path: str,
        ids: Sequence[str] | None,
        conditions: tuple[Condition, ...],
    ) -> tuple[list[VersionRow], Namespace | None]:
        """The cubes that an erasure takes, targets first, then what derives from them."""
        known = tx.cubes.namespace(path)
        if ids is None:
            targets = self._lives.selected(tx, known, conditions, _ALL_STATES, with_expired=True)
        else:
            targets = [self._target(tx, path, known, cube_id) for cube_id in dict.fromkeys(ids)]
        found = {row.key: row for row in targets}
        queue = list(found)
        while queue and known is not None:
            key = queue.pop()
            children = [*tx.ledger.children(key, SOURCE), *tx.ledger.children(key, CARRIES)]
            for row in tx.cubes.current_of_keys(known.number, children):
                if row.key not in found:
                    found[row.key] = row
                    queue.append(row.key)
        held = [row.id for row in found.values() if row.hold]
        if held:
            raise ForbiddenError(
                f"cube {held[0]!r} is held and cannot be erased; update(id, hold=False) first"
            )
        return list(found.values()), known

    def _read_again(
        self, tx: Transaction, path: str, namespace: Namespace, doomed: Sequence[VersionRow]
    ) -> None:
        """Have the other sources of what goes read again, so that it is made without what went."""
        gone = {row.key for row in doomed}
        others = {
            parent
            for row in doomed
            if row.method == "extracted"
            for parent in tx.ledger.parents(row.key, SOURCE)
        } - gone
        if others and gone & {p for row in doomed for p in tx.ledger.parents(row.key, SOURCE)}:
            now = self._parts.clock.now_us()
            tx.written.hear(namespace.number, sorted(others), RULES, now)
            enqueue_reading(tx, path, now)

    def scrub(self) -> bool:
        """Leave no byte of what was deleted; False while a reader or a full disk prevents it."""
        try:
            if not self._parts.store.scrub():
                return False
            with self._parts.store.write() as tx:
                tx.ledger.drop_waiting(SCRUB)
        except (StoreFullError, BackendUnavailableError):  # the rows are gone, the job goes on
            return False
        return True

    def _target(
        self, tx: Transaction, path: str, known: Namespace | None, cube_id: str
    ) -> VersionRow:
        row = tx.cubes.current(known.number, cube_id) if known else None
        if row is None:
            raise CubeNotFoundError(cube_id, path)
        return row

    def _copies(
        self, tx: Transaction, known: Namespace | None, doomed: Sequence[VersionRow]
    ) -> tuple[str, ...]:
        if known is None or not doomed:
            return ()
        oldest = min(tx.cubes.versions(row.key)[0].recorded_at for row in doomed)
        return tuple(f"{kind}: {path}" for kind, path in tx.ledger.copies(known.number, oldest))

    def _sweep(self, doomed: Sequence[VersionRow]) -> tuple[str, ...]:
        """Remove the files of what went, as far as their places answer; what is left to be done."""
        if any(row.kind != "plaintext" for row in doomed):
            look_for_orphans(self._parts)
        missed = sweep(self._parts)
        return tuple(f"{_UNREACHED}: {name}" for name in missed)

    def _check(self, patterns: list[bytes], files: Sequence[str]) -> dict[str, int]:
        return {
            "patterns": len(patterns),
            "found": self._parts.store.occurrences(patterns) if patterns else 0,
            "files": len(files),
            "files_found": count_files(self._parts, files),
        }


class _Held(NamedTuple):
    """Files that cubes hold."""

    blocks: list[BlockRow]
    adapters: list[AdapterFile]

    @classmethod
    def of(cls, tx: Transaction, doomed: Sequence[VersionRow]) -> _Held:
        """Each once, by name."""
        blocks = {b.name: b for row in doomed for b in tx.blocks.of_cube(row.key)}
        adapters = {f.name: f for row in doomed for f in tx.adapters.of_cube(row.key)}
        return cls([blocks[n] for n in sorted(blocks)], [adapters[n] for n in sorted(adapters)])

    def without(self, tx: Transaction) -> _Held:
        """Those that no cube holds any longer."""
        blocks = tx.blocks.present(each.name for each in self.blocks)
        adapters = tx.adapters.present(each.name for each in self.adapters)
        return _Held(
            [each for each in self.blocks if each.name not in blocks],
            [each for each in self.adapters if each.name not in adapters],
        )

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return [block.name for block in self.blocks] + [file.name for file in self.adapters]


def _texts(tx: Transaction, row: VersionRow) -> list[TextRow]:
    versions = {v.text_version for v in tx.cubes.versions(row.key)}
    return [tx.entries.entry(row.key, version) for version in sorted(versions)]


def _row_patterns(tx: Transaction, doomed: Sequence[VersionRow]) -> list[bytes]:
    """Bytes that would betray the rows of tables that are doomed, or whose source is."""
    said = [row.value for cube in doomed for row in tx.tables.all(cube.key)]
    said += [value for cube in doomed for value in tx.tables.of_source(cube.key)]
    pieces = (value[1 : _PATTERN_CHARS + 1].encode() for value in said[:_MOST_PATTERNS])
    return [piece for piece in pieces if len(piece) >= _FEWEST_BYTES]


def _token_patterns(tx: Transaction, blocks: Sequence[BlockRow]) -> list[bytes]:
    """Runs of tokens that would betray blocks; not those that a block which stays holds, too."""
    middles = (
        block.tokens[at : at + _PATTERN_CHARS]
        for block in blocks[:_MOST_PATTERNS]
        for at in [max(0, len(block.tokens) // 8 - _PATTERN_CHARS // 8) * 4]
    )
    return [
        piece
        for piece in dict.fromkeys(middles)
        if len(piece) >= _FEWEST_BYTES and any(piece) and not tx.blocks.says(piece)
    ]


def _patterns(texts: Sequence[TextRow]) -> list[bytes]:
    """Bytes that would betray a text: some of it as UTF-8 and UTF-16, and its vectors."""
    patterns: list[bytes] = []
    for text in texts[:_MOST_PATTERNS]:
        middle = max(0, len(text.body) // 2 - _PATTERN_CHARS // 2)
        piece = text.body[middle : middle + _PATTERN_CHARS]
        patterns += [piece.encode(), piece.encode("utf-16-le")]
        if text.vectors:
            half = np.frombuffer(text.vectors, "<f2")
            patterns += [text.vectors[:_PATTERN_CHARS], half[:16].astype("<f4").tobytes()]
    return [p for p in patterns[:_MOST_PATTERNS] if len(p) >= _FEWEST_BYTES and any(p)]
