"""A process that dies at a chosen moment of the life of a shard.

python adapters.py FOLDER MOMENT: at "expect", "put" (a file is half put), "files" (all are there,
rows are not), "commit" (within the transaction), "kept" (right after it), "erase" or "demote"
(rows are gone, files are not).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mneme.app.memory import MemoryOS
from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.clock import SystemClock
from mneme.settings import Settings
from mneme.testing.shards import files_of, header_of
from mneme.wiring import Outside, build

TEXTS = (
    "The parcel for Marta waits at the counter of the station in Bergen.",
    "The dentist of Oskar works above the bakery in Lund.",
)


class Deadly(FolderBlobs):
    """A folder in which the process dies, where it is armed."""

    armed = ""

    def put(self, blobs: Mapping[str, bytes]) -> None:
        for name, data in blobs.items():
            super().put({name: data})
            if self.armed == "put":
                die()

    def drop(self, names: Iterable[str]) -> None:
        if self.armed in {"erase", "demote"}:
            die()
        super().drop(names)


class DeadlyClock(SystemClock):
    """Asked for the time of a version, it ends the process within the transaction."""

    armed = False

    def now_us(self) -> int:
        if self.armed:
            die()
        return super().now_us()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, moment: str) -> None:
    place, clock = Deadly(folder / "parametric"), DeadlyClock()
    settings = Settings(worker=False, embedder="none")
    memory = build(folder, settings=settings, outside=Outside(adapters=place, clock=clock))
    alice = memory.namespace("alice")
    cubes = [alice.add(text, type="fact")[0] for text in TEXTS]
    promised = memory.vault.adapters.promise("alice", header_of(*cubes))[0]
    files = files_of(*cubes)
    memory.vault.adapters.expect([file.name for file in files])
    end_at(moment, "expect")
    place.armed = moment
    place.put({file.name: data for file, data in files.items()})
    end_at(moment, "files")
    header = header_of(*cubes, into=promised.id, digest=next(iter(files)).digest)
    with armed(clock, moment == "commit"):
        row, _ = memory.vault.adapters.keep("alice", header, list(files))
    end_at(moment, "kept")
    if moment == "demote":
        memory.vault.adapters.demote("alice", row.id)
    alice.erase(cubes[0].id)


def end_at(moment: str, here: str) -> None:
    if moment == here:
        die()


@contextmanager
def armed(clock: DeadlyClock, on: bool) -> Iterator[None]:
    clock.armed = on
    yield
    clock.armed = False


def open_again(folder: Path) -> MemoryOS:
    return build(folder, settings=Settings(worker=False, embedder="none"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
