"""Files of blocks and of adapters that belong to no row: removed by whoever comes next.

A file is put before its row is committed, and removed after its row is gone. In between its name
stands among the doomed, with the time from which on it may be removed, so that a crash at any
point leaves nothing that is not found again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.core.errors import BackendUnavailableError
from mneme.core.rows import TENSORS, is_adapter_file
from mneme.vault.codec import canonical_json
from mneme.vault.stale import PARAMETRIC, SWEEP, enqueue_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mneme.core.rows import AdapterFile, BlockRow
    from mneme.core.store import BlobStore, Store, Transaction
    from mneme.vault.parts import Parts

GRACE_US: Final = 600_000_000  # so long a file may wait for its row
_PLACES: Final = "block_places"  # in `meta`: where files of this store were ever put
_SPACE: Final = "block_space"  # in `meta`: tells its files from those of other stores
_SPACE_BYTES: Final = 16
_LOOKED_AT: Final = "block_looked_at"  # in `meta`: when files without rows were last looked for
_DAY_US: Final = 86_400_000_000
_ANY_TIME: Final = (1 << 63) - 1
_BATCH: Final = 256
_SHA256_BYTES: Final = 32
_DIGITS: Final = 64  # of the digest at the beginning of a file's name


def space_of(store: Store, random_bytes: Callable[[int], bytes]) -> str:
    """A name that no other store has, snapshots of this one included: for places that are shared.

    Args:
        store: Keeps the name, which is made when it is first asked for.
        random_bytes: Chance.
    """
    with store.read() as tx:
        space = tx.ledger.meta(_SPACE)
    if space is None:
        with store.write() as tx:
            space = tx.ledger.meta(_SPACE) or random_bytes(_SPACE_BYTES).hex()
            tx.ledger.set_meta(_SPACE, space)
    return space


def expect(parts: Parts, names: Sequence[str]) -> None:
    """Say that files are about to be put, so that a crash before their rows leaves none of them."""
    due = parts.clock.now_us() + GRACE_US
    with parts.store.write() as tx:
        if not all(map(is_adapter_file, names)):
            note_places(tx, parts)
        tx.outbox.doom(names, due)
        enqueue_sweep(tx, due)


def note_places(tx: Transaction, parts: Parts) -> None:
    """Remember where files are put, so that an erasure by another process misses none."""
    known = _places(tx)
    names = known | {place.name for place in parts.blobs}
    if names != known:
        tx.ledger.set_meta(_PLACES, canonical_json(sorted(names)))


def sweep(parts: Parts, *, nearest: bool = False) -> tuple[str, ...]:
    """Remove the files that are doomed and due.

    Args:
        parts: The store and the places.
        nearest: Whether to look at the nearest place alone, which never keeps one waiting.

    Returns:
        The names of places that were not reached; their files stay doomed.
    """
    now = parts.clock.now_us()
    with parts.store.read() as tx:
        due = tx.outbox.doomed(now)
    if not due:
        return ()
    missed = _sweep_blocks(parts, now, nearest=nearest)
    if any(map(is_adapter_file, due)):
        missed += _sweep_adapters(parts, now)
    if not missed:
        with parts.store.write() as tx:
            tx.ledger.drop_waiting(SWEEP)
            later = tx.outbox.next_doom()
            if later is not None:
                enqueue_sweep(tx, later)
    return missed


def _sweep_blocks(parts: Parts, now: int, *, nearest: bool) -> tuple[str, ...]:
    with parts.store.read() as tx:
        due = [name for name in tx.outbox.doomed(now) if not is_adapter_file(name)]
        names = sorted(set(due) - tx.blocks.present(due))
        missed = sorted(_places(tx) - {place.name for place in parts.blobs})
    if not due:
        return ()
    places = parts.blobs[:1] if nearest else parts.blobs
    missed += [place.name for place in parts.blobs[len(places) :]]
    missed += [place.name for place in places if not _drop(place, names)]
    if not missed:
        with parts.store.write() as tx:
            tx.outbox.undoom(set(due) & set(tx.outbox.doomed(now)))
    return tuple(missed)


def _sweep_adapters(parts: Parts, now: int) -> tuple[str, ...]:
    """Within a transaction that writes: an adapter cannot be made anew as easily as a block.

    So no row is written between a look at the rows and the removal of a file.
    """
    place = parts.adapters
    if place is None:
        return (PARAMETRIC,)
    with parts.store.write() as tx:
        due = [name for name in tx.outbox.doomed(now) if is_adapter_file(name)]
        if not _drop(place, sorted(set(due) - tx.adapters.present(due))):
            return (f"{PARAMETRIC} {place.name}",)
        tx.outbox.undoom(due)
    return ()


def look_daily(parts: Parts) -> None:
    """Look for files without rows in the nearest place, if nobody did for a day."""
    now = parts.clock.now_us()
    with parts.store.read() as tx:
        used, last = bool(_places(tx)), int(tx.ledger.meta(_LOOKED_AT) or 0)
    if now - last < _DAY_US or not (used or _adapters_in(parts)):
        return
    with parts.store.write() as tx:
        tx.ledger.set_meta(_LOOKED_AT, str(now))
    look_for_orphans(parts, nearest=True)


def look_for_orphans(parts: Parts, *, nearest: bool = False) -> int:
    """Doom files that no row names and nobody expects; how many. They get time to find their row.

    A place that does not answer is left out.
    """
    places = parts.blobs[:1] if nearest else parts.blobs
    blocks = {name for place in places for name in _names(place) or ()}
    adapters = _adapters_in(parts)
    if not blocks and not adapters:
        return 0
    with parts.store.read() as tx:
        orphans = (blocks - tx.blocks.names()) | (adapters - tx.adapters.names())
        orphans -= set(tx.outbox.doomed(_ANY_TIME))
    if orphans:
        expect(parts, sorted(orphans))
    return len(orphans)


def hasten(parts: Parts, patterns: Sequence[bytes]) -> None:
    """Have files of adapters removed now that wait for their rows and say what was erased.

    Their rows will not come: a shard whose source is gone is not kept.
    """
    with parts.store.read() as tx:
        waiting = [name for name in tx.outbox.doomed(_ANY_TIME) if is_adapter_file(name)]
    texts = [name for name in waiting if not name.endswith(TENSORS)]
    said = set()
    for place in _shelf(parts) if texts and patterns else ():
        try:
            for name, data in zip(texts, place.get(texts), strict=True):
                if data is not None and any(pattern in bytes(data) for pattern in patterns):
                    said.add(name[:_DIGITS])
        except BackendUnavailableError:
            continue
    names = [name for name in waiting if name[:_DIGITS] in said]
    if names:
        now = parts.clock.now_us()
        with parts.store.write() as tx:
            tx.outbox.doom(set(names) & set(tx.outbox.doomed(_ANY_TIME)), now)
            enqueue_sweep(tx, now)


def count_files(parts: Parts, names: Sequence[str]) -> int:
    """How many files of these names are there, in the places that answer."""
    found = 0
    for place in (*parts.blobs, *_shelf(parts)):
        try:
            found += sum(data is not None for data in place.get(names))
        except BackendUnavailableError:
            continue
    return found


def problems(parts: Parts) -> list[str]:
    """What is wrong with the files of blocks and of adapters; empty if nothing is.

    Files without rows are doomed, so that they are gone the next time.
    """
    with parts.store.read() as tx:
        blocks, adapters = tx.blocks.all(), tx.adapters.all()
        doomed = set(tx.outbox.doomed(_ANY_TIME))
    shelf = _shelf(parts)
    seen = [
        _look(_BLOCKS, parts.blobs, blocks, doomed),
        _look(_ADAPTERS, shelf, adapters, doomed),
    ]
    if any(orphans for orphans, _ in seen):
        look_for_orphans(parts)
    return [problem for _, said in seen for problem in said]


class _Files(NamedTuple):
    """How files of one kind of memory are called."""

    all: str
    one: str
    lacking: str
    remedy: str


_BLOCKS: Final = _Files("blocks", "block", "blocks have no whole file", "they are computed again")
_ADAPTERS: Final = _Files(
    "adapters", "adapter", "files of adapters are not there whole", "texts answer instead"
)


def _look(
    kind: _Files,
    places: Sequence[BlobStore],
    rows: Sequence[BlockRow | AdapterFile],
    doomed: set[str],
) -> tuple[int, list[str]]:
    """How many files of a kind have no row, and all that is wrong with the others."""
    whole: set[str] = set()
    wanted = {row.name for row in rows}
    damaged, orphans, found = 0, 0, []
    for place in places:
        try:
            for name, good in _checked(place, rows):
                whole |= {name} if good else set()
                damaged += not good
            orphans += len(_ours(kind, place.names()) - wanted - doomed)
        except BackendUnavailableError as error:
            found.append(f"files of {kind.all} in {place.name} were not checked: {error}")
    said = {
        f"files of {kind.all} are not what was written; {kind.remedy}": damaged,
        f"{kind.lacking}; {kind.remedy}": len(wanted - whole),
        f"files of {kind.all} belong to no {kind.one}; they are removed in ten minutes": orphans,
    }
    return orphans, found + [f"{count} {what}" for what, count in said.items() if count]


def _ours(kind: _Files, names: Iterable[str]) -> set[str]:
    return {name for name in names if kind is not _ADAPTERS or is_adapter_file(name)}


def _checked(
    place: BlobStore, rows: Sequence[BlockRow | AdapterFile]
) -> Iterator[tuple[str, bool]]:
    """The names of the files that are there, and whether they are whole."""
    for at in range(0, len(rows), _BATCH):
        batch = rows[at : at + _BATCH]
        for row, data in zip(batch, place.get([r.name for r in batch]), strict=True):
            if data is not None:
                yield row.name, is_whole(data, row)


def is_whole(data: memoryview, row: BlockRow | AdapterFile) -> bool:
    """Whether a file is what was written, as far as this can be told here."""
    return len(data) == row.size and _sums_up(data, row.checksum)


def _sums_up(data: memoryview, checksum: bytes) -> bool:
    if len(checksum) == _SHA256_BYTES:
        return hashlib.sha256(data).digest() == checksum
    try:
        import xxhash
    except ImportError:  # the base install: sizes tell of files that were cut
        return True
    return bool(xxhash.xxh3_128_digest(data) == checksum)


def _shelf(parts: Parts) -> tuple[BlobStore, ...]:
    """Where files of adapters lie."""
    return () if parts.adapters is None else (parts.adapters,)


def _adapters_in(parts: Parts) -> set[str]:
    """Names of the files of adapters that are there; other files in that place are not ours."""
    return {n for place in _shelf(parts) for n in _names(place) or () if is_adapter_file(n)}


def _drop(place: BlobStore, names: Iterable[str]) -> bool:
    try:
        place.drop(names)
    except BackendUnavailableError:
        return False
    return True


def _names(place: BlobStore) -> set[str] | None:
    try:
        return set(place.names())
    except BackendUnavailableError:
        return None


def _places(tx: Transaction) -> set[str]:
    return set(json.loads(tx.ledger.meta(_PLACES) or "[]"))
