"""Checkpoints of runs that are under way, so that a killed one goes on where it was.

A checkpoint is made of the facts of its shard: it goes when the shard is written, and when that
shard is gone.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_NAME = re.compile(r"([0-9a-f-]{36})\.checkpoint(\.\d+)?")  # a number: a process was writing it
_SUFFIX = ".checkpoint"


class Runs:
    """The checkpoints of a store, by the id of the shard that is being written.

    Args:
        folder: Made when it is first needed.
        every_s: Least seconds between two checkpoints of a run.
    """

    def __init__(self, folder: Path, every_s: float = 30.0) -> None:
        self._folder, self.every_s = folder, every_s

    def save(self, cube_id: str, data: bytes) -> None:
        """Keep a checkpoint instead of the one before; it is there whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(cube_id)
        near = path.with_name(f"{path.name}.{os.getpid()}")
        with near.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):  # nobody wants it any longer
            near.replace(path)

    def saved(self, cube_id: str) -> bytes | None:
        """The newest checkpoint, if there is one."""
        with suppress(FileNotFoundError):
            return self._path(cube_id).read_bytes()
        return None

    def drop(self, cube_id: str) -> None:
        """Forget a run, what a killed process left of it included."""
        for path in self._folder.glob(f"{cube_id}{_SUFFIX}*"):
            path.unlink(missing_ok=True)

    def keep_only(self, wanted: Callable[[Collection[str]], Collection[str]]) -> None:
        """Forget the runs of shards that are not to be written any longer.

        Args:
            wanted: Of ids of shards, those that are.
        """
        if not self._folder.is_dir():
            return
        named = ((_NAME.fullmatch(path.name), path) for path in self._folder.iterdir())
        files = [(name[1], path) for name, path in named if name is not None]
        still = set(wanted({cube_id for cube_id, _ in files})) if files else set()
        for cube_id, path in files:
            if cube_id not in still:
                path.unlink(missing_ok=True)

    def _path(self, cube_id: str) -> Path:
        return self._folder / f"{cube_id}{_SUFFIX}"
