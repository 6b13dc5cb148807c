"""Whether the files of an adapter are there, and what it takes to use an older version again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.errors import (
    BackendUnavailableError,
    CubeNotFoundError,
    InvalidInputError,
    VersionConflictError,
)
from mneme.core.lifecycle import State
from mneme.core.rows import is_adapter_file
from mneme.vault.carried import described, source_of
from mneme.vault.codec import canonical_json, sources_of
from mneme.vault.stale import PROMISED, facts_of, has_ended
from mneme.vault.sweep import is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.rows import AdapterFile, VersionRow
    from mneme.core.store import BlobStore, Transaction
    from mneme.vault.parts import Parts


def check_files(place: BlobStore | None, digest: str, files: Sequence[AdapterFile]) -> None:
    """Refuse files that are not those of one adapter, or not there at their sizes.

    Raises:
        InvalidInputError: They are not of one digest, or named otherwise.
        BackendUnavailableError: They are not there, or were removed since nobody waited for them.
    """
    parts = {file.part for file in files}
    fits = files and len(parts) == len(files) and all(map(is_adapter_file, parts))
    if not fits or {file.digest for file in files} != {digest}:
        raise InvalidInputError(
            "an adapter has files of one digest, each with a name of its own that ends in "
            ".safetensors, .json or .jsonl"
        )
    found = [] if place is None else place.get([file.name for file in files])
    if [None if data is None else len(data) for data in found] != [file.size for file in files]:
        raise BackendUnavailableError("files of this adapter are not there; put them again")


def brought_back(
    parts: Parts, tx: Transaction, path: str, row: VersionRow, old: VersionRow
) -> VersionRow:
    """The next version of a shard, with the adapter of an older one: the same files, bit by bit.

    Args:
        parts: Where files lie, and what time it is.
        tx: A transaction that writes.
        path: Of the namespace.
        row: The current version.
        old: The older one.

    Raises:
        InvalidInputError: The older one was not in use, its files are not there whole, or one of
            its sources is gone or says something else by now.
    """
    told = f"version {old.version} of cube {row.id!r}"
    facts = facts_of(old)
    if has_ended(old) or not facts["digest"]:
        raise InvalidInputError(f"{told} held no adapter that was used; choose one that did")
    files = tx.adapters.of_digest(row.key, facts["digest"])
    place, now_us = parts.adapters, parts.clock.now_us()
    found = [] if place is None else place.get([file.name for file in files])
    if not found or any(
        data is None or not is_whole(data, file) for data, file in zip(found, files, strict=True)
    ):
        raise InvalidInputError(f"the files of {told} are no longer there; promote its facts anew")
    read = [(span.cube_id, span.version) for span in sources_of(old)]
    try:
        sources = [source_of(tx, path, *each, now_us) for each in read]
    except (CubeNotFoundError, VersionConflictError) as error:
        raise InvalidInputError(f"{told} is no longer true: {error}") from error
    facts.pop(PROMISED, None)
    now = facts_of(row)
    facts |= {name: now[name] for name in ("shard", PROMISED) if name in now}
    ready = has_ended(row) or row.state == State.GENERATED
    back = row._replace(
        metadata=canonical_json(facts), method=old.method, model=old.model,
        state=State.ACTIVATED.value if ready else row.state,
    )  # fmt: skip
    return described(tx, back, sources, read) if sources else back
