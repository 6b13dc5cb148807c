"""A process that dies at a chosen moment of the life of blocks.

python blocks.py FOLDER MOMENT: "put" (files are there, rows are not), "erase" or "edit" (rows are
gone, files are not).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from mneme.app.memory import MemoryOS
from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.rows import BlockRow
from mneme.settings import Settings
from mneme.testing.prefills import data_of, header_of, rows_of
from mneme.wiring import Outside, build

TEXT = "The parcel for Marta waits at the counter of the station in Bergen until Friday."


class Deadly(FolderBlobs):
    """A folder during whose first removal the process dies."""

    armed = False

    def drop(self, names: Iterable[str]) -> None:
        if self.armed:
            os.kill(os.getpid(), signal.SIGKILL)
        super().drop(names)


def main(folder: Path, moment: str) -> None:
    blobs = Deadly(folder / "activation")
    settings = Settings(worker=False, embedder="none")
    memory = build(folder, settings=settings, outside=Outside(blobs=(blobs,)))
    alice = memory.namespace("alice")
    cube = alice.add(TEXT)[0]
    rows = rows_of("alice", TEXT)
    put(memory, blobs, rows)
    if moment == "put":
        os.kill(os.getpid(), signal.SIGKILL)
    memory.vault.blocks.keep("alice", header_of(cube, tokens=9), rows)
    blobs.armed = True
    if moment == "erase":
        alice.erase(cube.id)
    else:
        alice.update(cube.id, text="Nothing waits.")


def put(memory: MemoryOS, blobs: FolderBlobs, rows: list[BlockRow]) -> None:
    memory.vault.blocks.expect([row.name for row in rows])
    blobs.put({row.name: data_of(row) for row in rows})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
