"""Counts of requests of several processes, as one sum.

Each process keeps its counts in a file of its own, in a folder that they share: written once a
second if they changed, when they are asked for, and at the end. Whoever is asked writes its own and
adds up all. A process that takes the place of one that died goes on from the file of that, so that
the sum never falls.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mneme.server.metrics import Requests

_EVERY_S: Final = 1.0
_TOUCHED_EVERY_S: Final = 3600.0  # what sweeps temporary folders leaves alone what is in use


class Tallies:
    """The counts of a process among those of others; a context manager.

    Args:
        requests: Those of this process; from then on it gives the sum when it is asked.
        file: Where they are kept; other files of the folder are those of other processes.
    """

    def __init__(self, requests: Requests, file: Path) -> None:
        self._requests, self._file = requests, file
        self._ends, self._lock = threading.Event(), threading.Lock()
        self._written, self._written_at_s = "", 0.0
        self._thread = threading.Thread(target=self._keep, name="mneme-counts", daemon=True)

    def __enter__(self) -> Self:
        with suppress(FileNotFoundError):
            self._requests.add(json.loads(self._file.read_text(encoding="ascii")))
        self._requests.others = self.others
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        self._thread.join()
        self._requests.others = lambda: ()
        self.write()

    def write(self) -> None:
        """Write the counts of this process, whole or not at all; without the folder, nowhere."""
        with self._lock:
            text, now_s = json.dumps(self._requests.counts()), monotonic()
            if text == self._written and now_s < self._written_at_s + _TOUCHED_EVERY_S:
                return
            new = self._file.with_suffix(".new")
            with suppress(FileNotFoundError):  # the folder is gone: so is who would ask
                new.write_text(text, encoding="ascii")
                new.replace(self._file)
                self._written, self._written_at_s = text, now_s

    def others(self) -> Iterator[dict[str, object]]:
        """The counts of the other processes; those of this one are written first."""
        self.write()
        for file in sorted(self._file.parent.glob("*.json")):
            if file != self._file:
                yield json.loads(file.read_text(encoding="ascii"))

    def _keep(self) -> None:
        while not self._ends.wait(_EVERY_S):
            self.write()
