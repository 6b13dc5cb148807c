"""Adapters as folders outside of the store, which receipts of erasures name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.errors import StoreCorruptError

if TYPE_CHECKING:
    from pathlib import Path

    from mneme.core.rows import VersionRow
    from mneme.vault.vault import Vault

_COPY = "adapter"  # what an exported folder is called in receipts


def exported(vault: Vault, path: str, row: VersionRow, folder: Path, version: int | None) -> Path:
    """Files of a version in a folder that peft opens; receipts of erasures name it."""
    from mneme.memories.parametric.folder import write_folder

    _, files = vault.adapters.files_of(path, row.id, version)
    place = vault.parts.adapters
    found = place.get([file.name for file in files]) if place is not None else []
    held = {f.part: data for f, data in zip(files, found, strict=False) if data is not None}
    if not files or len(held) < len(files):
        raise StoreCorruptError(f"cube {row.id!r} has no whole files in that version")
    write_folder(held, files, folder)
    with vault.parts.store.write() as tx:
        namespace = tx.cubes.touch_namespace(path)
        now = vault.parts.clock.now_us()
        tx.ledger.add_copy(now, namespace.number, _COPY, str(folder.resolve()))
    return folder
