"""One of two processes on one store.

python writer.py update FOLDER ID TRIES: races to update a cube; prints how many went through.
python writer.py add FOLDER: adds a line for each line of standard input, and says when it is done.
python writer.py read FOLDER: holds a read of the store open until a line comes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mneme
from mneme import VersionConflictError


def update(folder: Path, cube_id: str, tries: int) -> None:
    accepted = conflicts = 0
    with mneme.open(folder) as memory:
        alice = memory.namespace("alice")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for number in range(tries):
            version = alice.get(cube_id).version
            try:
                alice.update(cube_id, text=f"Try {number}.", expected_version=version)
                accepted += 1
            except VersionConflictError:
                conflicts += 1
    sys.stdout.write(f"{accepted} {conflicts}\n")


def add(folder: Path) -> None:
    with mneme.open(folder) as memory:
        for line in sys.stdin:
            memory.namespace("alice").add(line.strip(), session="s")
            sys.stdout.write("done\n")
            sys.stdout.flush()


def read(folder: Path) -> None:
    with mneme.open(folder) as memory, memory.vault.parts.store.read() as tx:
        tx.ledger.last_audit()
        sys.stdout.write("reading\n")
        sys.stdout.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    verb, where, *rest = sys.argv[1:]
    if verb == "update":
        update(Path(where), rest[0], int(rest[1]))
    else:
        {"add": add, "read": read}[verb](Path(where))
