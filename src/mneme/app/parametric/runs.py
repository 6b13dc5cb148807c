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

_NAME = re.compile(r"[0-9a-f-]{36}\.checkpoint")
_SUFFIX = ".checkpoint"


class Runs:
    """The checkpoints of a store, by the id of the shard that is being written.

    Args:
        folder: Made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, cube_id: str, data: bytes) -> None:
        """Keep a checkpoint instead of the one before; it is there whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(cube_id)
        near = path.with_suffix(f".{os.getpid()}")
        with near.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        near.replace(path)

    def saved(self, cube_id: str) -> bytes | None:
        """The newest checkpoint, if there is one."""
        with suppress(FileNotFoundError):
            return self._path(cube_id).read_bytes()
        return None

    def drop(self, cube_id: str) -> None:
        """Forget a run."""
        with suppress(FileNotFoundError):
            self._path(cube_id).unlink()

    def keep_only(self, wanted: Callable[[Collection[str]], Collection[str]]) -> None:
        """Forget the runs of shards that are not to be written any longer.

        Args:
            wanted: Of ids of shards, those that are.
        """
        if not self._folder.is_dir():
            return
        files = {path.name[: -len(_SUFFIX)]: path for path in self._folder.glob(f"*{_SUFFIX}")}
        still = set(wanted(files)) if files else set()
        for cube_id, path in files.items():
            if cube_id not in still and _NAME.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    path.unlink()

    def _path(self, cube_id: str) -> Path:
        return self._folder / f"{cube_id}{_SUFFIX}"
