"""A copy of a store and of the files of its adapters, made while both are in use.

Files of adapters are copied since they are dear to make; blocks are not, a copy computes its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mneme.core.store import BlobStore, Store


def copy_with_files(
    store: Store, here: BlobStore, folder: Path, place_in: Callable[[Path], BlobStore]
) -> None:
    """Copy the rows, and exactly the files that they name, as far as the store itself has them.

    Args:
        store: Has the rows.
        here: Where files lie.
        folder: Empty.
        place_in: Where they lie within a folder.
    """
    there = place_in(folder)
    with store.read() as tx:
        names = tx.adapters.names()
    lacking = _copied(here, there, names)  # the rows come last, so that none is without its file
    while True:
        wanted = store.copy_to(folder)
        lacking = _copied(here, there, (wanted - names) | (wanted & lacking))
        with store.read() as tx:
            if lacking <= tx.adapters.present(lacking):
                break
        names |= wanted  # an erasure came between the rows and a file: copy the rows again
    there.drop((names | wanted) - wanted)
    there.close()


def _copied(here: BlobStore, there: BlobStore, names: Iterable[str]) -> set[str]:
    """Copy files one by one; the names of those that are not there."""
    lacking = set()
    for name in sorted(names):
        (data,) = here.get([name])
        if data is None:
            lacking.add(name)
        else:
            there.put({name: bytes(data)})
    return lacking
